package pending_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/pending"
	"github.com/ordo-network/ordo/order"
)

// Whatever comes in, trying it out takes no more than a quarter of the time.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource("one")
		work := &worker{each: 20 * time.Millisecond}
		o, err := pending.New(pending.Config{Rollup: rollupID, Sources: []pending.Source{s}, Speculator: work})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		const long = 20 * time.Second
		id := func(height uint64) order.BundleID { return sha256.Sum256(fmt.Append(nil, "bundle", height)) }
		began, height := time.Now(), uint64(0)
		for time.Since(began) < long {
			height++
			o.Ordered(pending.Ordered{
				Height: height, Time: time.Now(), Head: execution.Head{Hash: sha256.Sum256(fmt.Append(nil, height))},
				Bundles: []pending.OrderedBundle{{ID: id(height - 50)}},
			})
			s.batches <- gateway.Certified{
				Position: order.Position{Mark: order.Mark{Session: 1, Sequence: height}}, OrderTime: 1000,
				Bundles: []gateway.CertifiedBundle{{ID: id(height), Transactions: [][]byte{{1}}}},
			}
			time.Sleep(time.Millisecond)
		}
		stop()
		wg.Wait()
		if work.busy > long/4+work.each || work.busy < long/5 {
			t.Errorf("tried for %s of %s, want about a quarter", work.busy, long)
		}
	})
}

// worker is a speculator that takes its time.
type worker struct{ each, busy time.Duration }

func (w *worker) Speculate(_ context.Context, _ execution.Hash, b execution.Block) ([]execution.Outcome, error) {
	time.Sleep(w.each)
	w.busy += w.each
	return make([]execution.Outcome, len(b.Transactions)), nil
}

func (w *worker) Extend(ctx context.Context, parent execution.Hash, txs [][]byte) ([]execution.Outcome, error) {
	return w.Speculate(ctx, parent, execution.Block{Transactions: txs})
}

// More than one step can try at once is shown all the same, and what does not fit
// the block is not.
func TestManySteps(t *testing.T) {
	t.Parallel()
	n := start(t)
	const senders, each = 10, 150
	for from := range senders {
		for nonce := range uint64(each) {
			n.certify(byte(from), nonce+1, 1000+nonce, newBundle(transfer(t, from, nonce, beef, 1)))
		}
	}
	n.shows(beef, senders*each)
	n.order() // all of it anew
	n.shows(beef, senders*each)
}
