package dispersal

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

// Source has the bundles that wait to be dispersed. Its methods must not block.
type Source interface {
	// Take returns bundles in the order of arrival that were not handed out before, as
	// many as fit: maxBytes counts order.BundleSizeInBatch, maxHeaderBytes
	// order.SummarySizeInHeader. None where none waits or the first one does not fit.
	Take(maxBytes, maxHeaderBytes int) []order.Summarized
	// Ready yields after a bundle arrived. It is read by one goroutine.
	Ready() <-chan struct{}
	// Rewind hands out again all that waits: what was handed out will not be certified.
	Rewind()
}

// Options are what a node works with.
type Options struct {
	ChainID string
	Self    order.Owner // whose lane this node disperses
	Keys    lane.Keys   // of attestation
	// Dir keeps the number of the lane's last session, and how far other lanes were
	// attested. Without them a node may sign two batches for one position, so it belongs
	// where the other state is.
	Dir string
	// Shards and Certificates are two stores; the caller closes them after Run.
	Shards, Certificates *store.Store
	Source               Source
	Verifier             *lane.Verifier // shared with the chain
	Listener             net.Listener   // for peers; Run closes it
	// Dial connects to peers; nil is a net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Afford tells why no batch of these bundles is attested, by the state after the last
	// block; nil where one is. An error that wraps lane.ErrBundles is for good, others may pass.
	// It is called by many goroutines. May be nil.
	Afford func([]order.BundleSummary) error
	// Evidence takes proofs of equivocation. It must not block. May be nil.
	Evidence func(lane.Equivocation)
	// Shares are asked for what peers do not have. May be empty.
	Shares []ShareSource

	// BatchBytes is the size from which a batch is not waited with, default 2 MiB;
	// FlushAge the longest that a bundle waits for others, default 100 ms.
	BatchBytes int
	FlushAge   time.Duration
	// WindowBytes and WindowBatches bound what is in flight; defaults 16 MiB and 64.
	WindowBytes   uint64
	WindowBatches int
	// RetryMin and RetryMax bound the time after which an offer is repeated; defaults
	// 1 s and 8 s.
	RetryMin, RetryMax time.Duration
	// RetainBlocks is for how many blocks shards and certificates are kept after the
	// one at which they came; 0 keeps them for ever. Those of the last three epochs
	// are kept in any case.
	RetainBlocks uint64
	// Posted returns a height such that what was taken up to there is needed by nobody any
	// more, by the state at the height given: what is above is kept, however old it is. It
	// is asked after each block, and must not block for long. May be nil: all that is
	// older than RetainBlocks may go.
	Posted     func(height uint64) uint64
	Workers    int   // that check signatures and shares; default GOMAXPROCS
	CacheBytes int64 // of batches in memory; default 64 MiB
	// RecentBytes bounds the memory of shares that stay there once they are stored, for who asks soon;
	// default 12 MiB, what comes in a fifth of a second where a network is as busy as it can be.
	// Below 0 none stay.
	RecentBytes int
	Transport   transport.Limits

	Now        func() time.Time      // nil is time.Now
	Logger     *slog.Logger          // may be nil
	Registerer prometheus.Registerer // may be nil
}

func (o *Options) complete() error {
	switch {
	case o.Self == (order.Owner{}):
		return errors.New("dispersal node without an owner; a full node runs a Retriever")
	case o.Keys == nil || o.Source == nil || o.Verifier == nil || o.Shards == nil || o.Certificates == nil || o.Dir == "":
		return errors.New("dispersal node without keys, source, verifier, stores or directory")
	case o.BatchBytes < 0 || o.BatchBytes > shard.MaxBatchBytes:
		return errors.New("dispersal node: batch bytes out of bounds")
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = shard.MaxBatchBytes
	}
	if o.FlushAge == 0 {
		o.FlushAge = 100 * time.Millisecond
	}
	if o.WindowBytes == 0 {
		o.WindowBytes = 16 << 20
	}
	if o.WindowBatches == 0 {
		o.WindowBatches = 64
	}
	if o.RetryMin == 0 {
		o.RetryMin = time.Second
	}
	if o.RetryMax == 0 {
		o.RetryMax = 8 * time.Second
	}
	if o.Workers == 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.RecentBytes == 0 {
		o.RecentBytes = 12 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Afford == nil {
		o.Afford = func([]order.BundleSummary) error { return nil }
	}
	if o.Evidence == nil {
		o.Evidence = func(lane.Equivocation) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// milliseconds is the clock of attestations.
func milliseconds(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }
