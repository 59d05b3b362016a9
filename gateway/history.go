package gateway

import (
	"time"

	"github.com/ordo-network/ordo/order"
)

// Phase is where a transaction stands. See the package comment.
type Phase uint8

// The phases of a transaction.
const (
	PhaseQueued Phase = iota + 1
	PhaseInFlight
	PhaseExecuted
	PhaseDropped
)

// String returns the phase in words.
func (p Phase) String() string {
	switch p {
	case PhaseQueued:
		return "queued"
	case PhaseInFlight:
		return "in flight"
	case PhaseExecuted:
		return "executed"
	case PhaseDropped:
		return "dropped"
	}
	return "unknown"
}

// State is what the gateway knows of a transaction.
type State struct {
	Phase Phase
	// Reason says why it was dropped, or what keeps it from being ordered.
	Reason string
	// Bundle is the last one that held it and is not known to have expired; zero for none.
	Bundle order.BundleID
	// Height of the sequencer chain at which it ended; 0 where it did not, or not in a block.
	Height   uint64
	Received time.Time
	// Certified is when a sequencer said that the bundle is certified: a hint, and
	// forgotten at a restart. Zero where none did.
	Certified time.Time
	Ended     time.Time // zero while it has not ended
}

// maxHistory bounds what is remembered of ended transactions, for executed and
// dropped ones each.
const maxHistory = 1 << 14

// ended is a transaction of which only the outcome is left.
type ended struct {
	hash [32]byte
	seq  uint64 // key in the journal
	State
}

// history remembers outcomes, oldest first, for a bounded time and number.
type history struct {
	keep     time.Duration
	byHash   map[[32]byte]*ended
	executed []*ended
	dropped  []*ended
}

func newHistory(keep time.Duration) history {
	return history{keep: keep, byHash: make(map[[32]byte]*ended)}
}

func (h *history) get(hash [32]byte) *ended { return h.byHash[hash] }

// add returns what had to make room.
func (h *history) add(r *ended) (out []*ended) {
	h.byHash[r.hash] = r
	q := &h.dropped
	if r.Phase == PhaseExecuted {
		q = &h.executed
	}
	*q = append(*q, r)
	if len(*q) > maxHistory {
		out = h.pop(q, out)
	}
	return out
}

// expire returns what is older than the history goes back.
func (h *history) expire(now time.Time) (out []*ended) {
	for _, q := range []*[]*ended{&h.executed, &h.dropped} {
		for len(*q) > 0 && now.Sub((*q)[0].Ended) > h.keep {
			out = h.pop(q, out)
		}
	}
	return out
}

func (h *history) pop(q *[]*ended, out []*ended) []*ended {
	r := (*q)[0]
	(*q)[0] = nil
	*q = (*q)[1:]
	if h.byHash[r.hash] == r {
		delete(h.byHash, r.hash)
	}
	return append(out, r)
}
