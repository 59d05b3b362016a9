// Package da is the seam between Ordo and data availability layers. A layer
// stores blobs by namespace at heights and gives them back; what a blob means is
// not its business, and nothing it returns is believed: readers verify.
package da

import (
	"context"
	"crypto/sha256"
	"errors"
)

// Errors that every layer returns, told apart by errors.Is.
var (
	// ErrNotFound: the layer has no such blob and never will.
	ErrNotFound = errors.New("not found on the DA layer")
	// ErrNotYet: the height lies above the layer's head.
	ErrNotYet = errors.New("not yet on the DA layer")
	// ErrTooLarge: a blob is over the layer's limit; sending it again is useless.
	ErrTooLarge = errors.New("too large for the DA layer")
	// ErrRejected: the layer refused the blob for good.
	ErrRejected = errors.New("rejected by the DA layer")
	// ErrUnavailable: the layer did not answer. A submission may have been stored
	// all the same.
	ErrUnavailable = errors.New("DA layer unavailable")
)

// MaxCommitmentBytes bounds the commitment of a Ref, whatever the layer.
const MaxCommitmentBytes = 4096

// Namespace names a rollup on the layer: its rollup ID.
type Namespace [32]byte

// Blob is one piece of data to store.
type Blob struct {
	Namespace Namespace
	Data      []byte
}

// BlobID is the SHA-256 of a blob's data.
type BlobID [32]byte

// ID returns the SHA-256 of the data.
func ID(data []byte) BlobID { return sha256.Sum256(data) }

// Ref says where a blob stands.
type Ref struct {
	// Height of the layer, final.
	Height uint64
	// Commitment is what the layer itself calls the blob by, at most
	// MaxCommitmentBytes: Celestia's share commitment, EigenDA's certificate. It is
	// opaque, and empty where the layer has none.
	Commitment []byte
}

// Stored is a blob as it was read back.
type Stored struct {
	Ref
	// Data is nil where the height holds more than one call of Blobs has memory for: what
	// stands there is then to be had by Get, and a reader that needs it must not go on
	// without.
	Data []byte
}

// Limits of a layer.
type Limits struct {
	MaxBlobBytes   int // of one blob
	MaxSubmitBytes int // of all blobs of one Submit together
	MaxSubmitBlobs int // of one Submit
}

// Price is what a layer charges, for people to read.
type Price struct {
	PerMB float64 // for 1,000,000 bytes of blobs; 0: nothing
	Unit  string  // such as "TIA"
}

// Layer is one data availability layer. Its methods are safe for concurrent use.
type Layer interface {
	// Name is how users name the layer: "local", "celestia", "eigenda", "avail".
	Name() string
	// Submit stores the blobs, of any namespaces, and returns where each stands once that
	// is final. Blobs of one namespace are read back in the order given, and their
	// heights never fall. Storing the same data again is allowed and stores it twice. No
	// blobs, or an empty one, are ErrRejected. Where ctx ends first, the error is
	// ErrUnavailable. With ErrTooLarge and ErrRejected nothing was stored; with
	// ErrUnavailable each blob may be, or not.
	// Errors: ErrTooLarge, ErrRejected, ErrUnavailable.
	Submit(ctx context.Context, blobs []Blob) ([]Ref, error)
	// Get returns the blob that stands under the namespace where ref says. Where ref has
	// no commitment and the height holds several, it is the first.
	// Errors: ErrNotFound, ErrNotYet, ErrUnavailable.
	Get(ctx context.Context, ns Namespace, ref Ref) ([]byte, error)
	// Blobs returns what the namespace holds at the height, in the layer's order;
	// nothing there is no error. It leaves none out, but the last ones may come without
	// their data, see Stored. Errors: ErrNotYet, ErrUnavailable.
	Blobs(ctx context.Context, height uint64, ns Namespace) ([]Stored, error)
	// Head returns the last final height; 0 where there is none yet.
	// Errors: ErrUnavailable, ErrRejected (a wrong token, another network).
	Head(ctx context.Context) (height uint64, err error)
	// WaitHead returns the last final height as soon as it is above the one given.
	// Where ctx ends first, the error is ErrUnavailable. Errors: as for Head.
	WaitHead(ctx context.Context, above uint64) (height uint64, err error)
	// Price returns what the layer charges now. Errors: ErrUnavailable.
	Price(ctx context.Context) (Price, error)
	// Limits never change during a process.
	Limits() Limits
}
