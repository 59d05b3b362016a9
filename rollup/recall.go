package rollup

import (
	"context"
	"slices"

	"github.com/ordo-network/ordo/execution"
)

// again returns what became of a block that is not above the soft head: it was executed
// before a crash, and not noted. Where nobody knows that of the soft head any more, a node
// with an index takes all of it for applied, for the index is what keeps a transaction
// from being sent again.
func (d *driver) again(ctx context.Context, b execution.Block) (execution.Result, bool, error) {
	res, ok, err := d.executor.recall(ctx, b)
	if err != nil || ok {
		return res, ok, err
	}
	return execution.Result{Head: d.at.soft}, d.hash != nil && b.Height == d.at.soft.Height, nil
}

// recall implements executor.
func (a alone) recall(ctx context.Context, b execution.Block) (res execution.Result, ok bool, err error) {
	if r, can := a.client.(execution.Recaller); can {
		return r.Recall(ctx, b)
	}
	return res, false, nil
}

// recall implements executor, with the verdicts that the domain reached.
func (s seated) recall(ctx context.Context, b execution.Block) (execution.Result, bool, error) {
	last, ok, err := s.journal.Last()
	if err != nil {
		return execution.Result{}, false, err
	}
	if ok && s.index < len(last.Blocks) {
		b.Legs = decided(b.Legs, last.Blocks[s.index].Legs)
	}
	return s.alone.recall(ctx, b)
}

// decided returns legs as verdicts were reached on them, where it is them.
func decided(legs, with []execution.Leg) []execution.Leg {
	same := slices.EqualFunc(legs, with, func(a, b execution.Leg) bool {
		return a.Height == b.Height && a.Bundle == b.Bundle && a.Index == b.Index && a.Transactions == b.Transactions
	})
	if !same {
		return legs
	}
	return with
}
