package shard_test

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/dispersal/shard"
)

// rebuild returns the batch that the shares give, as soon as they are enough.
func rebuild(t testing.TB, r *shard.Rebuilder, l *shard.Layout, root shard.Root, size int, shares []*shard.Share) ([]byte, error) {
	t.Helper()
	if err := r.Reset(l, root, size); err != nil {
		t.Fatal(err)
	}
	for _, s := range shares {
		if err := r.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	return r.Batch()
}

// subsets calls f with each choice of k out of n.
func subsets(n, k int, f func([]int)) {
	var pick func(from int, chosen []int)
	pick = func(from int, chosen []int) {
		if len(chosen) == k {
			f(chosen)
			return
		}
		for i := from; i < n; i++ {
			pick(i+1, append(chosen, i))
		}
	}
	pick(0, nil)
}

func TestEverySubsetRebuilds(t *testing.T) {
	t.Parallel()
	for _, h := range [][]shard.Holder{equal(1), equal(2), equal(3), equal(4), equal(7), whale(4), zipf(4)} {
		l := layout(t, h)
		for _, size := range []int{1, 2, l.DataShards(), 10*l.DataShards() + 1, 500} {
			batch := stream("batch", size)
			c := encode(t, l, batch)
			var r shard.Rebuilder
			subsets(l.TotalShards(), l.DataShards(), func(chosen []int) {
				var shares []*shard.Share
				for _, i := range slices.Backward(chosen) {
					shares = append(shares, share(t, c, i, 1))
				}
				if got, err := rebuild(t, &r, l, c.Root(), size, shares); err != nil || !bytes.Equal(got, batch) {
					t.Fatalf("from %v: %x, %v", chosen, got, err)
				}
			})
		}
	}
}

// One bad shard makes the batch void, for those too who never see it.
func TestEverySubsetSeesVoid(t *testing.T) {
	t.Parallel()
	const size = 100
	l := layout(t, equal(7))
	for bad := range l.TotalShards() {
		c := encode(t, l, stream("batch", size))
		c.Forge(size, func(s [][]byte) { s[bad][5] ^= 1 }, func([]shard.Hash) {})
		var r shard.Rebuilder
		subsets(l.TotalShards(), l.DataShards(), func(chosen []int) {
			var shares []*shard.Share
			for _, i := range chosen {
				shares = append(shares, share(t, c, i, 1))
			}
			if got, err := rebuild(t, &r, l, c.Root(), size, shares); !errors.Is(err, shard.ErrVoid) || got != nil {
				t.Fatalf("shard %d is bad, from %v: %x, %v", bad, chosen, got, err)
			}
		})
	}
}

// The ways in which a disperser may break the rules. Each changes the shards, or
// the leaves, which then have no shard that anyone could show.
var attacks = []struct {
	name   string
	shards func(t *rapid.T, l *shard.Layout, size int, s [][]byte)
	leaves func(t *rapid.T, leaves []shard.Hash)
}{
	{name: "honest"},
	{name: "one bit", shards: func(t *rapid.T, _ *shard.Layout, _ int, s [][]byte) {
		one := rapid.SampledFrom(s).Draw(t, "shard")
		one[rapid.IntRange(0, len(one)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	}},
	{name: "several shards", shards: func(t *rapid.T, _ *shard.Layout, _ int, s [][]byte) {
		for _, one := range s[rapid.IntRange(0, len(s)-1).Draw(t, "from"):] {
			if rapid.Bool().Draw(t, "change") {
				copy(one, stream("other", len(one)))
			}
		}
	}},
	{name: "noise", shards: func(_ *rapid.T, _ *shard.Layout, _ int, s [][]byte) {
		for i, one := range s {
			copy(one, stream(string(rune(i)), len(one)))
		}
	}},
	// k-1 data shards and all parity, say, are those of one batch, the rest of another.
	{name: "two batches", shards: func(t *rapid.T, l *shard.Layout, size int, s [][]byte) {
		var c shard.Coded
		if err := c.Encode(l, stream("second", size)); err != nil {
			t.Fatal(err)
		}
		for i := rapid.IntRange(0, len(s)).Draw(t, "from"); i < len(s); i++ {
			copy(s[i], c.Shard(i))
		}
	}},
	// A codeword whose padding is not zero.
	{name: "padding", shards: func(t *rapid.T, l *shard.Layout, size int, s [][]byte) {
		padded := l.DataShards() * len(s[0])
		batch := stream("batch", padded)
		if padded > size {
			batch[rapid.IntRange(size, padded-1).Draw(t, "byte")] |= 1
		}
		var c shard.Coded
		if err := c.Encode(l, batch); err != nil {
			t.Fatal(err)
		}
		for i := range s {
			copy(s[i], c.Shard(i))
		}
	}},
	{name: "leaves of no shard", leaves: func(t *rapid.T, leaves []shard.Hash) {
		for range rapid.IntRange(1, 3).Draw(t, "leaves") {
			leaves[rapid.IntRange(0, len(leaves)-1).Draw(t, "leaf")][7] ^= 1
		}
	}},
}

// Whatever a disperser commits to, all sets of holders of more than a third of
// stake that have their shards get the same answer.
func TestOneAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		checkOneAnswer(t, drawHolders(t, 12), rapid.IntRange(1, 700).Draw(t, "size"))
	})
}

