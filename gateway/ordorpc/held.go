package ordorpc

import (
	"time"

	"github.com/ordo-network/ordo/gateway"
)

const (
	// fewHeld are looked at one by one whenever their account is asked about; of more it is
	// looked at most every lookEvery which have ended.
	fewHeld   = 64
	lookEvery = time.Second
)

// held are the transactions of one account that were accepted here and are not known to have
// ended. One that was executed counts until the client says so, for it answers later than
// the gateway: in between it would be neither, and all behind it seem to lack one.
type held struct {
	hashes   map[uint64][32]byte // by nonce
	executed uint64              // the first that the client has not executed, as it last said
	next     uint64              // all from executed up to it are held
	looked   time.Time
}

func newHeld() *held { return &held{hashes: make(map[uint64][32]byte)} }

// put notes a transaction; it reports whether none of the nonce was held.
func (h *held) put(nonce uint64, hash [32]byte) (fresh bool) {
	_, taken := h.hashes[nonce]
	h.hashes[nonce] = hash
	h.advance()
	return !taken
}

func (h *held) advance() { h.next = h.after(h.next) }

// after returns the first nonce from that one on that is not held.
func (h *held) after(nonce uint64) uint64 {
	for h.hashes[nonce] != ([32]byte{}) {
		nonce++
	}
	return nonce
}

// forget takes out one that will not be executed.
func (h *held) forget(nonce uint64) {
	delete(h.hashes, nonce)
	if nonce >= h.executed {
		h.next = min(h.next, nonce)
	}
}

// passed takes in that all below a nonce are executed. A client that lost blocks says less
// than before for a while.
func (h *held) passed(executed uint64) {
	if executed <= h.executed {
		return
	}
	if executed-h.executed <= uint64(len(h.hashes)) {
		for n := h.executed; n < executed; n++ {
			delete(h.hashes, n)
		}
	} else {
		for n := range h.hashes {
			if n < executed {
				delete(h.hashes, n)
			}
		}
	}
	h.executed, h.next = executed, max(h.next, executed)
	h.advance()
}

// look takes out what has ended, where phase says how far each is, zero for one that is not
// known any more.
func (h *held) look(phase func([32]byte) gateway.Phase, now time.Time) {
	h.looked = now
	executed := h.executed
	for nonce, hash := range h.hashes {
		switch phase(hash) {
		case gateway.PhaseQueued, gateway.PhaseInFlight:
		case gateway.PhaseExecuted:
			executed = max(executed, nonce+1)
		default:
			h.forget(nonce)
		}
	}
	h.passed(executed)
}

// lookSometimes looks where that costs little, or was not done for a while.
func (h *held) lookSometimes(phase func([32]byte) gateway.Phase, now time.Time) {
	if len(h.hashes) <= fewHeld || now.Sub(h.looked) >= lookEvery {
		h.look(phase, now)
	}
}
