package execution

import "context"

// Lockstep is what a Client offers beside where its rollup may be part of a domain:
// rollups that one node executes together, so that a bundle's legs on several of them
// are applied all or none.
type Lockstep interface {
	// Begin starts a block on the soft head, in memory alone. b's transactions and legs
	// are not looked at: they come one leg at a time. One block is in the making at a
	// time; Execute ends it.
	// Errors: ErrParent, ErrHeight.
	Begin(ctx context.Context, parent Hash, b Block) (Making, error)
}

// Making is a block in the making. Calls come one at a time. After an error only Drop
// may be called.
type Making interface {
	// Add applies a leg by its own terms, if it has any.
	Add(ctx context.Context, leg Leg, txs [][]byte) error
	// Try applies a leg whose terms hang on other legs, as if they held, and says whether
	// it could be. Keep follows before anything else.
	Try(ctx context.Context, leg Leg, txs [][]byte) (ok bool, reason string, err error)
	// Keep ends a Try: what it did stays, or leaves no trace, the leg's transactions then
	// being skipped for the reason.
	Keep(ctx context.Context, keep bool, reason string) error
	// Commit ends the block as Execute would with the same legs and verdicts: it is on
	// disk, and the soft head.
	Commit(ctx context.Context) (Result, error)
	// Drop gives the block up. Idempotent; nothing after Commit.
	Drop()
}
