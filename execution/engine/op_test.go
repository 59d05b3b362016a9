package engine_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/executiontest"
)

// plainGenesis is a devnet's, as op-geth takes it.
func plainGenesis(t testing.TB) []byte {
	t.Helper()
	raw, err := evm.EncodeGenesis(evm.DevGenesis(chainID, nil))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// change changes the settings in a genesis.
func change(t testing.TB, genesis []byte, how func(config map[string]any)) []byte {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal(genesis, &all); err != nil {
		t.Fatal(err)
	}
	how(all["config"].(map[string]any))
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func openOP(t testing.TB, dir string, genesis []byte) *engine.OP {
	t.Helper()
	p := peerOf(t, ethclients.OPGeth, genesis, dir)
	o, err := engine.NewOP(engine.OPConfig{API: p.dial(t), Dir: filepath.Join(dir, "journal"), Genesis: genesis, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOPConformance(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	genesis := plainGenesis(t)
	executiontest.Run(t, executiontest.Harness{
		Open:        func(t *testing.T, dir string) execution.Client { return openOP(t, dir, genesis) },
		Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n) },
		Invalid:     invalid(t),
		BlockTime:   time.Second,
	})
}

// optimismGenesis is one by the rules of the OP Stack through Isthmus.
func optimismGenesis(t testing.TB) []byte {
	t.Helper()
	g := evm.DevGenesis(chainID, nil)
	g.ExtraData = []byte{0, 0, 0, 0, 250, 0, 0, 0, 6}
	return change(t, encode(t, g), func(config map[string]any) {
		delete(config, "osakaTime")
		delete(config, "blobSchedule")
		for _, fork := range []string{"bedrockBlock", "regolithTime", "canyonTime", "ecotoneTime", "fjordTime", "graniteTime", "holoceneTime", "isthmusTime"} {
			config[fork] = 0
		}
		config["optimism"] = map[string]any{"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250}
	})
}

func TestOptimismConformance(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	genesis := optimismGenesis(t)
	executiontest.Run(t, executiontest.Harness{
		Open:        func(t *testing.T, dir string) execution.Client { return openOP(t, dir, genesis) },
		Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n) },
		Invalid:     invalid(t),
		BlockTime:   time.Second,
	})
}

// A node that was killed before it noted a block is told again what was skipped of it.
func TestOPTellsAgain(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	dir, genesis := t.TempDir(), plainGenesis(t)
	o := openOP(t, dir, genesis)
	executeOn(t, o, block(10, transfer(t, 0, 0)))
	b := block(20, transfer(t, 0, 3), transfer(t, 0, 1), []byte("garbage"), transfer(t, 0, 1))
	want := executeOn(t, o, b)
	if len(want.Skipped) != 3 || !want.Skipped[0].Retry || want.Skipped[1].Retry {
		t.Fatalf("skipped %+v", want.Skipped)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	o = openOP(t, dir, genesis)
	defer func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}()
	if got, ok, err := o.Recall(t.Context(), b); err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Fatalf("told again: %+v, %v, %v, want %+v", got, ok, err, want)
	}
	for _, other := range []execution.Block{block(10, transfer(t, 0, 0)), block(20, b.Transactions[1:]...), block(30)} {
		if got, ok, err := o.Recall(t.Context(), other); ok || err != nil {
			t.Errorf("of another block, %d: %+v, %v, %v", other.Height, got, ok, err)
		}
	}
}
