package ordering

import (
	"errors"
	"sync"
	"time"
)

// errCut marks a payload whose load was cut short while it was handed in.
var errCut = errors.New("the load was cut short")

// entry is one payload and what became of it. Size, validator, channel and due are
// fixed before the load begins; the ledger guards the rest.
type entry struct {
	size      int
	validator int
	channel   channel

	due              time.Time
	acked, certified time.Time
	ordered          time.Time // a reader has fetched and verified it
	height           uint64
	refused          error
}

// ledger holds what was handed in and meets it with what is read.
type ledger struct {
	now func() time.Time

	mu         sync.Mutex
	entries    map[key]*entry
	heads      map[uint64]time.Time // when each block was first heard of
	latest     uint64
	open       int // entered, neither ordered nor refused
	duplicates int
}

func newLedger(now func() time.Time) *ledger {
	return &ledger{now: now, entries: make(map[key]*entry), heads: make(map[uint64]time.Time)}
}

// enter adds a payload, before it is handed in.
func (l *ledger) enter(k key, e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[k] = e
	l.open++
}

// ack notes the validator's answer. With errCut there is none: nothing more is
// expected of the payload, and nothing is said of the validator.
func (l *ledger) ack(e *entry, err error) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		e.acked = now
		return
	}
	e.refused = err
	if e.ordered.IsZero() {
		l.open--
	}
}

// certify notes that a validator has shown the certificate for a payload. What
// counts is the one that took it in: there its user waits.
func (l *ledger) certify(validator int, k key) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[k]; e != nil && e.validator == validator && e.certified.IsZero() {
		e.certified = now
	}
}

// order notes a payload that was fetched and verified. What is not known is left
// out: it is of an earlier load, or not ours.
func (l *ledger) order(k key, size int, height uint64) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[k]
	switch {
	case e == nil || size != e.size:
	case !e.ordered.IsZero():
		l.duplicates++
	default:
		e.ordered, e.height = now, height
		if e.refused == nil {
			l.open--
		}
	}
}

// head notes that a block of the height is committed.
func (l *ledger) head(height uint64) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.heads[height]; !known {
		l.heads[height] = now
	}
	l.latest = max(l.latest, height)
}

func (l *ledger) height() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest
}

// outstanding returns how many payloads are on their way.
func (l *ledger) outstanding() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// forget drops all entries: what of them comes in later is not counted.
func (l *ledger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.entries)
	l.open, l.duplicates = 0, 0
}

// late returns how many of the entries have taken longer than the limit, or will have.
func (l *ledger) late(entries []*entry, limit time.Duration) int {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range entries {
		end := e.ordered
		if end.IsZero() {
			end = now
		}
		if e.refused != nil || end.Sub(e.due) > limit {
			n++
		}
	}
	return n
}

// orderedMB returns what was ordered of the entries.
func (l *ledger) orderedMB(entries []*entry) (mb float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		if !e.ordered.IsZero() {
			mb += float64(e.size) / 1e6
		}
	}
	return mb
}
