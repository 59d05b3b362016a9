package engine_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/terms"
)

// stranger is an account without funds.
func stranger(t testing.TB, n int) (tx []byte) {
	t.Helper()
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("stranger"), uint64(n)))
	k, err := crypto.ToECDSA(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	to := common.HexToAddress("0x1234")
	return sign(t, k, &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Gas: 21000, To: &to, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(100_000_000_000),
	})
}

// TestHostileListIsBounded: transactions of accounts without funds cost their senders
// nothing on the rollup. However many there are, the client is asked to build a bounded
// number of blocks, and what is sure to apply does.
func TestHostileListIsBounded(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	genesis, dir := plainGenesis(t), t.TempDir()
	p := peerOf(t, ethclients.OPGeth, genesis, dir)
	secret, err := engine.LoadSecret(p.process.SecretFile())
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	api, err := engine.Dial(t.Context(), engine.Config{URL: p.process.EngineURL(), Secret: secret, Logger: quiet(), Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	o, err := engine.NewOP(engine.OPConfig{API: api, Dir: dir + "/journal", Genesis: genesis, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()

	var txs [][]byte
	valid := map[int]bool{}
	for i := range 2000 {
		if i%100 == 50 {
			valid[len(txs)] = true
			txs = append(txs, transfer(t, 0, uint64(i/100)))
		}
		txs = append(txs, stranger(t, i))
	}
	began := time.Now()
	result := executeOn(t, o, execution.Block{Height: 1, Hash: execution.Hash{1}, Time: time.Unix(1_900_000_000, 0), Transactions: txs})
	took := time.Since(began)
	retry := 0
	for _, s := range result.Skipped {
		if valid[s.Index] {
			t.Errorf("transaction %d is skipped: %s", s.Index, s.Reason)
		}
		if s.Retry {
			retry++
		}
	}
	if want := len(txs) - len(valid); len(result.Skipped) != want {
		t.Errorf("%d transactions are skipped, want %d", len(result.Skipped), want)
	}
	builds := counter(t, registry, "ordo_engine_builds_total")
	if builds > 100 {
		t.Errorf("the client was asked to build %v blocks", builds)
	}
	t.Logf("%d transactions, %d of them valid: %v builds, %s, %d may come again", len(txs), len(valid), builds, took.Round(time.Millisecond), retry)
}

func executeOn(t testing.TB, c execution.Client, b execution.Block) execution.Result {
	t.Helper()
	s, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.Execute(t.Context(), s.Soft.Hash, b)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func counter(t testing.TB, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestLegsWithTermsAreSkippedWhole, for op-geth cannot undo them, and others are not.
func TestLegsWithTermsAreSkippedWhole(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	genesis, dir := plainGenesis(t), t.TempDir()
	o := openOP(t, dir, genesis)
	defer func() { _ = o.Close() }()
	said := terms.Terms{MaxBlock: 9}.Encode()
	result := executeOn(t, o, execution.Block{
		Height: 1, Hash: execution.Hash{1}, Time: time.Unix(1_900_000_000, 0),
		Transactions: [][]byte{transfer(t, 0, 0), said, transfer(t, 1, 0), transfer(t, 1, 1), transfer(t, 2, 0), said},
		Legs:         []execution.Leg{{Transactions: 1}, {Transactions: 3}, {Transactions: 2}},
	})
	want := []int{1, 2, 3, 5}
	var got []int
	for _, s := range result.Skipped {
		got = append(got, s.Index)
		if s.Retry || s.Reason == "" {
			t.Errorf("transaction %d is skipped as %+v", s.Index, s)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("skipped %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("skipped %v, want %v", got, want)
		}
	}
}
