package eigenda

import (
	"context"

	"github.com/ordo-network/ordo/da"
)

// Entry is a stored blob that is to be recorded.
type Entry struct {
	Namespace  da.Namespace
	Commitment []byte // the proxy's certificate
	Data       []byte
}

// Recorded is what the chain says of a blob. Anybody may record anything: it may be
// garbage, false or a repetition.
type Recorded struct {
	Height     uint64 // of the block that recorded it
	Commitment []byte
	ID         da.BlobID
}

// Index records certificates on the sequencer chain and finds them there. Its methods
// are safe for concurrent use.
type Index interface {
	// Record records the entries in one transaction and returns the height of its block
	// once that is final. Nothing of the entries is kept.
	// Errors: da.ErrTooLarge, da.ErrRejected, da.ErrUnavailable; with the last they may
	// have been recorded.
	Record(ctx context.Context, entries []Entry) (height uint64, err error)
	// Entries returns what is recorded under the namespace at the heights from..to, all of
	// it, in the chain's order. How far it goes is its choice; to is from-1 where no
	// height from there on is final. Errors: da.ErrUnavailable.
	Entries(ctx context.Context, ns da.Namespace, from uint64) (recorded []Recorded, to uint64, err error)
	// Head returns the last final height. Errors: as da.Layer's.
	Head(ctx context.Context) (height uint64, err error)
	// WaitHead returns the last final height as soon as it is above the one given.
	// Errors: as da.Layer's.
	WaitHead(ctx context.Context, above uint64) (height uint64, err error)
}
