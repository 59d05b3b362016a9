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
	w := withhold(b)
	res, err := c.Client.Execute(ctx, parent, w.rest)
	return w.complete(res), err
}

// Recall implements execution.Recaller, where the client does.
func (c noTerms) Recall(ctx context.Context, b execution.Block) (res execution.Result, ok bool, err error) {
	r, can := c.Client.(execution.Recaller)
	if !can {
		return res, false, nil
	}
	w := withhold(b)
	res, ok, err = r.Recall(ctx, w.rest)
	return w.complete(res), ok, err
}

// withheld is a block without its legs with terms.
type withheld struct {
	rest execution.Block
	at   []int               // in the whole block, of what the rest has
	kept []execution.Skipped // what it has not
}

func withhold(b execution.Block) withheld {
	w := withheld{rest: b}
	w.rest.Transactions, w.rest.Legs = nil, []execution.Leg{}
	next := 0
	for _, leg := range b.Legs {
		first := next
		next += leg.Transactions
		if first < next && terms.Is(b.Transactions[first]) {
			for i := first; i < next; i++ {
				w.kept = append(w.kept, execution.Skipped{Index: i, Reason: reasonNoTerms})
			}
			continue
		}
		w.rest.Legs = append(w.rest.Legs, leg)
		for i := first; i < next; i++ {
			w.rest.Transactions, w.at = append(w.rest.Transactions, b.Transactions[i]), append(w.at, i)
		}
	}
	if len(w.kept) == 0 {
		w.rest = b
	}
	return w
}

// complete returns what became of the whole block.
func (w withheld) complete(res execution.Result) execution.Result {
	if len(w.kept) == 0 {
		return res
	}
	skipped := w.kept
	for _, s := range res.Skipped {
		if s.Index >= 0 && s.Index < len(w.at) {
			s.Index = w.at[s.Index]
			skipped = append(skipped, s)
		}
	}
	res.Skipped, res.Outcomes = skipped, nil
	return res
}
