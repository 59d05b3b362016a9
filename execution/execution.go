// Package execution is the seam between the order and a rollup's virtual
// machine. In come ordered transactions, block by block; out go heads. The
// sequencer executes nothing and checks no transaction, so an implementation
// skips, deterministically, what it cannot decode or apply, and never fails for
// it: the same blocks on the same genesis give the same heads on every node.
package execution

import (
	"context"
	"errors"
	"time"
)

// Errors that every implementation returns, told apart by errors.Is.
var (
	// ErrParent is returned by Execute where the parent is not the soft head.
	ErrParent = errors.New("parent is not the soft head")
	// ErrHeight is returned by Execute for a sequencer height that does not rise
	// above the one that the soft head was made from.
	ErrHeight = errors.New("sequencer height does not rise")
	// ErrTime is returned by Execute, of clients whose blocks must rise in time by whole
	// seconds, for a block that does not lie after the soft head. Pace keeps from it.
	ErrTime = errors.New("time does not rise")
	// ErrAhead is returned by Execute, of clients that bound how far soft may lead firm,
	// where it leads by that much: the same call passes once firm has moved.
	ErrAhead = errors.New("soft leads firm by all that the execution client allows")
	// ErrFirm is returned by SetFirm for a head that is unknown, that falls, or
	// stands above soft.
	ErrFirm = errors.New("firm head is not acceptable")
	// ErrDisagree is returned where an execution client that checks a block finds it to be
	// another one: nothing goes on until a person has looked.
	ErrDisagree = errors.New("the execution clients disagree")
)

// Hash is a block hash, of the rollup or of the sequencer chain.
type Hash = [32]byte

// Block is what one block of the rollup is made from: what one block of the sequencer
// chain orders for it or, where they are gathered, several, the last of which gives
// height, hash and time.
type Block struct {
	Height       uint64    // of the sequencer chain
	Hash         Hash      // of the sequencer chain's header
	Time         time.Time // of the sequencer chain's header, agreed on by consensus
	Transactions [][]byte  // opaque, in order; the implementation must not change them
	// Legs says how the transactions came, in order: each leg takes the next ones. Nil
	// where that is not known: then no leg has terms (see execution/terms).
	Legs []Leg
}

// Leg is one leg of a bundle: the transactions that belong together.
type Leg struct {
	Height       uint64 // of the sequencer block that orders it: Block.Height, or lower where blocks are gathered
	Bundle       Hash   // the bundle's ID
	Position     int    // of the bundle among all that its sequencer block orders
	Index        int    // of the leg in its bundle
	Rollups      []Hash // rollup IDs of all legs of the bundle, this one's too, by index
	Transactions int    // how many of the block's transactions are of this leg; 0 where it is void
	// Verdict is what lockstep execution decided of a leg whose terms hang on other
	// rollups; Undecided for all others, and outside of a domain.
	Verdict Verdict
	Reason  string // of Refuse, for people
}

// Verdict is the fate of a leg that is applied only with those of other rollups.
type Verdict uint8

// The verdicts. A client that is told Apply applies the leg as it did when it was tried.
const (
	Undecided Verdict = iota
	Apply
	Refuse
)

// Head names a block of the rollup.
type Head struct {
	Number uint64
	Hash   Hash
	Height uint64    // sequencer height that the block was made from; for genesis, one below the first
	Time   time.Time // of the rollup's block, in its own resolution
}

// Session tells where the rollup stands.
type Session struct {
	Soft Head // last block executed; on disk
	Firm Head // last block known firm; genesis where none is
}

// Skipped is an ordered transaction that was not applied.
type Skipped struct {
	Index  int // in Block.Transactions
	Reason string
	// Retry says that the same transaction may apply in a later block: one before it
	// was missing, or the block was full.
	Retry bool
}

// Result is the outcome of executing one block.
type Result struct {
	Head    Head
	Skipped []Skipped
	// Outcomes are what the block's transactions did, each of them in order; nil where
	// the client is no Speculator.
	Outcomes []Outcome
}

// Client executes one rollup. Calls come one at a time.
type Client interface {
	// Open starts or resumes a session. After a crash the soft head may lie below
	// the last result that was returned: the caller executes those blocks again, with
	// the same outcome.
	Open(ctx context.Context) (Session, error)
	// Execute makes one rollup block on parent, which must be the soft head, and
	// moves the soft head there. When it returns, the block is on disk.
	// Errors: ErrParent, ErrHeight.
	Execute(ctx context.Context, parent Hash, b Block) (Result, error)
	// SetFirm moves the firm head, never down and never above soft. Idempotent.
	// Errors: ErrFirm.
	SetFirm(ctx context.Context, firm Hash) error
	// Close releases everything. Idempotent.
	Close() error
}
