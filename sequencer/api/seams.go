package api

import (
	"context"
	"time"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Pool takes bundles in. Submit returns once the bundle is on disk; its errors are
// those of package pool and of package order.
type Pool interface {
	Submit(ctx context.Context, raw []byte) (order.BundleID, error)
	// Has reports whether the bundle waits to be ordered.
	Has(id order.BundleID) bool
}

// Params are what a client must know of the chain and of this node's part in it.
type Params struct {
	FeePerKilobyte  uint64 // in uordo
	MaxExpiryBlocks uint64
	MaxBundleBytes  uint64
	Epoch           uint64      // of the next block
	LaneOwner       order.Owner // zero where the node has no lane, and so takes no bundles
}

// Batches gives back what lanes have dispersed. Methods are called from many
// goroutines.
type Batches interface {
	// Batch returns the batch with that core, rebuilt from shards that the committee of
	// its epoch holds. Where they give no batch it returns what shows that. An error
	// says that neither can be had now.
	Batch(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.Batch, *orderv1.VoidBatch, error)
}

// Lanes is what the node knows beyond the chain: batches that are certified and not
// ordered yet, and its own shards. Methods are called from many goroutines.
type Lanes interface {
	// Certified reports whether the bundle is in a batch with a certificate that the
	// chain has not ordered.
	Certified(id order.BundleID) bool
	// Subscribe calls fn with each batch that is certified from now on and has bundles
	// for the rollup, until the context ends or fn fails, and returns that error. It
	// calls ready once it will miss none. Who is slow may miss batches.
	Subscribe(ctx context.Context, rollup order.RollupID, ready func(), fn func(*Certified) error) error
	// Share returns the canonical encoding of this node's share of a batch.
	// Errors: store.ErrNotFound.
	Share(ctx context.Context, position order.Position, epoch uint64, id order.BatchID) ([]byte, error)
}

// Certified is what a certified batch holds for one rollup.
type Certified struct {
	order.Position
	Batch     order.BatchID
	OrderTime uint64 // in milliseconds since the Unix epoch
	Seen      time.Time
	Bundles   []CertifiedBundle
}

// CertifiedBundle is a bundle with its leg for the rollup.
type CertifiedBundle struct {
	ID           order.BundleID
	Index        uint64 // in the batch
	Transactions [][]byte
}