// The same with more shards than the matrix code has.
func TestOneAnswerLeopard(t *testing.T) {
	t.Parallel()
	large := zipf(40)
	if l := layout(t, large); l.TotalShards() <= 128 {
		t.Fatalf("only %d shards", l.TotalShards())
	}
	rapid.Check(t, func(t *rapid.T) {
		checkOneAnswer(t, large, rapid.IntRange(1, 9000).Draw(t, "size"))
	})
}

func checkOneAnswer(t *rapid.T, h []shard.Holder, size int) {
	l, err := shard.NewLayout(h)
	if err != nil {
		t.Fatal(err)
	}
	batch := stream("batch", size)
	var c, again shard.Coded
	if err := c.Encode(l, batch); err != nil {
		t.Fatal(err)
	}
	attack := rapid.SampledFrom(attacks).Draw(t, "attack")
	c.Forge(size, func(s [][]byte) {
		if attack.shards != nil {
			attack.shards(t, l, size, s)
		}
	}, func(leaves []shard.Hash) {
		if attack.leaves != nil {
			attack.leaves(t, leaves)
		}
	})
	// With all shards at hand it is plain what the answer must be: the batch that the
	// data shards hold if it codes to this root, void if not.
	var want []byte
	for i := range l.DataShards() {
		want = append(want, c.Shard(i)...)
	}
	want = want[:size]
	if err := again.Encode(l, want); err != nil {
		t.Fatal(err)
	}
	if again.Root() != c.Root() {
		want = nil
	}
	if attack.name == "honest" && !bytes.Equal(want, batch) {
		t.Fatal("an honest batch is void")
	}

	// What each holder can show.
	all, shares := new(big.Int), map[string]*shard.Share{}
	var showing []shard.Holder
	for v, run := range l.All {
		all.Add(all, big.NewInt(v.Stake))
		s, err := c.Share(run)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(c.Root(), size, s); err == nil {
			shares[string(v.Key)] = s
			showing = append(showing, v)
		} else if attack.leaves == nil {
			t.Fatal(err)
		}
	}
	if len(showing) == 0 {
		return
	}
	var r shard.Rebuilder
	for range 6 {
		stake := new(big.Int)
		if err := r.Reset(l, c.Root(), size); err != nil {
			t.Fatal(err)
		}
		for _, v := range rapid.Permutation(showing).Draw(t, "order") {
			if err := r.Add(shares[string(v.Key)]); err != nil {
				t.Fatal(err)
			}
			stake.Add(stake, big.NewInt(v.Stake))
			if new(big.Int).Mul(big.NewInt(3), stake).Cmp(all) > 0 && !r.Ready() {
				t.Fatalf("%v of %v stake is not enough", stake, all)
			}
		}
		got, err := r.Batch()
		switch {
		case !r.Ready():
			if !errors.Is(err, shard.ErrTooFew) {
				t.Fatalf("too few: %v", err)
			}
		case want == nil && !errors.Is(err, shard.ErrVoid), want != nil && err != nil, !bytes.Equal(got, want):
			t.Fatalf("%s: got %d bytes and %v, want %d bytes", attack.name, len(got), err, len(want))
		}
	}
}

