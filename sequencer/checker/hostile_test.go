package checker

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
)

// A layer that hangs holds up no claims about another, and is not asked for each of its
// own for as long as a fetch may take.
func TestLayerThatHangsHoldsUpNoOther(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		hung := &layer{get: func(uint64) ([]byte, error) { return nil, errHangs }}
		well := &layer{get: func(uint64) ([]byte, error) { return raw, nil }}
		ch, c := start(t, well, nil, func(o *Options) { o.Layers["hung"] = hung })
		for i := range uint64(40) {
			claim := newClaim(i+1, "a", raw, i+1)
			claim.Layer = "hung"
			ch.add(claim)
		}
		ch.add(newClaim(41, "a", raw, 41))
		time.Sleep(time.Second)
		votes(t, c, []uint64{41}, nil)
		// A minute each, and 2 s, 4 s, 8 s and so on between them.
		time.Sleep(10*time.Minute - time.Second)
		synctest.Wait()
		if got := len(hung.asked()); got != 7 {
			t.Errorf("asked the layer that hangs %d times", got)
		}
		if got := well.asked(); !slices.Equal(got, []uint64{41}) {
			t.Errorf("fetched %v", got)
		}
	})
}

// A worker does not wait for another's claim of several parts while there are others.
func TestLargeClaimHoldsUpNoSmallOnes(t *testing.T) {
	raw := blob(t)
	parts, err := follower.SplitBlob(append(raw, make([]byte, 200<<10)...), 80<<10)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(height uint64) ([]byte, error) {
			if height < 10 {
				return nil, errHangs
			}
			return raw, nil
		}}
		ch, c := start(t, l, nil, func(o *Options) { o.Workers = 2 })
		for i := range uint64(3) {
			ch.add(newClaim(i+1, "a", parts[0], i+1, i+1, i+1))
		}
		ch.add(newClaim(4, "a", raw, 14), newClaim(5, "b", raw, 15))
		time.Sleep(time.Second)
		votes(t, c, []uint64{4, 5}, nil)
		if got := l.asked(); got[0] != 1 || len(got) != 3 {
			t.Errorf("fetched %v", got)
		}
		// The next large one comes once the first is out of memory.
		time.Sleep(time.Minute + 10*time.Second)
		synctest.Wait()
		if got := l.asked(); !slices.Equal(got, []uint64{2}) {
			t.Errorf("fetched %v", got)
		}
	})
}

// What is fetched in vain is paid for, too.
func TestVainFetchesArePaced(t *testing.T) {
	raw := blob(t)
	for name, s := range map[string]struct {
		err     error
		fetches int // in the first second, of 10 MiB
	}{
		"there is nothing":      {da.ErrNotFound, 5},
		"layer does not answer": {da.ErrUnavailable, 5},
		"layer is behind":       {da.ErrNotYet, 160},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &layer{get: func(uint64) ([]byte, error) { return nil, s.err }}
				ch, _ := start(t, l, nil, func(o *Options) { o.BytesPerSecond = 10 << 20 })
				for i := range uint64(400) { // of as many relayers
					ch.add(newClaim(i+1, string(rune('a'+i)), raw, i+1))
				}
				time.Sleep(1199 * time.Millisecond) // they are known after 200 ms
				synctest.Wait()
				if got := len(l.asked()); got != s.fetches {
					t.Errorf("%d fetches, want %d", got, s.fetches)
				}
			})
		})
	}
}

// A relayer with a claim that was found to be false waits, longer each time, until one
// was found to be true.
func TestRelayerRestsAfterFalseClaims(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(height uint64) ([]byte, error) {
			if height >= 1000 {
				return raw, nil
			}
			return nil, da.ErrNotFound
		}}
		ch, c := start(t, l, nil, nil)
		for i := range uint64(100) {
			ch.add(newClaim(i+1, "liar", raw, i+1))
		}
		ch.add(newClaim(101, "b", raw, 1001))
		time.Sleep(time.Minute)
		votes(t, c, []uint64{101}, nil)
		// After 2 s, 6 s, 14 s, 30 s, and then 62 s.
		if got := l.asked(); len(got) != 6 {
			t.Errorf("fetched %v", got)
		}
		c.mu.Lock()
		before := c.rests["liar"].falls
		c.mu.Unlock()
		numbers := make([]uint64, 100)
		for i := range numbers {
			numbers[i] = uint64(i + 1)
		}
		ch.settle(numbers...)
		ch.add(newClaim(102, "liar", raw, 1002))
		time.Sleep(time.Minute)
		votes(t, c, []uint64{101, 102}, nil)
		c.mu.Lock()
		defer c.mu.Unlock()
		if before != 5 || len(c.rests) != 0 {
			t.Errorf("%d false claims in a row, want 5, and then %v", before, c.rests)
		}
	})
}

