package ordorpc

import (
	"context"
	"time"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Backend is what the namespace ordo answers from.
type Backend struct {
	Gateway *gateway.Gateway
	Order   Order
	Chain   Chain
	// Records tell what blocks were made from. Nil where the node keeps none: then why
	// others' transactions were skipped is not known, nor where a bundle stands.
	Records Records
	// Decode reads a transaction that a client sends, and refuses what the rollup could
	// never execute. Default: Opaque.
	Decode func(raw []byte) (gateway.Tx, error)
	// Hash names a transaction, as Decode does. Default: SHA-256.
	Hash func(raw []byte) [32]byte
	// Submit takes a transaction in, which is on disk when it returns, and returns its
	// hash. Default: Decode, then the gateway's Submit.
	Submit func(ctx context.Context, raw []byte) ([32]byte, error)
	// MaySendBundle refuses bundles of callers who may not send any: the payer pays for a
	// bundle also where nothing of it is applied. Default: anybody may.
	MaySendBundle func(ctx context.Context) error
	// Certified is told of transactions that are certain to be ordered. Where it is set, the
	// plain door offers certifiedTransactions by subscription.
	Certified *Certified
	// Whole returns a transaction that Decode takes as users know it, as JSON encodes it.
	// Default: its bytes.
	Whole func(raw []byte) any
	// Silent reports that the rollup's client does not say what it skips: whether what a block
	// was made from was applied, nobody knows here. Default: it says so.
	Silent func() bool
	// Terms says that the rollup honours the terms of a leg (see execution/terms).
	Terms bool
	// Places bounds subscriptions, together with those of other kinds. Default: its own.
	Places *Places
	// Kick closes the connection of the client at an address, for subscribers who do not read.
	// Default: they are left.
	Kick func(remote string)
}

// Order is what the node knows of the order. Methods are called concurrently.
type Order interface {
	// RollupBlock returns what a sequencer height holds for the rollup, with its
	// validator set.
	RollupBlock(ctx context.Context, height uint64) (*orderv1.RollupBlock, error)
	// OrderedAt returns when a height was seen to be ordered; ok is false where it is
	// not remembered.
	OrderedAt(height uint64) (at time.Time, ok bool)
	// FirmAt returns when a height became firm; ok is false where it is not firm or
	// that is not remembered.
	FirmAt(height uint64) (at time.Time, ok bool)
	// Info describes the rollup's node.
	Info() Info
}

// Info describes a rollup's node.
type Info struct {
	RollupID         order.RollupID
	Name             string
	SequencerChainID string
	SequencerHeight  uint64 // latest known
	SoftHeight       uint64 // sequencer height executed
	FirmHeight       uint64 // sequencer height read back from DA
	Version          string
	Mode             string        // how the rollup is executed: evm, op, grpc or own
	BlockTime        time.Duration // least time between two blocks; 0 where each filled sequencer block makes one
	Payer            string        // address that pays for ordering, and signs receipts
	Domain           []string      // names of the rollups that are executed together, this one's too; none for no domain
}

// Chain is the rollup's own chain. Methods are called concurrently and answer at once.
type Chain interface {
	// Locate returns where a transaction was executed; ok is false where it was not.
	Locate(hash [32]byte) (p Place, ok bool, err error)
	// Block returns a block; ok is false where there is none of the number.
	Block(number uint64) (b Block, ok bool, err error)
	// Heads returns the numbers of the blocks that the tags stand for.
	Heads() (Heads, error)
	// Pending reports whether the block that may come next holds the transaction.
	Pending(hash [32]byte) (bool, error)
}

// Place is where the rollup's chain holds a transaction.
type Place struct {
	Block uint64
	Index uint64 // in the block, as the rollup's client counts
	// Height of the sequencer block that ordered it; 0 where only the block tells.
	Height uint64
}

// Block is a block of the rollup.
type Block struct {
	Number uint64
	Hash   [32]byte
	Time   time.Time
	// From and To are the first and the last sequencer height that it was made from.
	From, To uint64
}

// Heads are numbers of blocks of the rollup.
type Heads struct{ Latest, Safe, Finalized uint64 }

// Records are a node's memory of what its blocks were made from. Methods are called
// concurrently.
type Records interface {
	// Record returns what a block was made from; ok is false where it is not remembered.
	Record(number uint64) (r Record, ok bool, err error)
	// BundleHeight returns the sequencer height that ordered a bundle with a leg for the
	// rollup; ok is false where none did or it is not remembered.
	BundleHeight(id order.BundleID) (height uint64, ok bool, err error)
}

// Record is what a block of the rollup was made from.
type Record struct {
	Heights []uint64 // of the sequencer blocks that held a leg for the rollup, rising
	Skipped []Skipped
}

// Skipped is a transaction of the order that a block left out.
type Skipped struct {
	Height uint64 // of the sequencer block that ordered it
	Index  int    // among all that this block orders for the rollup
	Reason string
}