func TestRebuilderIsReused(t *testing.T) {
	t.Parallel()
	var c shard.Coded
	var r shard.Rebuilder
	if r.Ready() {
		t.Error("ready before a batch")
	}
	if _, err := r.Batch(); !errors.Is(err, shard.ErrTooFew) {
		t.Errorf("before a batch: %v", err)
	}
	if err := r.Add(&shard.Share{}); !errors.Is(err, shard.ErrShare) {
		t.Errorf("before a batch: %v", err)
	}
	small, large := layout(t, zipf(7)), layout(t, zipf(40))
	var batches, kept [][]byte
	for i, step := range []struct {
		layout *shard.Layout
		size   int
	}{{small, 500}, {large, 70000}, {small, 1}, {small, 100000}, {large, 1}} {
		batch := stream(string(rune('a'+i)), step.size)
		if err := c.Encode(step.layout, batch); err != nil {
			t.Fatal(err)
		}
		if err := r.Reset(step.layout, c.Root(), step.size); err != nil {
			t.Fatal(err)
		}
		for first := step.layout.TotalShards() - 1; !r.Ready(); first-- {
			if _, err := r.Batch(); !errors.Is(err, shard.ErrTooFew) {
				t.Fatalf("too few: %v", err)
			}
			for range 2 { // the same again changes nothing
				if err := r.Add(share(t, &c, first, 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := r.Add(share(t, &c, 0, 1)); err != nil { // more than needed
			t.Fatal(err)
		}
		for range 2 {
			if got, err := r.Batch(); err != nil || !bytes.Equal(got, batch) {
				t.Fatalf("step %d: %d bytes, %v", i, len(got), err)
			}
		}
		got, err := r.Batch()
		if err != nil {
			t.Fatal(err)
		}
		batches, kept = append(batches, batch), append(kept, got)
	}
	r.Clear()
	if r.Ready() {
		t.Error("ready, and nothing is being rebuilt")
	}
	for i := range kept { // they are the caller's
		if !bytes.Equal(kept[i], batches[i]) {
			t.Errorf("batch %d is another after those that followed it", i)
		}
	}
}

// One layout serves many goroutines.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	for _, l := range []*shard.Layout{layout(t, zipf(7)), layout(t, zipf(40))} {
		var group sync.WaitGroup
		for g := range 4 {
			group.Go(func() {
				var c shard.Coded
				var r shard.Rebuilder
				for i := range 5 {
					batch := stream(string(rune('a'+g)), 5000+i)
					if err := c.Encode(l, batch); err != nil {
						t.Error(err)
						return
					}
					var shares []*shard.Share
					for j := range l.DataShards() {
						s, err := c.Share(shard.Range{First: 2 * j, Count: 1})
						if err != nil {
							t.Error(err)
							return
						}
						shares = append(shares, s)
					}
					if err := r.Reset(l, c.Root(), len(batch)); err != nil {
						t.Error(err)
						return
					}
					for _, s := range shares {
						if err := r.Add(s); err != nil {
							t.Error(err)
						}
					}
					if got, err := r.Batch(); err != nil || !bytes.Equal(got, batch) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
				}
			})
		}
		group.Wait()
	}
}

func TestLengths(t *testing.T) {
	t.Parallel()
	l := layout(t, equal(4))
	var c shard.Coded
	var r shard.Rebuilder
	for _, size := range []int{0, shard.MaxBatchBytes + 1} {
		if err := c.Encode(l, make([]byte, size)); !errors.Is(err, shard.ErrLength) {
			t.Errorf("encode %d bytes: %v", size, err)
		}
		if err := r.Reset(l, shard.Root{}, size); !errors.Is(err, shard.ErrLength) {
			t.Errorf("rebuild %d bytes: %v", size, err)
		}
	}
	batch := stream("largest", shard.MaxBatchBytes)
	big := encode(t, l, batch)
	got, err := rebuild(t, &r, l, big.Root(), len(batch), []*shard.Share{share(t, big, 1, 1), share(t, big, 3, 1)})
	if err != nil || !bytes.Equal(got, batch) {
		t.Errorf("the largest batch: %d bytes, %v", len(got), err)
	}
}

// After the first batch, nothing is allocated for each shard. (A pool may have been
// emptied in between, hence not none at all.)
func TestMemoryIsReused(t *testing.T) {
	const most = 20
	l := layout(t, whale(7))
	if l.DataShards() <= most {
		t.Fatalf("%d data shards are too few to tell", l.DataShards())
	}
	batch := stream("batch", 1<<16)
	var c shard.Coded
	if got := testing.AllocsPerRun(10, func() { _ = c.Encode(l, batch) }); got > most {
		t.Errorf("encode allocates %v times", got)
	}
	data := share(t, &c, 0, l.DataShards())
	if got := testing.AllocsPerRun(10, func() { _ = l.Verify(c.Root(), len(batch), data) }); got > most {
		t.Errorf("verify allocates %v times", got)
	}
	var r shard.Rebuilder
	if got := testing.AllocsPerRun(10, func() { _, _ = rebuild(t, &r, l, c.Root(), len(batch), []*shard.Share{data}) }); got > most {
		t.Errorf("rebuild allocates %v times", got)
	}
}

// FuzzRebuild commits to shards that the fuzzer wrote, and asks two sets of
// holders. They agree, and the batch is one only if it codes to the same root.
func FuzzRebuild(f *testing.F) {
	layouts := []*shard.Layout{layout(f, equal(4)), layout(f, equal(7)), layout(f, zipf(7))}
	f.Add([]byte{}, uint8(0), uint16(10), uint16(1), uint16(2))
	f.Add([]byte{1}, uint8(1), uint16(300), uint16(0x55), uint16(0xaa))
	f.Add(bytes.Repeat([]byte{0, 0, 9}, 50), uint8(2), uint16(64), uint16(3), uint16(0xf0))
	f.Fuzz(func(t *testing.T, change []byte, which uint8, length uint16, a, b uint16) {
		l, size := layouts[int(which)%len(layouts)], int(length)%2000+1
		c := encode(t, l, stream("batch", size))
		c.Forge(size, func(s [][]byte) {
			for i, x := range change {
				s[i%len(s)][i/len(s)%len(s[0])] ^= x
			}
		}, func([]shard.Hash) {})
		answer := func(order uint16) ([]byte, error) {
			var r shard.Rebuilder
			if err := r.Reset(l, c.Root(), size); err != nil {
				t.Fatal(err)
			}
			for i := 0; !r.Ready(); i++ {
				if i >= l.TotalShards() || order>>(i%16)&1 == 1 || i >= 16 {
					if err := r.Add(share(t, c, i%l.TotalShards(), 1)); err != nil {
						t.Fatal(err)
					}
				}
			}
			return r.Batch()
		}
		one, err := answer(a)
		two, err2 := answer(b)
		if !bytes.Equal(one, two) || errors.Is(err, shard.ErrVoid) != errors.Is(err2, shard.ErrVoid) {
			t.Fatalf("%x, %v and %x, %v", one, err, two, err2)
		}
		if err != nil && !errors.Is(err, shard.ErrVoid) {
			t.Fatal(err)
		}
		if err == nil && encode(t, l, one).Root() != c.Root() {
			t.Fatal("a batch that has another root")
		}
	})
}
