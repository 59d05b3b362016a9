package engine_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/executiontest"
)

func openMirror(t testing.TB, dir string) *engine.Mirror {
	t.Helper()
	genesis := evm.DevGenesis(chainID, nil)
	p := peerOf(t, ethclients.Geth, encode(t, genesis), dir)
	m, err := engine.NewMirror(openEVM(t, filepath.Join(dir, "evm"), genesis), p.dial(t), quiet())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMirrorConformance(t *testing.T) {
	t.Parallel()
	need(t, ethclients.Geth)
	executiontest.Run(t, executiontest.Harness{
		Open:        func(t *testing.T, dir string) execution.Client { return openMirror(t, dir) },
		Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n) },
		Invalid:     invalid(t),
		BlockTime:   time.Second,
	})
}
