package rollup

import (
	"context"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

// noTerms keeps legs with terms from a client that does not know them: what it would do
// with them is what their user has ruled out.
type noTerms struct{ execution.Client }

const reasonNoTerms = "leg not applied: this rollup does not keep terms"

// Execute implements execution.Client.
func (c noTerms) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	left := b
	left.Transactions, left.Legs = nil, []execution.Leg{}
	var kept []execution.Skipped // from the client
	var at []int                 // in b, of what it gets
	next := 0
	for _, leg := range b.Legs {
		first := next
		next += leg.Transactions
		if first < next && terms.Is(b.Transactions[first]) {
			for i := first; i < next; i++ {
				kept = append(kept, execution.Skipped{Index: i, Reason: reasonNoTerms})
			}
			continue
		}
		left.Legs = append(left.Legs, leg)
		for i := first; i < next; i++ {
			left.Transactions, at = append(left.Transactions, b.Transactions[i]), append(at, i)
		}
	}
	if len(kept) == 0 {
		return c.Client.Execute(ctx, parent, b)
	}
	res, err := c.Client.Execute(ctx, parent, left)
	for _, s := range res.Skipped {
		if s.Index >= 0 && s.Index < len(at) {
			s.Index = at[s.Index]
			kept = append(kept, s)
		}
	}
	res.Skipped, res.Outcomes = kept, nil
	return res, err
}
