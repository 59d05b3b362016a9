package da

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// What is measured are blocks that a rollup really has: every transaction applies, and
// does what it is for.
func TestWorkloadsAreExecuted(t *testing.T) {
	for i, kind := range []string{kindTransfer, kindToken} {
		w, err := newWorkload(i, kind)
		if err != nil {
			t.Fatal(err)
		}
		client, err := evm.New(evm.Config{DataDir: t.TempDir(), Genesis: w.genesis})
		if err != nil {
			t.Fatal(err)
		}
		session, err := client.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		soft, sent, size := session.Soft.Hash, 0, 0
		for height := range uint64(3) {
			txs, err := w.next(100_000)
			if err != nil {
				t.Fatal(err)
			}
			sent += len(txs)
			for _, tx := range txs {
				size += len(tx)
			}
			r, err := client.Execute(t.Context(), soft, execution.Block{Height: height + 1, Time: time.Unix(int64(height)+2_000_000_000, 0), Transactions: txs})
			if err != nil || len(r.Skipped) > 0 {
				t.Fatalf("%s: %v, skipped %v", kind, err, r.Skipped)
			}
			soft = r.Head.Hash
		}
		if size < 270_000 || size > 330_000 {
			t.Errorf("%s: %d transactions have %d bytes, want about 300000", kind, sent, size)
		}
		chain := client.BlockChain()
		for number := range uint64(3) {
			for _, r := range chain.GetReceiptsByHash(chain.GetBlockByNumber(number + 1).Hash()) {
				if r.Status != types.ReceiptStatusSuccessful {
					t.Fatalf("%s: a transaction was reverted", kind)
				}
				if kind == kindToken && (len(r.Logs) != 1 || r.Logs[0].Topics[0] != transferTopic) {
					t.Fatalf("a transfer of tokens logs %v", r.Logs)
				}
			}
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTokensMove(t *testing.T) {
	w, err := newWorkload(0, kindToken)
	if err != nil {
		t.Fatal(err)
	}
	client, err := evm.New(evm.Config{DataDir: t.TempDir(), Genesis: w.genesis})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	session, err := client.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := w.next(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Execute(t.Context(), session.Soft.Hash, execution.Block{Height: 1, Time: time.Unix(2_000_000_000, 0), Transactions: raw}); err != nil {
		t.Fatal(err)
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw[0]); err != nil {
		t.Fatal(err)
	}
	state, err := client.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	to, amount := common.BytesToAddress(tx.Data()[4:36]), tx.Data()[36:68]
	if got := state.GetState(tokenAddress, balanceSlot(to)); !bytes.Equal(got[:], amount) {
		t.Errorf("the receiver has %x, was sent %x", got, amount)
	}
}

func TestWorkloadsRepeat(t *testing.T) {
	t.Parallel()
	var runs [2][][]byte
	for i := range runs {
		w, err := newWorkload(3, kindTransfer)
		if err != nil {
			t.Fatal(err)
		}
		if runs[i], err = w.next(20_000); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.EqualFunc(runs[0], runs[1], bytes.Equal) {
		t.Error("two runs send different transactions")
	}
}