// What a relayer claimed before the chain began to ignore it is not looked at, until it no longer does.
func TestIgnoredRelayerIsNotServed(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(uint64) ([]byte, error) { return raw, nil }}
		// A blob takes a second.
		ch, c := start(t, l, nil, func(o *Options) { o.BytesPerSecond = len(raw) })
		for i := range uint64(100) {
			ch.add(newClaim(i+1, "a", raw, i+1))
		}
		time.Sleep(1900 * time.Millisecond)
		votes(t, c, []uint64{1, 2}, nil)
		ch.ignore("a")
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		l.asked()
		ch.add(newClaim(200, "b", raw, 200))
		ch.mu.Lock()
		ch.asked = 0
		ch.mu.Unlock()
		time.Sleep(20 * time.Second)
		votes(t, c, []uint64{1, 2, 200}, nil) // what is known already is said
		if got := l.asked(); !slices.Equal(got, []uint64{200}) {
			t.Errorf("fetched %v for a relayer that is ignored", got)
		}
		ch.mu.Lock()
		if ch.asked > 98*11+2 {
			t.Errorf("asked for claims %d times", ch.asked)
		}
		ch.mu.Unlock()
		ch.ignore("")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := l.asked(); len(got) < 5 {
			t.Errorf("fetched %v for one that is ignored no longer", got)
		}
	})
}

// Claims that wait for their second look are not looked at again either.
func TestIgnoredRelayerGetsNoSecondLook(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(uint64) ([]byte, error) { return nil, da.ErrUnavailable }}
		ch, _ := start(t, l, nil, nil)
		ch.add(newClaim(1, "a", raw, 1))
		time.Sleep(time.Second)
		ch.ignore("a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := l.asked(); len(got) != 1 {
			t.Errorf("fetched %v", got)
		}
	})
}

// Each part is verified when it is fetched: one wrong part costs no more than those before it.
func TestWrongPartIsFoundOutAtOnce(t *testing.T) {
	raw := append(blob(t), make([]byte, 400<<10)...)
	parts, err := follower.SplitBlob(raw, 80<<10)
	if err != nil || len(parts) < 5 {
		t.Fatal(len(parts), err)
	}
	forged := slices.Clone(parts[1])
	forged[len(forged)-1] ^= 1
	for name, second := range map[string][]byte{"not of the set": forged, "again": parts[0]} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				claim := newClaim(1, "a", nil)
				there := slices.Clone(parts)
				there[1] = second
				for i, p := range there {
					claim.Parts = append(claim.Parts, da.Part{Ref: da.Ref{Height: uint64(i)}, ID: da.ID(p)})
				}
				l := &layer{get: func(height uint64) ([]byte, error) { return there[height], nil }}
				ch, c := start(t, l, nil, nil)
				ch.add(claim)
				time.Sleep(10 * time.Second)
				votes(t, c, nil, []uint64{1})
				if got := l.asked(); !slices.Equal(got, []uint64{0, 1, 0, 1}) {
					t.Errorf("fetched %v", got)
				}
			})
		})
	}
}

// Nothing is fetched for blocks that this node does not have.
func TestUnknownBlocksAreNotFetched(t *testing.T) {
	raw := blob(t)
	synctest.Test(t, func(t *testing.T) {
		l := &layer{get: func(uint64) ([]byte, error) { return raw, nil }}
		ch, c := start(t, l, nil, func(o *Options) { o.Chain = blocks(3) })
		ch.add(newClaim(1, "a", raw, 1))
		time.Sleep(10 * time.Second)
		votes(t, c, nil, nil)
		if got := l.asked(); len(got) != 0 {
			t.Errorf("fetched %v", got)
		}
	})
}
