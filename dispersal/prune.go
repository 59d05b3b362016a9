package dispersal

import (
	"errors"
	"fmt"
	"math"

	"github.com/ordo-network/ordo/dispersal/lane"
)

// pruner removes shards and certificates that are older than RetainBlocks and, as Posted
// says, needed by nobody; whatever that is none of epochs whose batches may still be
// attested or ordered, nor of the one before: evidence may have one batch of each.
type pruner struct {
	node   *Node
	below  uint64 // what is of heights before it was removed
	seen   uint64 // height
	epochs []began
}

// began says that no batch of an epoch was taken at or before a height.
type began struct{ epoch, height uint64 }

// view removes what has become old. A failure leaves it for the next time.
func (p *pruner) view(v *lane.View) {
	below := p.due(v)
	if below == 0 {
		return
	}
	if err := p.prune(below); err != nil {
		p.node.opts.Logger.Warn("old shards and certificates stay on disk", "error", err)
	}
}

// due returns the height before which everything is to be removed; 0: nothing now.
func (p *pruner) due(v *lane.View) uint64 {
	if len(p.epochs) == 0 || p.epochs[len(p.epochs)-1].epoch < v.Epoch {
		p.epochs = append(p.epochs, began{v.Epoch, p.seen}) // 0 at the start: nobody knows
	}
	p.seen = v.Height
	for len(p.epochs) > 1 && p.epochs[1].epoch+2 <= v.Epoch {
		p.epochs = p.epochs[1:]
	}
	keep := p.node.opts.RetainBlocks
	posted := uint64(math.MaxUint64 - 1)
	if keep > 0 && p.node.opts.Posted != nil {
		posted = p.node.opts.Posted(v.Height) // it follows the chain, long before it counts
	}
	if keep == 0 || v.Height <= keep || p.epochs[0].epoch+2 > v.Epoch {
		return 0
	}
	below := min(v.Height-keep, p.epochs[0].height, posted+1)
	if below < p.below+max(1, keep/64) { // segments are large, so now and then is often enough
		return 0
	}
	return below
}

// prune makes durable how far lanes were attested, then removes records.
func (p *pruner) prune(below uint64) error {
	// Crash before the first write is durable: all records are there. After: what is
	// missing of them is covered. What is attested meanwhile is of a later height.
	if err := writeSpent(p.node.opts.Dir, p.node.attester.spent()); err != nil {
		return err
	}
	p.below = below
	if err := errors.Join(p.node.opts.Shards.Prune(below), p.node.opts.Certificates.Prune(below)); err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	return nil
}
