package transport

import (
	"errors"
	"sync"
)

var (
	// ErrFull is returned where the peer takes less than it is sent.
	ErrFull = errors.New("too much waits to be sent to the peer")
	// ErrDisconnected is returned where there is no connection to the peer.
	ErrDisconnected = errors.New("the peer is not connected")
)

// Outgoing is a message to be sent. Head and Body follow one another on the wire; they
// must not change until Done is called, which happens once in every case: they were
// written, they will not be, or Send returned an error.
type Outgoing struct {
	Type Type
	Head []byte
	Body []byte
	Done func() // may be nil; must not block
}

func (o *Outgoing) size() int { return headBytes + len(o.Head) + len(o.Body) }

func (o *Outgoing) done() {
	if o.Done != nil {
		o.Done()
	}
}

// queue holds what waits to be sent to one peer: urgent messages and bulk, each
// bounded in bytes.
type queue struct {
	urgentLimit, bulkLimit int
	wake                   chan struct{} // holds a token when there is something to look at

	mu           sync.Mutex
	closed       bool
	urgent, bulk lineup
}

// lineup is a FIFO. What was taken is dropped from the front now and then, so that the
// slice is reused.
type lineup struct {
	waiting []Outgoing
	bytes   int
}

// chunk is how much is taken from the queue at a time. Urgent messages overtake the bulk
// that was not yet taken.
const chunk = 128 << 10

func newQueue(urgent, bulk int) *queue {
	return &queue{urgentLimit: urgent, bulkLimit: bulk, wake: make(chan struct{}, 1)}
}

// add never blocks. A message larger than the limit passes where nothing waits.
func (q *queue) add(o Outgoing) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrDisconnected
	}
	l, limit := q.lineup(o.Type)
	if !l.fits(o.size(), limit) {
		return ErrFull
	}
	l.waiting = append(l.waiting, o)
	l.bytes += o.size()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// room tells whether a message of that size would be taken now.
func (q *queue) room(t Type, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, limit := q.lineup(t)
	return !q.closed && l.fits(headBytes+size, limit)
}

func (q *queue) lineup(t Type) (l *lineup, limit int) {
	if t.bulk() {
		return &q.bulk, q.bulkLimit
	}
	return &q.urgent, q.urgentLimit
}

func (l *lineup) fits(size, limit int) bool {
	// Each message costs memory beside its bytes.
	const overhead = 128
	return l.bytes == 0 || l.bytes+size+overhead*len(l.waiting) <= limit
}

// take appends the next messages to out: all urgent ones, then bulk up to a chunk.
func (q *queue) take(out []Outgoing) []Outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	out = q.urgent.take(out, q.urgentLimit)
	return q.bulk.take(out, chunk)
}

func (l *lineup) take(out []Outgoing, most int) []Outgoing {
	n, size := 0, 0
	for n < len(l.waiting) && (n == 0 || size+l.waiting[n].size() <= most) {
		size += l.waiting[n].size()
		n++
	}
	out = append(out, l.waiting[:n]...)
	rest := copy(l.waiting, l.waiting[n:])
	clear(l.waiting[rest:])
	l.waiting = l.waiting[:rest]
	l.bytes -= size
	return out
}

// size is what waits, in bytes.
func (q *queue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.urgent.bytes + q.bulk.bytes
}

// close lets nothing more in and drops what waits.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	dropped := append(q.urgent.waiting, q.bulk.waiting...)
	q.urgent, q.bulk = lineup{}, lineup{}
	q.mu.Unlock()
	for i := range dropped {
		dropped[i].done()
	}
}
