package execution

import "context"

// Outcome is what a transaction did, as a digest that two executions are compared
// by: equal where success, cost and what was logged are. Zero where it was skipped.
type Outcome [32]byte

// Speculator is what a Client may offer beside: it tries out the block that comes
// next, in memory alone. Nothing of it reaches a block that Execute makes. Its calls
// come one at a time; they may run while calls of Client do, and hold up none.
type Speculator interface {
	// Speculate executes a block that may follow the soft head, in place of what was
	// tried before. The block's hash may be zero, for nobody knows it yet. It returns
	// what each transaction did. Where ctx ends on the way, what was tried before stays.
	// Errors: ErrParent.
	Speculate(ctx context.Context, parent Hash, b Block) ([]Outcome, error)
	// Extend executes transactions behind those of the last Speculate, which was on
	// the same parent. After an error the caller begins anew with Speculate.
	// Errors: ErrParent, also where the soft head has moved.
	Extend(ctx context.Context, parent Hash, txs [][]byte) ([]Outcome, error)
}

// LegSpeculator is what a Speculator is where legs may have terms (see execution/terms):
// Speculate goes by the block's legs.
type LegSpeculator interface {
	Speculator
	// ExtendLegs is Extend for transactions that come in those legs, whole ones. Extend
	// takes transactions whose legs have no terms.
	ExtendLegs(ctx context.Context, parent Hash, txs [][]byte, legs []Leg) ([]Outcome, error)
}
