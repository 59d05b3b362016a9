package shard_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/dispersal/shard"
)

func holders(stakes ...int64) []shard.Holder {
	out := make([]shard.Holder, len(stakes))
	for i, s := range stakes {
		out[i] = shard.Holder{Key: fmt.Appendf(nil, "validator-%03d", i), Stake: s}
	}
	return out
}

func equal(n int) []shard.Holder { return holders(slices.Repeat([]int64{1000}, n)...) }

// zipf is a common shape of stake: the i-th validator has 1/i of the first.
func zipf(n int) []shard.Holder {
	stakes := make([]int64, n)
	for i := range stakes {
		stakes[i] = 1e9 / int64(i+1)
	}
	return holders(stakes...)
}

// whale is the worst shape: one has nearly everything.
func whale(n int) []shard.Holder {
	h := equal(n)
	h[n/2].Stake = 1e15
	return h
}

func layout(t testing.TB, h []shard.Holder) *shard.Layout {
	t.Helper()
	l, err := shard.NewLayout(h)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func drawHolders(t *rapid.T, most int) []shard.Holder {
	n := rapid.IntRange(1, most).Draw(t, "n")
	limit := rapid.SampledFrom([]int64{1, 3, 100, 1e6, math.MaxInt64 / int64(most)}).Draw(t, "largest stake")
	stakes := make([]int64, n)
	for i := range stakes {
		stakes[i] = rapid.Int64Range(0, limit).Draw(t, "stake")
	}
	stakes[rapid.IntRange(0, n-1).Draw(t, "has stake")] = limit
	return holders(stakes...)
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		holders        []shard.Holder
		n, data, total int
	}{
		{"alone", equal(1), 1, 1, 1},
		{"two equal", equal(2), 2, 1, 2},
		{"three equal", equal(3), 3, 2, 3},
		{"four equal", equal(4), 4, 2, 4},
		{"seven equal", equal(7), 7, 3, 7},
		{"sixteen equal", equal(16), 16, 6, 16},
		{"a hundred equal", equal(100), 100, 34, 100},
		{"150 equal", equal(150), 150, 51, 150},
		{"four, one with nearly all", whale(4), 3, 2, 6},
		{"largest stake alone", holders(math.MaxInt64), 1, 1, 1},
	} {
		l := layout(t, c.holders)
		if l.N() != c.n || l.DataShards() != c.data || l.TotalShards() != c.total {
			t.Errorf("%s: N=%d k=%d T=%d, want N=%d k=%d T=%d", c.name, l.N(), l.DataShards(), l.TotalShards(), c.n, c.data, c.total)
		}
	}
}

// What a byte of a batch costs stays near 3 however stake is spread.
func TestOverhead(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{4, 7, 16, 31, 50, 100, 150, shard.MaxHolders} {
		pareto, even, steep := make([]int64, n), make([]int64, n), make([]int64, n)
		for i := range n {
			pareto[i] = int64(1e6 / math.Pow(random.Float64()+1e-9, 1/1.16))
			even[i] = 1 + random.Int64N(1e9)
			steep[i] = 1 + int64(1e12*math.Pow(0.93, float64(i)))
		}
		for name, c := range map[string]struct {
			holders []shard.Holder
			most    float64
		}{
			"equal": {equal(n), 3}, "zipf": {zipf(n), 3.45}, "pareto": {holders(pareto...), 3.6},
			"uniform": {holders(even...), 3.6}, "steep": {holders(steep...), 3.7}, "whale": {whale(n), 3.75},
		} {
			l := layout(t, c.holders)
			if got := float64(l.TotalShards()) / float64(l.DataShards()); got > c.most {
				t.Errorf("%s, %d validators: overhead %.2f (T=%d k=%d), want at most %.2f", name, n, got, l.TotalShards(), l.DataShards(), c.most)
			}
		}
	}
}

