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

// Namespace names a rollup on the layer: its rollup ID.
type Namespace [32]byte

// Blob is one piece of data as stored.
type Blob struct {
	Height uint64
	Data   []byte
}

// BlobID is the SHA-256 of a blob's data.
type BlobID [32]byte

// ID returns the SHA-256 of the data.
func ID(data []byte) BlobID { return sha256.Sum256(data) }

// Limits of a layer, in bytes.
type Limits struct {
	// MaxBlobBytes bounds one blob, and all blobs of one Submit together.
	MaxBlobBytes int
}

// Layer is one data availability layer.
type Layer interface {
	// Name is how users name the layer: "local", "celestia".
	Name() string
	// Submit stores the blobs under the namespace, all at one height and in the order
	// given, and returns once that height is final. Storing the same data again is
	// allowed and stores it twice. No blobs, or an empty one, are ErrRejected. Where ctx ends
	// first, the error is ErrUnavailable, and the blobs may be stored all the same.
	// Errors: ErrTooLarge, ErrRejected, ErrUnavailable.
	Submit(ctx context.Context, ns Namespace, blobs [][]byte) (height uint64, err error)
	// Blobs returns what the namespace holds at the height, in the layer's order;
	// nothing there is no error. Errors: ErrNotYet, ErrUnavailable.
	Blobs(ctx context.Context, height uint64, ns Namespace) ([]Blob, error)
	// Head returns the last final height; 0 where there is none yet.
	Head(ctx context.Context) (height uint64, err error)
	// Limits never change during a process.
	Limits() Limits
}
