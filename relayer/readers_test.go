package relayer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/test/await"
)

func atHeights(next ...uint64) []*rollup {
	out := make([]*rollup, len(next))
	for i, n := range next {
		out[i] = &rollup{Rollup: Rollup{Name: fmt.Sprint(i)}, next: n}
	}
	return out
}

func TestDivide(t *testing.T) {
	t.Parallel()
	many := make([]uint64, 100)
	for i := range many {
		many[i] = uint64(i) * 1000
	}
	for _, tt := range []struct {
		next []uint64
		want []int // sizes
	}{
		{nil, nil},
		{[]uint64{5}, []int{1}},
		{[]uint64{5, 5 + nearBlocks, 5 + 2*nearBlocks}, []int{3}},
		{[]uint64{900, 5, 901, 6}, []int{2, 2}},
		{[]uint64{1, 1000, 5000, 5000}, []int{1, 1, 2}},
		{many, []int{1, 1, 1, 1, 1, 1, 1, 93}},
	} {
		var got []int
		last := uint64(0)
		for _, g := range divide(atHeights(tt.next...)) {
			got = append(got, len(g))
			for _, r := range g {
				if r.next < last {
					t.Errorf("%v: not in order", tt.next)
				}
				last = r.next
			}
		}
		if len(got) > maxReaders || len(tt.next) < 100 && !slices.Equal(got, tt.want) {
			t.Errorf("%v is divided into %v, want %v", tt.next, got, tt.want)
		}
	}
}

// Rollups that start far apart are read by streams of their own, until those behind
// have caught up.
func TestReadersComeTogether(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	chain.growBy(600)
	three := rollups("alpha", "beta", "gamma")
	three[1].Start, three[2].Start = 500, 580
	r := start(t, prepare(t, chain, Options{Rollups: three}, layer))
	await.Until(t, "all have caught up", func() bool {
		for _, s := range r.Status().Rollups {
			if s.PostedHeight < uint64(chain.height()) {
				return false
			}
		}
		return true
	})
	await.Until(t, "one reader is left", func() bool {
		chain.growBy(1)
		time.Sleep(10 * time.Millisecond) // as blocks come
		return chain.sources.Load() == 1
	})
	for _, rollup := range three {
		await.Until(t, "all is on DA", func() bool { return postedTo(t, layer, rollup.ID, rollup.Start) == uint64(chain.height()) })
	}
}
