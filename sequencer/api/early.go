package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

const (
	// earlyBatches is how many batches are rebuilt early at the same time: fewer than a
	// retriever does, so that one that cannot be had does not hold up those that blocks need.
	earlyBatches = 4
	// earlyRetry is the time after a subscription that ended because this node was too slow.
	earlyRetry = time.Second
)

// early has batches rebuilt once they are certified, where streams at the head of the chain will
// send them on: when the block that orders them comes, they are in the retriever's memory. A
// block's batches would otherwise all be rebuilt at once, while its readers wait.
type early struct {
	s *Server

	mu      sync.Mutex
	rollups map[order.RollupID]int // in how many streams
	streams int
	end     context.CancelFunc // of the subscription that they share
}

// follow begins with the rollups' batches, until leave is called.
func (e *early) follow(ids []order.RollupID) (leave func()) {
	if e.s.opts.Lanes == nil { // who sees no certificates rebuilds what blocks order
		return func() {}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		e.rollups[id]++
	}
	if e.streams++; e.streams == 1 {
		ctx, end := context.WithCancel(e.s.stopping)
		e.end = end
		go e.run(ctx)
	}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, id := range ids {
			if e.rollups[id]--; e.rollups[id] == 0 {
				delete(e.rollups, id)
			}
		}
		if e.streams--; e.streams == 0 {
			e.end()
		}
	}
}

func (e *early) run(ctx context.Context) {
	slots := make(chan struct{}, earlyBatches)
	for ctx.Err() == nil {
		e.rebuild(ctx, slots)
		_ = pause.For(ctx, earlyRetry)
	}
}

// rebuild does so until the context ends, or this node is too slow for the certificates that come.
func (e *early) rebuild(ctx context.Context, slots chan struct{}) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	certs := e.s.opts.Lanes.Certificates(ctx)
	for {
		cert, err := certs.Next()
		if err != nil {
			return
		}
		if !e.wanted(cert) {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		go func() {
			defer func() { <-slots }()
			// What fails, or has no room, is tried again when a block orders it.
			_, _ = e.s.chain.batches.ahead(ctx, cert.Header.Core(e.s.opts.ChainID))
		}()
	}
}

// get returns what a certified batch holds to who wants it now, and keeps it where streams of
// blocks will.
func (e *early) get(ctx context.Context, cert *order.Certificate, core order.BatchCore) (*content, error) {
	if e.wanted(cert) {
		if c, err := e.s.chain.batches.ahead(ctx, core); !errors.Is(err, dispersal.ErrAhead) {
			return c, err
		}
	}
	return e.s.chain.batches.get(ctx, core, false)
}

func (e *early) wanted(cert *order.Certificate) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range cert.Header.Bundles {
		for _, l := range cert.Header.Bundles[i].Legs {
			if e.rollups[l.RollupID] > 0 {
				return true
			}
		}
	}
	return false
}
