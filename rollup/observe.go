package rollup

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ethrpc"
	"github.com/ordo-network/ordo/gateway/pending"
)

// observe tells the gateway what became of its transactions, and the pending block
// that there is a new one below it.
func (n *Node) observe(ctx context.Context, out outcome) error {
	n.pending.Ordered(ordered(out))
	o := gateway.Observed{Height: out.Block.Height}
	for _, leg := range out.Block.Legs {
		o.Bundles = append(o.Bundles, leg.BundleID)
	}
	if out.Executed {
		o.Executed, o.Skipped = ethrpc.Outcome(out.Block.Transactions(), out.Result.Skipped)
	}
	return n.tell(ctx, o)
}

// ordered says what the pending block must know of a block of the order.
func ordered(out outcome) pending.Ordered {
	b := pending.Ordered{Height: out.Block.Height, Time: out.Block.Time, Head: out.Head}
	outcomes := out.Result.Outcomes
	for _, leg := range out.Block.Legs {
		var mine []execution.Outcome
		if n := len(leg.Transactions); n <= len(outcomes) {
			mine, outcomes = outcomes[:n:n], outcomes[n:]
		}
		if last := len(b.Bundles) - 1; last >= 0 && b.Bundles[last].ID == leg.BundleID {
			b.Bundles[last].Outcomes = append(b.Bundles[last].Outcomes, mine...) // another leg of it
			continue
		}
		b.Bundles = append(b.Bundles, pending.OrderedBundle{ID: leg.BundleID, Batch: leg.Batch, Outcomes: mine})
	}
	return b
}

// observeMissed tells the gateway of a block that was executed before a crash. Why
// the rest was skipped is not known any more: the gateway finds out by the state.
func (n *Node) observeMissed(ctx context.Context, b *follower.Block) error {
	o := gateway.Observed{Height: b.Height}
	for _, leg := range b.Legs {
		o.Bundles = append(o.Bundles, leg.BundleID)
	}
	for _, raw := range b.Transactions() {
		hash := crypto.Keccak256Hash(raw)
		executed, err := n.chain.Executed(hash)
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
