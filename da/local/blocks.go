package local

import (
	"fmt"
	"time"

	"github.com/ordo-network/ordo/da"
)

func (l *Layer) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default: // a token is there already
	}
}

// produce makes the blocks: it sleeps until something is pending, then until the
// next tick of the block clock.
func (l *Layer) produce() {
	defer close(l.closed)
	for {
		select {
		case <-l.wake:
		case <-l.closing:
			return
		}
		now := l.now()
		tick := time.NewTimer(now.Truncate(l.blockTime).Add(l.blockTime).Sub(now))
		select {
		case <-tick.C:
		case <-l.closing:
			tick.Stop()
			return
		}
		l.makeBlock()
	}
}

// makeBlock stores as much of what is pending as one block may hold, at least one submission.
func (l *Layer) makeBlock() {
	l.mu.Lock()
	n, blobs, cost := 0, 0, int64(0)
	for _, sub := range l.pending {
		if n > 0 && (blobs+len(sub.entries) > maxBlockBlobs || cost+sub.cost > maxBlockBytes) {
			break
		}
		n, blobs, cost = n+1, blobs+len(sub.entries), cost+sub.cost
	}
	take := l.pending[:n:n]
	l.pending = append([]*submission(nil), l.pending[n:]...)
	parent, more := l.head, len(l.pending) > 0
	l.mu.Unlock()
	if n == 0 {
		return
	}
	if more {
		l.wakeUp()
	}
	entries := make([]entry, 0, blobs)
	for _, sub := range take {
		entries = append(entries, sub.entries...)
	}
	h, err := l.store.append(parent, l.now(), entries)
	if err == nil {
		l.mu.Lock()
		l.head = h
		close(l.newHead)
		l.newHead = make(chan struct{})
		l.mu.Unlock()
	} else {
		err = fmt.Errorf("%w: %w", err, da.ErrUnavailable)
	}
	// The block is on disk before anyone hears of it.
	for _, sub := range take {
		sub.height, sub.err = h.height, err
		close(sub.done)
		l.room.Release(sub.cost)
	}
	if err == nil {
		l.prune()
	}
}

// maxPrune bounds the blocks that are pruned in one go.
const maxPrune = 1000

// prune drops blobs that were kept long enough. What fails is done with the next block.
func (l *Layer) prune() {
	if l.retain == 0 {
		return
	}
	oldest := l.now().Add(-l.retain)
	from := max(l.kept, 1)
	keep := from
	for ; keep < l.head.height && keep-from < maxPrune; keep++ {
		if h, err := l.store.headerAt(keep); err != nil || !h.time.Before(oldest) {
			break
		}
	}
	if keep == from {
		return
	}
	// Known before the blobs go, see view.
	l.mu.Lock()
	l.kept = keep
	l.mu.Unlock()
	_ = l.store.drop(keep)
}
