package rollup

import (
	"context"
	"fmt"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/pending"
	"github.com/ordo-network/ordo/order"
)

// observe tells the gateway what became of its transactions, and the pending block
// that there is a new one below it.
func (n *Node) observe(ctx context.Context, out outcome) error {
	if n.pending != nil {
		n.pending.Ordered(ordered(out))
	}
	for i := range out.Blocks {
		n.certified.Tell(out.Blocks[i].transactions())
	}
	if out.Forgotten {
		for i := range out.Blocks {
			if err := n.observeMissed(ctx, out.Blocks[i]); err != nil {
				return err
			}
		}
		return nil
	}
	for _, o := range observed(out, n.machine.hash) {
		if err := n.tell(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// gather shows in the pending block what waits for its rollup block. The gateway hears of
// it when that is made.
func (n *Node) gather(b block) {
	if n.pending == nil {
		return
	}
	g := pending.Gathered{Height: b.Height, Time: b.Time}
	for _, l := range b.Legs {
		g.Legs = append(g.Legs, pending.GatheredLeg{Leg: l.Leg, Batch: l.Batch, Transactions: l.Txs})
	}
	n.pending.Gathered(g)
	n.certified.Tell(b.transactions())
}

// observed says what the gateway must know: block by block of the order.
func observed(out outcome, hash func([]byte) [32]byte) (all []gateway.Observed) {
	skipped, offset := out.Result.Skipped, 0
	for i := range out.Blocks {
		b := &out.Blocks[i]
		o := gateway.Observed{Height: b.Height, Block: out.Head.Number, Time: out.Head.Time}
		for _, l := range b.Legs {
			id := order.BundleID(l.Bundle)
			o.Bundles = append(o.Bundles, id)
			for _, tx := range l.Txs {
				if len(skipped) > 0 && skipped[0].Index == offset {
					o.Skipped = append(o.Skipped, gateway.Skipped{Hash: hash(tx), Bundle: id, Reason: skipped[0].Reason, Retry: skipped[0].Retry})
					skipped = skipped[1:]
				} else {
					o.Executed = append(o.Executed, hash(tx))
				}
				offset++
			}
		}
		all = append(all, o)
	}
	return all
}

// ordered says what the pending block must know of what was executed.
func ordered(out outcome) pending.Ordered {
	last := out.Blocks[len(out.Blocks)-1]
	b := pending.Ordered{Height: last.Height, Time: last.Time, Head: out.Soft, Took: out.Took}
	outcomes := out.Result.Outcomes
	for i := range out.Blocks {
		for _, leg := range out.Blocks[i].Legs {
			var mine []execution.Outcome
			if n := len(leg.Txs); n <= len(outcomes) {
				mine, outcomes = outcomes[:n:n], outcomes[n:]
			}
			id := order.BundleID(leg.Bundle)
			if last := len(b.Bundles) - 1; last >= 0 && b.Bundles[last].ID == id {
				b.Bundles[last].Outcomes = append(b.Bundles[last].Outcomes, mine...) // another leg of it
				continue
			}
			b.Bundles = append(b.Bundles, pending.OrderedBundle{ID: id, Batch: leg.Batch, Outcomes: mine})
		}
	}
	return b
}

// observeMissed tells the gateway of a block that was executed before a crash. Why
// the rest was skipped is not known any more: the gateway finds out by the state.
func (n *Node) observeMissed(ctx context.Context, b block) error {
	o := gateway.Observed{Height: b.Height}
	for _, leg := range b.Legs {
		o.Bundles = append(o.Bundles, order.BundleID(leg.Bundle))
	}
	for _, raw := range b.transactions() {
		hash := n.machine.hash(raw)
		executed, err := n.machine.chain().Executed(hash)
		if err != nil {
			return err
		}
		if executed {
			o.Executed = append(o.Executed, hash)
		}
	}
	return n.tell(ctx, o)
}

// tell reports to the gateway.
func (n *Node) tell(ctx context.Context, o gateway.Observed) error {
	if err := n.gateway.Observe(ctx, o); err != nil {
		return fmt.Errorf("tell the gateway of sequencer block %d: %w", o.Height, err)
	}
	return nil
}
