package api

import (
	"context"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// Pool takes bundles in. Submit returns once the bundle is on disk; its errors are
// those of package pool and of package order.
type Pool interface {
	Submit(ctx context.Context, raw []byte) (order.BundleID, error)
	// Has reports whether the bundle waits to be ordered, or has left and is not forgotten.
	Has(id order.BundleID) bool
	// Left returns the bundles that left without a block having carried them; what it returned
	// is on disk until Forget.
	Left() []pool.Left
	Forget(left []pool.Left)
}

// Params are what a client must know of the chain and of this node's part in it.
type Params struct {
	FeePerKilobyte  uint64 // in uordo
	MaxExpiryBlocks uint64
	MaxBundleBytes  uint64
	Epoch           uint64      // of the next block
	LaneOwner       order.Owner // zero where the node has no lane, and so takes no bundles
}

// Batches gives back what lanes have dispersed: a dispersal.Retriever does. Methods are
// called from many goroutines.
type Batches interface {
	// Batch returns the batch with that core, rebuilt from shards that the committee of
	// its epoch holds. Where it is void it also returns what shows that, and the batch
	// only if the shards give one. An error says that neither can be had now.
	Batch(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.Batch, *dispersal.Void, error)
	// Ahead does the same for a batch that a block is yet to order, and holds it in memory
	// for some seconds, until Batch is called for it. Errors: dispersal.ErrAhead where there is no room for that.
	Ahead(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.Batch, *dispersal.Void, error)
}

// Lanes is the node's own part in dispersal. Methods are called from many goroutines.
type Lanes interface {
	// Status reports whether the bundle is in a batch with a certificate that the chain
	// has not ordered.
	Status(id order.BundleID) (certified bool)
	// Share returns the encoding of this node's share of a batch.
	// Errors: store.ErrNotFound.
	Share(ctx context.Context, p order.Position, epoch uint64, id order.BatchID) ([]byte, error)
	// Certificates subscribes to certificates, until the context ends.
	Certificates(ctx context.Context) Certificates
}

// Certificates yields certificates in the order in which the node learned them.
type Certificates interface {
	// Next waits for the next one. An error ends the subscription.
	Next() (*order.Certificate, error)
}

// LanesOf returns a dispersal node's part.
func LanesOf(n *dispersal.Node) Lanes { return lanes{n} }

type lanes struct{ *dispersal.Node }

func (l lanes) Certificates(ctx context.Context) Certificates { return l.Certified(ctx) }
