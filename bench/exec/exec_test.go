package exec

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// TestWorkloadsDoWhatTheySay: each kind's transactions apply, none reverts, and the same blocks
// give the same head again.
func TestWorkloadsDoWhatTheySay(t *testing.T) {
	const blocks, each = 3, 300 // more than the senders
	for number, kind := range Kinds {
		w, err := newWorkload(kind, number)
		if err != nil {
			t.Fatal(err)
		}
		var list []execution.Block
		for i := range blocks {
			txs, err := w.next(each)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, execution.Block{Height: uint64(i + 1), Hash: [32]byte{byte(i + 1)}, Time: time.Unix(1_800_000_000+int64(i), 0), Transactions: txs})
		}
		dir := t.TempDir()
		if err := writeRollup(dir, w, list); err != nil {
			t.Fatal(err)
		}
		data := t.TempDir()
		got, err := Execute(t.Context(), dir, data)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		again, err := Execute(t.Context(), dir, t.TempDir())
		if err != nil || again.Head != got.Head || got.Head == (common.Hash{}) {
			t.Errorf("%s: heads %s and %s: %v", kind, got.Head, again.Head, err)
		}
		gas := uint64(0)
		for _, b := range got.Blocks {
			if b.Transactions != each {
				t.Errorf("%s: a block of %d transactions", kind, b.Transactions)
			}
			gas += b.Gas
		}
		gas /= blocks * each
		t.Logf("%s: %d gas each", kind, gas)
		if want := map[string][2]uint64{KindTransfers: {21_000, 21_000}, KindTokens: {30_000, 60_000}, KindSwaps: {80_000, 150_000}}[kind]; gas < want[0] || gas > want[1] {
			t.Errorf("%s: %d gas each, want %d to %d", kind, gas, want[0], want[1])
		}
		if kind == KindSwaps {
			checkPair(t, w, data)
		}
	}
}

// checkPair checks that trades left the pair with what it says it has, that nothing was made or
// lost, and that it earned by them.
func checkPair(t *testing.T, w *workload, data string) {
	t.Helper()
	c, err := evm.New(evm.Config{DataDir: data, Genesis: w.genesis})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	state, err := c.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	slot := func(a common.Address, s common.Hash) *big.Int { return state.GetState(a, s).Big() }
	has0, has1 := slot(token0, mapped(pair, common.Hash{})), slot(token1, mapped(pair, common.Hash{}))
	packed := slot(pair, common.BigToHash(common.Big2))
	mask := new(big.Int).Sub(new(big.Int).Lsh(common.Big1, 112), common.Big1)
	reserve0, reserve1 := new(big.Int).And(packed, mask), new(big.Int).And(new(big.Int).Rsh(packed, 112), mask)
	if reserve0.Cmp(has0) != 0 || reserve1.Cmp(has1) != 0 {
		t.Errorf("reserves are %s and %s, balances %s and %s", reserve0, reserve1, has0, has1)
	}
	began := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(params.Ether))
	if has0.Cmp(began) == 0 || new(big.Int).Mul(has0, has1).Cmp(new(big.Int).Mul(began, began)) <= 0 {
		t.Errorf("the pair earned nothing: it has %s and %s", has0, has1)
	}
	for _, token := range []common.Address{token0, token1} {
		sum := slot(token, mapped(pair, common.Hash{}))
		for _, owner := range w.owners {
			sum.Add(sum, slot(token, mapped(owner, common.Hash{})))
		}
		if supply := slot(token, common.BigToHash(common.Big2)); sum.Cmp(supply) != 0 {
			t.Errorf("balances are %s together, the supply is %s", sum, supply)
		}
	}
	if slot(pair, common.BigToHash(big.NewInt(3))).Sign() == 0 {
		t.Error("no prices were summed up")
	}
}

func TestExecuteRefusesWhatFails(t *testing.T) {
	w, err := newWorkload(KindTokens, 1)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := w.next(3)
	if err != nil {
		t.Fatal(err)
	}
	for want, list := range map[string][][]byte{"1 transactions of sequencer height 1 were skipped": {txs[0], []byte("garbage")}} {
		dir := t.TempDir()
		if err := writeRollup(dir, w, []execution.Block{{Height: 1, Time: time.Unix(1_800_000_000, 0), Transactions: list}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Execute(t.Context(), dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestOptionsHaveBounds(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{DefaultOptions(), DefaultOptions().Quick()} {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, change := range map[string]func(*Options){
		"--only is empty":    func(o *Options) { o.Kinds = nil },
		`--only has "sell"`:  func(o *Options) { o.Kinds = []string{"sell"} },
		"--validators is 32": func(o *Options) { o.Validators = 32 },
		"--block-time is 0s": func(o *Options) { o.BlockTime = 0 },
		"--duration is 1ms":  func(o *Options) { o.Duration = time.Millisecond },
		"--load is 0":        func(o *Options) { o.Load = 0 },
		"--rounds is 0":      func(o *Options) { o.Rounds = 0 },
	} {
		o := DefaultOptions()
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
