package astria_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/terms"
)

// order returns the blocks of a chain: valid transactions, garbage, and nothing.
func order(t testing.TB, n int) (blocks []execution.Block) {
	var sent uint64
	for i := range n {
		b := sequencerBlock(uint64(i + 1))
		for range i % 3 {
			b.Transactions = append(b.Transactions, transfer(t, 0, sent), []byte("garbage"))
			sent++
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// heads executes the blocks without a network.
func heads(t testing.TB, blocks []execution.Block) (heads []execution.Head) {
	t.Helper()
	vm, err := evm.New(evm.Config{DataDir: t.TempDir(), Genesis: evm.DevGenesis(chainID, nil), CacheMB: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := vm.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := vm.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	heads = append(heads, s.Soft)
	for _, b := range blocks {
		res, err := vm.Execute(t.Context(), heads[len(heads)-1].Hash, b)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, res.Head)
	}
	return heads
}

// Legs with terms mean the same to a machine in another process.
func TestTermsElsewhere(t *testing.T) {
	t.Parallel()
	here, err := evm.New(evm.Config{DataDir: t.TempDir(), Genesis: evm.DevGenesis(chainID, nil), CacheMB: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := here.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := openRemote(t, t.TempDir())
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	b := sequencerBlock(1)
	leg := func(rollups int, terms *terms.Terms, txs ...[]byte) {
		if terms != nil {
			txs = append([][]byte{terms.Encode()}, txs...)
		}
		b.Legs = append(b.Legs, execution.Leg{Bundle: b.Hash, Height: 1, Position: len(b.Legs), Rollups: make([]execution.Hash, rollups), Transactions: len(txs)})
		b.Transactions = append(b.Transactions, txs...)
	}
	leg(1, nil, transfer(t, 0, 0), []byte("garbage"))
	leg(1, &terms.Terms{MinBlock: 2}, transfer(t, 0, 1))
	leg(1, &terms.Terms{}, transfer(t, 0, 1), []byte("garbage"))
	leg(2, &terms.Terms{AllOrNothing: true}, transfer(t, 0, 1))
	leg(1, &terms.Terms{AllOrNothing: true}, transfer(t, 0, 1))
	var results []execution.Result
	for _, client := range []execution.Client{here, c} {
		s, err := client.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Execute(t.Context(), s.Soft.Hash, b)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, res)
	}
	index := func(r execution.Result) (out []int) {
		for _, x := range r.Skipped {
			out = append(out, x.Index)
		}
		return out
	}
	if results[0].Head != results[1].Head || !slices.Equal(index(results[0]), []int{1, 2, 3, 4, 5, 6, 7, 8}) || !slices.Equal(index(results[0]), index(results[1])) {
		t.Errorf("here it is %+v, elsewhere %+v", results[0], results[1])
	}
}

// The server is killed at random points, the node beside it gives up its client at
// others: both go on, no block is missing, none is made twice.
func TestKill(t *testing.T) {
	t.Parallel()
	blocks := order(t, 120)
	want := heads(t, blocks)
	h := newHost(t, t.TempDir())

	ctx, stop := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	var kills atomic.Int64
	opened := make(chan struct{}, 1) // a session since the last kill: however slow its start, it gets on
	killer.Go(func() {
		random := rand.New(rand.NewPCG(1, 2))
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(300+random.IntN(700)) * time.Millisecond):
				select {
				case <-opened:
				case <-ctx.Done():
					return
				}
				h.kill()
				h.start()
				kills.Add(1)
			}
		}
	})
	random := rand.New(rand.NewPCG(3, 4))
	at, firm := 0, 0
	for rounds := 0; at < len(blocks) || kills.Load() < 5; rounds++ {
		c := dial(t, h.config())
		s, err := c.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		select {
		case opened <- struct{}{}:
		default:
		}
		// It may be a block further than this side knows, and never one back: what was
		// answered is on disk.
		if n := int(s.Soft.Number); n != at && n != at+1 || s.Soft.Hash != want[n].Hash || s.Soft.Height != uint64(n) {
			t.Fatalf("after block %d the session stands at %+v, want %+v", at, s.Soft, want[at])
		}
		if n := int(s.Firm.Number); n != firm && n != firm+1 || s.Firm.Hash != want[n].Hash {
			t.Fatalf("firm is %+v, want block %d", s.Firm, firm)
		}
		at, firm = int(s.Soft.Number), int(s.Firm.Number)
		for range 1 + random.IntN(20) {
			// Every call may be cut off, too.
			call, cancel := context.WithTimeout(t.Context(), time.Duration(1+random.IntN(3000))*time.Millisecond)
			if at == len(blocks) || random.IntN(4) == 0 && firm < at {
				if firm < at {
					err = c.SetFirm(call, want[firm+1].Hash)
					if err == nil {
						firm++
					}
				}
			} else {
				var res execution.Result
				res, err = c.Execute(call, want[at].Hash, blocks[at])
				if err == nil {
					at++
					if res.Head.Hash != want[at].Hash || res.Head.Number != uint64(at) || res.Head.Height != uint64(at) {
						t.Fatalf("block %d is %+v, want %+v", at, res.Head, want[at])
					}
				}
			}
			cut := call.Err() != nil
			cancel()
			if err != nil && !cut {
				t.Fatalf("at block %d: %v", at, err)
			}
			if err != nil {
				break
			}
		}
		_ = c.Close()
		if rounds > 5000 {
			t.Fatal("it does not come to an end")
		}
	}
	stop()
	killer.Wait()
	t.Logf("%d blocks, %d kills", at, kills.Load())
}
