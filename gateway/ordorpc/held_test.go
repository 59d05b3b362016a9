package ordorpc

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ordo-network/ordo/gateway"
)

// TestHeld: whatever comes, is executed and is dropped, the next nonce is the first from what
// is executed on that is not held.
func TestHeld(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		h := newHeld()
		base := uint64(rng.IntN(1000))
		phases := make(map[[32]byte]gateway.Phase)
		phase := func(hash [32]byte) gateway.Phase { return phases[hash] }
		now := time.Unix(0, 0)
		h.passed(base)
		executed := base
		for range 200 {
			hash := [32]byte{1, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}
			switch rng.IntN(6) {
			case 0, 1, 2:
				nonce := executed + uint64(rng.IntN(10))
				if h.hashes[nonce] != ([32]byte{}) {
					continue
				}
				if phases[hash] = gateway.PhaseQueued; !h.put(nonce, hash) {
					t.Fatalf("nonce %d was free", nonce)
				}
			case 3: // dropped, here or as told
				for nonce, hash := range h.hashes {
					if phases[hash] = gateway.PhaseDropped; rng.IntN(2) == 0 {
						h.forget(nonce)
					}
					break
				}
			case 4:
				executed += uint64(rng.IntN(3))
				for nonce, hash := range h.hashes {
					if nonce < executed && phases[hash] == gateway.PhaseQueued {
						phases[hash] = gateway.PhaseExecuted
					}
				}
				h.passed(executed - uint64(rng.IntN(2))) // it may be behind
			case 5:
				now = now.Add(lookEvery)
				h.lookSometimes(phase, now)
				for nonce, hash := range h.hashes {
					if phases[hash] != gateway.PhaseQueued {
						t.Fatalf("nonce %d has ended and is held", nonce)
					}
				}
			}
			want := h.executed
			for h.hashes[want] != ([32]byte{}) {
				want++
			}
			if h.next != want || h.executed > max(executed, base) {
				t.Fatalf("next is %d, executed %d, want %d and at most %d: holds %v", h.next, h.executed, want, executed, h.hashes)
			}
			for nonce := range h.hashes {
				if nonce < h.executed {
					t.Fatalf("nonce %d is held, and executed", nonce)
				}
			}
		}
	}
}

// TestHeldIsLookedAtSeldom: what an account has waiting does not have to be gone through for
// each transaction that it sends.
func TestHeldIsLookedAtSeldom(t *testing.T) {
	t.Parallel()
	h := newHeld()
	looks := 0
	phase := func([32]byte) gateway.Phase { looks++; return gateway.PhaseQueued }
	now := time.Unix(0, 0)
	const n = 10_000
	for nonce := range uint64(n) {
		h.put(nonce, [32]byte{1, byte(nonce), byte(nonce >> 8)})
		h.lookSometimes(phase, now)
	}
	if looks > n {
		t.Errorf("%d looks at %d transactions that came at once", looks, n)
	}
	looks = 0
	if h.lookSometimes(phase, now.Add(lookEvery)); looks != n {
		t.Errorf("%d looks after a while, want %d", looks, n)
	}
}
