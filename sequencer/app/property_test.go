package app_test

import (
	"context"
	"fmt"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
)

// Whatever comes into the pool, what this node proposes it accepts; and another
// node that only executes, and is restarted now and then, gets the same state. The
// two chains go on from one run of the property to the next.
func TestProposalsAreAcceptedAndExecutedAlike(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	w := startTwin(t, c.genesis)
	seen := map[order.BundleID]bool{}
	var known, elsewhere []*order.Bundle
	other := uint64(0) // batches in the other lane
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 6).Draw(rt, "blocks") {
			for i := range rapid.IntRange(0, 6).Draw(rt, "bundles") {
				b := drawBundle(rt, c, i)
				if len(known) > 0 && rapid.IntRange(0, 4).Draw(rt, "again") == 0 {
					b = rapid.SampledFrom(known[max(0, len(known)-20):]).Draw(rt, "which")
				}
				known = append(known, b)
				switch rapid.IntRange(0, 3).Draw(rt, "how") {
				case 0: // in another lane, whose owner is not so careful
					elsewhere = append(elsewhere, b)
				default:
					_, _ = c.app.Pool().Submit(context.Background(), b.Encode())
				}
			}
			if rapid.IntRange(0, 3).Draw(rt, "transfer") == 0 {
				from := rapid.IntRange(0, funded-1).Draw(rt, "from")
				if have := c.balance(payerAddress(from)); have > 2000 {
					amount := rapid.Uint64Range(1, have-1000).Draw(rt, "amount")
					_ = c.app.Pool().Insert(c.transfer(from, payerAddress((from+1)%funded), amount))
				}
			}
			if len(elsewhere) > 0 && rapid.Bool().Draw(rt, "other lane") {
				other++
				c.lanes.hold(rt, c.certify(batch{
					owner: 1, at: mark(1, other), epoch: c.lanes.view.Epoch, bundles: elsewhere,
					clock: uint64(c.time.UnixMilli()) - rapid.Uint64Range(0, 300).Draw(rt, "lateness"),
				}))
				elsewhere = nil
			}
			if rapid.IntRange(0, 9).Draw(rt, "short block") == 0 {
				w.follow(c, c.apply(c.layout(nil, nil))) // nothing is required yet
			}
			out := c.block()
			for _, o := range out.block.Bundles {
				require.False(rt, seen[o.ID], "ordered twice")
				seen[o.ID] = true
			}
			if rapid.IntRange(0, 30).Draw(rt, "restart") == 0 {
				w.reopen()
			}
			w.follow(c, out)
		}
	})
	require.NotEmpty(t, seen)
}

func drawBundle(rt *rapid.T, c *chain, i int) *order.Bundle {
	b := &order.Bundle{
		Expiry:   uint64(c.height) + rapid.Uint64Range(0, 12).Draw(rt, "expiry"),
		FeeLimit: rapid.SampledFrom([]uint64{1, 1000, funds}).Draw(rt, "fee limit"),
		Legs: []order.Leg{{
			RollupID:     rapid.SampledFrom([]order.RollupID{alpha, beta}).Draw(rt, "rollup"),
			Transactions: [][]byte{make([]byte, rapid.IntRange(1, 300).Draw(rt, "size")), fmt.Append(nil, c.height, i)},
		}},
	}
	b.Sign(chainID, laneOwner(0), payer(rapid.IntRange(0, funded).Draw(rt, "payer")))
	return b
}

// twin executes the blocks of a chain, as a node that syncs does.
type twin struct{ *chain }

func startTwin(t *testing.T, genesis *cmttypes.GenesisDoc) *twin {
	w := &twin{chain: start(t, genesis, "")}
	t.Cleanup(func() { _ = w.app.Pool().Close() })
	return w
}

func (w *twin) reopen() {
	require.NoError(w.t, w.app.Pool().Close())
	w.open()
}

func (w *twin) follow(c *chain, out outcome) {
	res, err := w.finalize(out.txs)
	require.NoError(w.t, err)
	require.Equal(w.t, out.res.AppHash, res.AppHash)
	require.Equal(w.t, out.res.TxResults, res.TxResults)
	w.save(c.said)
	require.Equal(w.t, c.time, w.time)
}