// A layout is what the specification says, whatever the stakes.
func TestLayoutProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := drawHolders(t, 40)
		l, err := shard.NewLayout(h)
		if err != nil {
			t.Fatal(err)
		}
		if l.DataShards() != l.N()/3+1 || l.TotalShards() > shard.MaxShards {
			t.Fatalf("N=%d k=%d T=%d", l.N(), l.DataShards(), l.TotalShards())
		}
		all, stakes := new(big.Int), map[string]int64{}
		for _, v := range h {
			all.Add(all, big.NewInt(v.Stake))
			if stakes[string(v.Key)] = v.Stake; v.Stake == 0 && l.Range(v.Key).Count != 0 {
				t.Fatalf("%s has no stake and %d shards", v.Key, l.Range(v.Key).Count)
			}
		}
		next := 0
		for v, run := range l.All {
			want := new(big.Int).Mul(big.NewInt(int64(l.N())), big.NewInt(stakes[string(v.Key)]))
			want.Add(want, all).Sub(want, big.NewInt(1)).Quo(want, all)
			if run.First != next || int64(run.Count) != want.Int64() || run.Count < 1 || run.Count > l.N() || l.Range(v.Key) != run {
				t.Fatalf("%s has %+v and %+v, want %v from %d", v.Key, run, l.Range(v.Key), want, next)
			}
			next += run.Count
		}
		if next != l.TotalShards() {
			t.Fatalf("%d shards held of %d", next, l.TotalShards())
		}

		// Neither the order of the holders nor one without stake makes a difference.
		other := append(rapid.Permutation(h).Draw(t, "order"), shard.Holder{Key: []byte("idle")})
		again, err := shard.NewLayout(other)
		if err != nil || again.Digest() != l.Digest() {
			t.Fatalf("another order has digest %x, want %x: %v", again.Digest(), l.Digest(), err)
		}
		// Anything else does.
		i := slices.IndexFunc(h, func(v shard.Holder) bool { return v.Stake > 0 })
		other = slices.Clone(h)
		if other[i].Stake++; other[i].Stake < 3 {
			other[i].Stake++ // one alone of two is no other shape, but another stake
		}
		if again, err = shard.NewLayout(other); err != nil || again.Digest() == l.Digest() {
			t.Fatalf("another stake has the same digest: %v", err)
		}
		other[i] = shard.Holder{Key: []byte("zzz"), Stake: h[i].Stake}
		if again, err = shard.NewLayout(other); err != nil || again.Digest() == l.Digest() {
			t.Fatalf("another key has the same digest: %v", err)
		}
	})
}

// For all sets of holders at once: most[c] is the most stake that any set with c
// shards has. Where it is above a third, c is at least k.
func TestAThirdOfStakeRebuilds(t *testing.T) {
	t.Parallel()
	check := func(t rapid.TB, h []shard.Holder) {
		l, err := shard.NewLayout(h)
		if err != nil {
			t.Fatal(err)
		}
		most, all := make([]int64, l.DataShards()), new(big.Int)
		for v, run := range l.All {
			all.Add(all, big.NewInt(v.Stake))
			for c := len(most) - 1; c >= run.Count; c-- {
				most[c] = max(most[c], most[c-run.Count]+v.Stake)
			}
		}
		for c, stake := range most {
			if new(big.Int).Mul(big.NewInt(3), big.NewInt(stake)).Cmp(all) > 0 {
				t.Fatalf("holders with %d of %v stake have %d shards, and k is %d", stake, all, c, l.DataShards())
			}
		}
	}
	for _, h := range [][]shard.Holder{equal(4), equal(150), zipf(150), whale(150), whale(shard.MaxHolders)} {
		check(t, h)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, drawHolders(t, 60)) })
}

func TestHoldersRefused(t *testing.T) {
	t.Parallel()
	twice := equal(3)
	twice[2].Key = twice[0].Key
	for name, h := range map[string][]shard.Holder{
		"none":          nil,
		"no stake":      holders(0, 0),
		"negative":      holders(5, -1),
		"twice":         twice,
		"too many":      equal(shard.MaxHolders + 1),
		"overflow":      holders(math.MaxInt64, 1),
		"overflow, big": holders(math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64),
		"no key":        {{Stake: 1}},
		"long key":      {{Key: make([]byte, shard.MaxKeyBytes+1), Stake: 1}},
	} {
		if _, err := shard.NewLayout(h); !errors.Is(err, shard.ErrHolders) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if run := layout(t, equal(4)).Range([]byte("stranger")); run != (shard.Range{}) {
		t.Errorf("a stranger holds %+v", run)
	}
}

// Later changes of what NewLayout was given do not reach the layout.
func TestLayoutOwnsItsKeys(t *testing.T) {
	t.Parallel()
	h := equal(4)
	key := slices.Clone(h[1].Key)
	l := layout(t, h)
	h[1].Key[0] = 'X'
	if l.Range(key).Count != 1 {
		t.Error("the key has changed")
	}
}
