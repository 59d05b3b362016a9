package evm_test

import (
	"context"
	"math/big"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/test/await"
)

func pending(t testing.TB, c *evm.Client) *evm.Pending {
	t.Helper()
	p, _, err := c.Pending()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func speculate(t testing.TB, c *evm.Client, b execution.Block) []execution.Outcome {
	t.Helper()
	out, err := c.Speculate(t.Context(), session(t, c).Soft.Hash, b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func balance(p *evm.Pending, addr common.Address) (n *uint256.Int) {
	p.Read(func(s *state.StateDB) { n = s.GetBalance(addr).Clone() })
	return n
}

// The pending block is what Execute then makes of the same transactions: same
// receipts, same header but for what nobody can know yet.
func TestPendingIsTheNextBlock(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	for _, b := range eventful(t) {
		half := len(b.Transactions) / 2
		first := b
		first.Transactions = b.Transactions[:half]
		tried := speculate(t, c, first)
		parent := session(t, c).Soft.Hash
		more, err := c.Extend(t.Context(), parent, b.Transactions[half:])
		if err != nil {
			t.Fatal(err)
		}
		tried = append(tried, more...)
		p := pending(t, c)
		block, receipts := p.Block()
		var coinbase *uint256.Int
		p.Read(func(s *state.StateDB) { coinbase = s.GetBalance(common.Address{}) })

		res := execute(t, c, b)
		made := c.BlockChain().GetBlockByHash(res.Head.Hash)
		if len(tried) != len(res.Outcomes) {
			t.Fatalf("sequencer block %d: %d outcomes tried, %d executed", b.Height, len(tried), len(res.Outcomes))
		}
		for i := range tried {
			if tried[i] != res.Outcomes[i] {
				t.Errorf("sequencer block %d: transaction %d did something else than what was tried", b.Height, i)
			}
		}
		h, want := block.Header(), made.Header()
		if h.TxHash != want.TxHash || h.ReceiptHash != want.ReceiptHash || h.Bloom != want.Bloom || h.GasUsed != want.GasUsed ||
			h.BaseFee.Cmp(want.BaseFee) != 0 || h.Number.Cmp(want.Number) != 0 || h.Time != want.Time || h.GasLimit != want.GasLimit || h.ParentHash != want.ParentHash {
			t.Errorf("sequencer block %d: pending header %+v, made %+v", b.Height, h, want)
		}
		if len(receipts) != len(made.Transactions()) {
			t.Errorf("%d receipts, want %d", len(receipts), len(made.Transactions()))
		}
		after, err := c.BlockChain().State()
		if err != nil {
			t.Fatal(err)
		}
		if got := after.GetBalance(common.Address{}); got.Cmp(coinbase) != 0 {
			t.Errorf("fee recipient has %s, tried %s", got, coinbase)
		}
	}
}

// Trials leave no trace: a chain beside which everything was tried, what comes and
// what does not, has the hashes of one where nothing was.
func TestTrialsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	plain, busy := open(t, t.TempDir()), open(t, t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	var trials sync.WaitGroup
	to := common.HexToAddress("0x7777")
	trials.Go(func() {
		for n := uint64(0); ctx.Err() == nil; n++ {
			b := block(n+1, transfer(t, 0, n%3, to), transfer(t, 1, n%5, to), []byte("garbage"))
			s, err := busy.Open(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := busy.Speculate(ctx, s.Soft.Hash, b); err == nil {
				_, _ = busy.Extend(ctx, s.Soft.Hash, [][]byte{transfer(t, 0, n%3+1, to)}) // the head may move
			}
		}
	})
	for _, b := range eventful(t) {
		if one, two := execute(t, plain, b), execute(t, busy, b); one.Head != two.Head {
			t.Errorf("sequencer block %d: head %+v, with trials %+v", b.Height, one.Head, two.Head)
		}
	}
	stop()
	trials.Wait()
}

func TestPendingFollowsTheHead(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	to := common.HexToAddress("0x7777")
	if p := pending(t, c); p.Header().Number.Uint64() != 1 || !balance(p, to).IsZero() {
		t.Errorf("nothing tried: block %s", p.Header().Number)
	}
	execute(t, c, block(1))
	if p := pending(t, c); p.Header().Number.Uint64() != 2 {
		t.Errorf("nothing tried: pending block is %s after block 1", p.Header().Number)
	}
	tx := transfer(t, 0, 0, to)
	_, changed, err := c.Pending()
	if err != nil {
		t.Fatal(err)
	}
	speculate(t, c, block(2, tx))
	await.Receive(t, "that pending has changed", changed)
	first := pending(t, c)
	if balance(first, to).IsZero() {
		t.Error("the transfer is not visible in pending")
	}
	hash := new(types.Transaction)
	if err := hash.UnmarshalBinary(tx); err != nil {
		t.Fatal(err)
	}
	if _, receipt, i, ok := first.Transaction(hash.Hash()); !ok || i != 0 || receipt.Status != types.ReceiptStatusSuccessful || receipt.BlockNumber.Uint64() != 2 {
		t.Errorf("transaction in pending: %+v, %d, %v", receipt, i, ok)
	}
	fork := first.Fork()
	fork.SetNonce(to, 99, 0)
	var nonce uint64
	first.Read(func(s *state.StateDB) { nonce = s.GetNonce(to) })
	if nonce != 0 {
		t.Error("a fork is not apart")
	}
	// One block later the trial still stands, for a new one is on its way; two later
	// nobody believes in it.
	execute(t, c, block(2))
	if pending(t, c) != first {
		t.Error("pending went away before a new one was there")
	}
	execute(t, c, block(3))
	if p := pending(t, c); p.Header().Number.Uint64() != 4 || !balance(p, to).IsZero() {
		t.Errorf("stale trial: block %s", p.Header().Number)
	}
}

// A block that is full takes no more, and what is over costs next to nothing.
func TestPendingFull(t *testing.T) {
	t.Parallel()
	genesis := evm.DevGenesis(chainID, nil)
	genesis.GasLimit = 105_000
	c := openGenesis(t, t.TempDir(), genesis)
	to := common.HexToAddress("0x7777")
	var txs [][]byte
	for n := range uint64(400) {
		txs = append(txs, transfer(t, 0, n, to))
	}
	out := speculate(t, c, block(1, txs...))
	executed := 0
	for _, o := range out {
		if o != (execution.Outcome{}) {
			executed++
		}
	}
	if executed != 5 || len(out) != 400 {
		t.Errorf("%d of %d executed, want 5 of 400", executed, len(out))
	}
	if got := balance(pending(t, c), to).ToBig(); got.Cmp(big.NewInt(5)) != 0 {
		t.Errorf("balance %s", got)
	}
}
