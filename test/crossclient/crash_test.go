package crossclient

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ordo-network/ordo/devnet/ethclients"
)

// TestNodeIsKilled: what drives a client runs in another process, which is killed, or the
// client is, or both at once; then both go on with no gap.
func TestNodeIsKilled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind    string
		program ethclients.Program
	}{{"mirror", ethclients.Geth}, {"op", ethclients.OPGeth}} {
		t.Run(test.kind, func(t *testing.T) {
			t.Parallel()
			genesis := genesis(t)
			p := newPeer(t, test.program, genesis)
			if p == nil {
				t.Skipf("%s is not built: make geth-bin opgeth-bin", test.program.Name)
			}
			h := newHost(t, genesis, test.kind, p)
			s := &subject{name: test.kind, client: h.dial(t), peer: p}
			ref, w, dice := newReference(t, genesis), newWorld(t, *seed+100), rand.New(rand.NewPCG(*seed, 13))
			kills := 0
			for n := 1; n <= *blocks; n++ {
				ref.next(t, w)
				// While the block is executed, so that any point may be hit.
				hit := dice.IntN(12)
				wait, back := time.Duration(dice.IntN(30))*time.Millisecond, time.Duration(dice.IntN(100))*time.Millisecond
				done := make(chan struct{})
				go func() {
					defer close(done)
					time.Sleep(wait) // the point
					if hit == 0 || hit == 1 {
						h.crash(back)
					}
					if hit == 1 || hit == 2 {
						p.crash(back)
					}
				}()
				s.follow(t, ref)
				<-done
				if hit <= 2 {
					kills++
				}
				if dice.IntN(5) == 0 {
					s.settle(t, ref.heads[n-dice.IntN(min(n, 3))])
				}
				if n%100 == 0 {
					t.Logf("block %d", n)
				}
				if t.Failed() {
					t.Fatalf("seed %d, block %d", *seed, n)
				}
			}
			h.back.Wait()
			s.whole(t, ref)
			t.Logf("%d blocks, killed %d times", *blocks, kills)
		})
	}
}
