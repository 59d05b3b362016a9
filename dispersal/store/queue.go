package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

const (
	maxQueueRecords = 4096
	maxGroupRecords = 1024
	maxGroupBytes   = 16 << 20
)

// put is a record on its way to the disk.
type put struct {
	key    Key
	tag    uint64
	head   []byte
	body   []byte
	digest digest
	mend   bool       // the key is held, and damaged
	done   chan error // takes the one answer without blocking
}

// size is what the put counts in the queue; an empty record is not free.
func (p *put) size() int64 { return int64(p.length()) + headerBytes }

func (p *put) length() int { return len(p.head) + len(p.body) }

// as gives the put the shape of the record that is held, where that has the same bytes
// and was written before records had bodies: then all of it is its head.
func (p *put) as(e entry) {
	if len(p.body) == 0 || e.digest == p.digest || int(e.length) != p.length() {
		return
	}
	whole := slices.Concat(p.head, p.body)
	if sum := digestOf(whole, nil); sum == e.digest {
		p.head, p.body, p.digest = whole, nil, sum
	}
}

// queue holds puts until the writer takes them, a group at a time.
type queue struct {
	limit int64
	wake  chan struct{} // holds a token when there is something to look at

	mu      sync.Mutex
	waiting []*put
	bytes   int64 // of waiting and of the group being written
	refuse  error // why nothing more is taken
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) add(p *put) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.refuse != nil:
		return q.refuse
	case q.bytes > 0 && q.bytes+p.size() > q.limit, len(q.waiting) >= maxQueueRecords:
		return ErrBusy
	}
	q.waiting = append(q.waiting, p)
	q.bytes += p.size()
	q.nudge()
	return nil
}

// withdraw takes the put back unless the writer has it.
func (q *queue) withdraw(p *put) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, p)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.bytes -= p.size()
	return true
}

// take returns the next group, and none with more == false after close.
func (q *queue) take() (group []*put, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(q.waiting) && n < maxGroupRecords && (n == 0 || size+q.waiting[n].size() <= maxGroupBytes) {
		size += q.waiting[n].size()
		n++
	}
	group = slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	return group, n > 0 || q.refuse == nil
}

// release gives the group's room back.
func (q *queue) release(group []*put) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range group {
		q.bytes -= p.size()
	}
}

// close lets nothing more in; what waits is still taken. It reports whether the queue
// was not closed for good, with ErrClosed, before.
func (q *queue) close(reason error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if errors.Is(q.refuse, ErrClosed) {
		return false
	}
	q.refuse = reason
	q.nudge()
	return true
}

// submit waits for the put's answer. A put that the writer has taken is waited for,
// whatever the context: its bytes are in use.
func (s *Store) submit(ctx context.Context, p *put) error {
	if err := s.queue.add(p); err != nil {
		if errors.Is(err, ErrBusy) {
			s.metrics.busy.Inc()
		}
		return fmt.Errorf("put %v: %w", p.key, err)
	}
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		if s.queue.withdraw(p) {
			return fmt.Errorf("put %v: %w", p.key, ctx.Err())
		}
		return <-p.done
	}
}
