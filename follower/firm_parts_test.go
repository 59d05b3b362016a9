package follower

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	eventually "github.com/ordo-network/ordo/test/await" // await is something else here
)

// newLargeChain has blocks whose blobs must be split: 150 KB for alpha in each.
func newLargeChain(height int) *testChain {
	c := newTestChain(testValidators(0, 4))
	for h := 1; h <= height; h++ {
		c.append([]*order.Bundle{bundle(h, [][]byte{randomBytes(byte(h), 150_000)}, alpha), bundle(h, txs(h, 1), gamma)})
	}
	return c
}

// parts packs blocks and splits them.
func (c *testChain) parts(t testing.TB, from, to, limit int) [][]byte {
	t.Helper()
	parts, err := SplitBlob(c.blob(t, from, to), limit)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestFirmReadsParts(t *testing.T) {
	t.Parallel()
	c := newLargeChain(9)
	a, b := c.parts(t, 1, 3, 100_000), c.parts(t, 4, 6, 120_000)
	poisoned := bytes.Clone(b[1])
	poisoned[len(poisoned)-1] ^= 1
	fake := forgeParts(t, randomBytes(7, 300_000), 4, 3, 3) // a set of a stranger's for the same blocks, complete and no blob
	slices.Reverse(a)
	l := newTestLayer(
		a, // of one height, in any order
		[][]byte{b[0], []byte("garbage"), poisoned, fake[0]},
		nil,
		[][]byte{b[2], b[0], fake[1], fake[1]},
		[][]byte{fake[2], c.blob(t, 7, 9)},
	)
	for _, p := range b[3:] {
		l.add(p)
	}
	l.add(b[1], c.blob(t, 2, 2))
	r := newFirmReader(t, c.firmConfig(t, l))
	last := readFirm(t, r, c, Cursor{}, 1, 9)
	if last.DAHeight != 5 {
		t.Errorf("blocks 7 to 9 come from DA height %d, want 5", last.DAHeight)
	}
	if got := value(t, r.metrics.skipped.WithLabelValues("parts")); got != 1 {
		t.Errorf("%v parts dropped, want the poisoned one", got)
	}
	if got := value(t, r.metrics.skipped.WithLabelValues("blob")); got < 2 {
		t.Errorf("%v dropped as no blobs, want the garbage and the set of the stranger", got)
	}
	for h, n := range l.reads {
		if n > 3 {
			t.Errorf("DA height %d read %d times", h, n)
		}
	}
	// A cursor between the parts of a blob goes on with what came before it.
	l = newTestLayer([][]byte{c.blob(t, 1, 3), b[0], b[1]}, [][]byte{c.blob(t, 1, 3), c.blob(t, 2, 2)}, b[2:])
	last = readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, 2)
	cursor, err := DecodeCursor(last.Cursor.Encode())
	if err != nil {
		t.Fatal(err)
	}
	readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, cursor, 3, 6)
}

// TestSetsDoNotCrowdOut: sets that strangers begin and never finish take the place of one another,
// not of one that cost more, and do not grow the cursor without bound.
func TestSetsDoNotCrowdOut(t *testing.T) {
	t.Parallel()
	c := newLargeChain(4)
	genuine := c.parts(t, 1, 4, 400_000)
	if len(genuine) < 2 {
		t.Fatal("one part")
	}
	l := newTestLayer([][]byte{genuine[0]})
	for i := range 4 * maxSets {
		var junk [][]byte
		for j := range 5 {
			junk = append(junk, forgeParts(t, randomBytes(byte(i), 140_000+i+100*j), 1, 4, 2)[j%2])
		}
		l.add(junk...)
	}
	for _, p := range genuine[1:] {
		l.add(p)
	}
	r := newFirmReader(t, c.firmConfig(t, l))
	last := readFirm(t, r, c, Cursor{}, 1, 4)
	if n := len(r.places[0].sets); n > maxSets {
		t.Errorf("%d sets remembered, at most %d", n, maxSets)
	}
	if n := len(last.Cursor.Encode()); n > 16<<10 {
		t.Errorf("the cursor has %d bytes", n)
	}
	// Those that are passed, or have had no part for long, make way for any other.
	var sets []partSet
	for i := range maxSets {
		sets = addPart(sets, partHeader{first: 1, count: 10, length: 9 << 20, parts: 9, root: [32]byte{byte(i)}}, 1000, 5)
	}
	small := partHeader{first: 1, count: 10, length: 200_000, parts: 2, root: [32]byte{0xff}}
	if got := addPart(sets, small, 1000+staleHeights, 5); len(got) != maxSets || got[0].set() != sets[0].set() {
		t.Error("a set that costs little takes the place of one that cost more")
	}
	if got := addPart(sets, small, 1001+staleHeights, 5); len(got) != maxSets || got[maxSets-1].set() != small.set() {
		t.Error("a set that nobody finishes stays for good")
	}
	if got := addPart(sets, partHeader{first: 11, count: 1, length: 200_000, parts: 2}, 1001, 11); len(got) != maxSets || got[maxSets-1].first != 11 {
		t.Error("a set that is passed stays")
	}
}

// TestFirmFindsVoidsInParts: the proof that a leg is void counts in a blob that was split, too.
func TestFirmFindsVoidsInParts(t *testing.T) {
	t.Parallel()
	c, b := voidChain()
	first, _ := c.at(1)
	third, _ := c.at(3)
	blob := func(blocks ...*orderv1.RollupBlock) []byte {
		raw, err := EncodeBlob(blocks)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	proven := blob(b.honest(alpha))
	proven = binary.LittleEndian.AppendUint32(proven, zstdSkippable)
	proven = append(binary.LittleEndian.AppendUint32(proven, 200_000), randomBytes(1, 200_000)...)
	parts, err := SplitBlob(proven, 120_000)
	if err != nil || len(parts) != 2 {
		t.Fatalf("%d parts: %v", len(parts), err)
	}
	second, _ := c.at(2)
	for name, heights := range map[string][][][]byte{
		"at one height":  {{blob(first.rollupBlock(alpha), b.honest(alpha))}, parts, {blob(third.rollupBlock(alpha))}},
		"at two heights": {{blob(first.rollupBlock(alpha), b.honest(alpha))}, parts[:1], parts[1:], {blob(third.rollupBlock(alpha))}},
	} {
		cfg := c.firmConfig(t, newTestLayer(heights...))
		// What was taken of block 2 is its data, from elsewhere.
		cfg.Taken = func(h uint64) (Taken, bool, error) {
			return Taken{Hash: [32]byte(second.header.Hash())}, h == 2, nil
		}
		err := newFirmReader(t, cfg).Run(eventually.Context(t), Cursor{}, func(context.Context, FirmBlock) error { return nil })
		var found *VoidError
		if !errors.As(err, &found) || found.Height != 2 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFirmReadsTwoLayers: what one layer lacks, the other has, and what both have comes once.
func TestFirmReadsTwoLayers(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(12)
	first := newTestLayer([][]byte{c.blob(t, 1, 3)}, nil, [][]byte{c.blob(t, 8, 9), c.blob(t, 6, 7)})
	second := newTestLayer([][]byte{[]byte("garbage"), c.blob(t, 4, 5), c.blob(t, 6, 6)}, [][]byte{c.blob(t, 2, 4)}).named("other")
	last := readFirm(t, newFirmReader(t, c.firmConfig(t, first, second)), c, Cursor{}, 1, 9)
	if last.Layer != "test" {
		t.Errorf("block 9 comes from %s", last.Layer)
	}
	cursor, err := DecodeCursor(last.Cursor.Encode())
	if err != nil {
		t.Fatal(err)
	}
	// The one is away for good. Its place in the cursor stays, although it is read no more.
	first.fail = func(int) error { return da.ErrUnavailable }
	second.add(c.blob(t, 8, 11))
	last = readFirm(t, newFirmReader(t, c.firmConfig(t, first, second)), c, cursor, 10, 11)
	if last.Layer != "other" || last.DAHeight != 3 {
		t.Errorf("block 11 comes from %s, height %d", last.Layer, last.DAHeight)
	}
	at := last.Cursor.DAHeight("test")
	second.add(c.blob(t, 12, 12))
	last = readFirm(t, newFirmReader(t, c.firmConfig(t, second)), c, last.Cursor, 12, 12)
	if last.Cursor.DAHeight("test") != at || last.Cursor.DAHeight("other") != 3 {
		t.Errorf("places %d and %d, want %d and 3", last.Cursor.DAHeight("test"), last.Cursor.DAHeight("other"), at)
	}
}

func TestFirmStartsInTheMiddleOfALayer(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(4)
	l := newTestLayer([][]byte{c.blob(t, 1, 4)}, [][]byte{c.blob(t, 1, 2)}, [][]byte{c.blob(t, 3, 4)})
	cfg := c.firmConfig(t, l)
	cfg.DAFrom = map[string]uint64{"test": 2, "another": 9}
	last := readFirm(t, newFirmReader(t, cfg), c, Cursor{}, 1, 3)
	if last.DAHeight != 3 || l.reads[1] != 0 {
		t.Errorf("block 3 comes from DA height %d; height 1 was read %d times", last.DAHeight, l.reads[1])
	}
	cfg.DAFrom["test"] = 3 // the cursor is beyond it
	readFirm(t, newFirmReader(t, cfg), c, last.Cursor, 4, 4)
}

func TestFirmProgress(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3)
	l := newTestLayer([][]byte{c.blob(t, 3, 3)}, [][]byte{c.blob(t, 1, 2)}, nil)
	away := newTestLayer().named("away")
	var silent atomic.Bool
	silent.Store(true)
	away.fail = func(int) error {
		if silent.Load() {
			return da.ErrUnavailable
		}
		return nil
	}
	r := newFirmReader(t, c.firmConfig(t, l, away))
	if r.Progress().CaughtUp() {
		t.Error("caught up before it began")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var seen []uint64
	go func() {
		done <- r.Run(ctx, Cursor{}, func(_ context.Context, b FirmBlock) error {
			seen = append(seen, b.Height)
			return nil
		})
	}()
	eventually.Until(t, "the first layer is read", func() bool { return r.Progress().Height == 3 })
	if r.Progress().CaughtUp() {
		t.Error("caught up although nobody knows what the second layer holds")
	}
	silent.Store(false)
	eventually.Until(t, "it has caught up", func() bool { return r.Progress().CaughtUp() })
	p := r.Progress()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || fmt.Sprint(seen) != "[1 2 3]" {
		t.Errorf("blocks %v: %v", seen, err)
	}
	if p.Height != 3 || p.Bytes == 0 || fmt.Sprint(p.Layers) != "[{test 3 3 true} {away 0 0 true}]" {
		t.Errorf("progress %+v", p)
	}
}

// TestFirmSurvivesAnythingInParts is TestFirmSurvivesAnything over two layers, with blobs in
// parts that land anywhere, and sets of strangers.
func TestFirmSurvivesAnythingInParts(t *testing.T) {
	t.Parallel()
	const height = 8
	c := newLargeChain(height)
	var mu sync.Mutex
	cut := map[[3]int][][]byte{}
	parts := func(from, to, limit int) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		key := [3]int{from, to, limit}
		if cut[key] == nil {
			cut[key] = c.parts(t, from, to, limit)
		}
		return cut[key]
	}
	strange := forgeParts(t, randomBytes(9, 200_000), 3, 3, 2)
	poisoned := bytes.Clone(parts(1, 3, 200_000)[0])
	poisoned[5000] ^= 1
	garbage := [][]byte{[]byte("garbage"), strange[0], strange[1], poisoned, poisoned[:1000], []byte(partMagic)}
	limits := []int{110_000, 200_000, 10 << 20}
	rapid.Check(t, func(rt *rapid.T) {
		var pieces [][]byte
		add := func(from, to int) {
			pieces = append(pieces, parts(from, to, rapid.SampledFrom(limits).Draw(rt, "limit"))...)
		}
		for from := 1; from <= height; {
			to := min(height, from+rapid.IntRange(0, 3).Draw(rt, "blocks"))
			add(from, to)
			from = to + 1
		}
		if rapid.Bool().Draw(rt, "repeat") {
			from := rapid.IntRange(1, height).Draw(rt, "from")
			add(from, rapid.IntRange(from, min(height, from+2)).Draw(rt, "to"))
		}
		pieces = append(pieces, rapid.SliceOfN(rapid.SampledFrom(garbage), 0, 6).Draw(rt, "garbage")...)
		pieces = rapid.Permutation(pieces).Draw(rt, "order")
		// A blob's parts may be on both layers, but must be whole on one of them.
		first, second := newTestLayer(), newTestLayer().named("other")
		for i, l := range []*testLayer{first, second} {
			all := slices.Clone(pieces)
			if i == 1 {
				all = rapid.Permutation(pieces).Draw(rt, "order there")
				all = all[:rapid.IntRange(0, len(all)).Draw(rt, "pieces there")]
			}
			for len(all) > 0 {
				n := rapid.IntRange(0, len(all)).Draw(rt, "pieces at a DA height")
				l.add(all[:n]...)
				all = all[n:]
			}
		}
		var raw []byte
		for next := 1; next <= height; {
			stop := rapid.IntRange(next, height).Draw(rt, "stop")
			cursor, err := DecodeCursor(raw)
			if err != nil {
				rt.Fatal(err)
			}
			raw = readFirm(t, newFirmReader(t, c.firmConfig(t, first, second)), c, cursor, next, stop).Cursor.Encode()
			next = stop + 1
		}
	})
}

// TestFloodCostsNoWork: garbage in the namespace, 10,000 times over, makes a reader unpack nothing and check
// no signature. It must not run beside others: they share the memory of commits.
func TestFloodCostsNoWork(t *testing.T) {
	c := newTestChain(testValidators(70, 4))
	c.grow(4)
	good := c.blob(t, 3, 4)
	part := forgeParts(t, randomBytes(1, 200_000), 3, 2, 2)[0]
	for name, tc := range map[string]struct {
		junk            []byte
		count           int
		unpacked        int // bytes, at most, for each
		commits, refuse int
	}{
		"random bytes":      {noise(1000), 10_000, 0, 0, 10_000},
		"nothing":           {[]byte{}, 10_000, 0, 0, 10_000},
		"a header alone":    {good[:blobHeaderSize], 10_000, 0, 0, 10_000},
		"another rollup's":  {blobOf(t, 3, 2, append(bytes.Clone(gamma[:]), make([]byte, 1000)...)), 10_000, 0, 0, 10_000},
		"version 1":         {append(append([]byte(blobMagic), 1), good[5:]...), 10_000, 0, 0, 10_000},
		"duplicates":        {c.blob(t, 1, 2), 10_000, 0, 0, 0},
		"from above":        {c.blob(t, 4, 4), 10_000, 0, 0, 0},
		"a poisoned part":   {append(bytes.Clone(part[:len(part)-1]), part[len(part)-1]^1), 1000, 0, 0, 1000},
		"a part over again": {part, 1000, 0, 0, 0},
		"a wrong signature": {c.altered(t, 3, 4, func(_ int, _ *cmttypes.Header, b *signedBlock) {
			b.commit.Signatures[0].Signature[0] ^= 1
		}), 1000, 4000, 1000, 1000},
		"altered after a good commit": {c.altered(t, 3, 4, func(_ int, _ *cmttypes.Header, b *signedBlock) {
			b.Legs[0].Transactions[0][0] ^= 1
		}), 1000, 8000, 0, 1000},
	} {
		flood := make([][]byte, tc.count)
		for i := range flood {
			flood[i] = tc.junk
		}
		run := func(heights ...[][]byte) (*FirmReader, int, *testLayer) {
			l := newTestLayer(heights...)
			r := newFirmReader(t, c.firmConfig(t, l))
			before := commits.checks
			readFirm(t, r, c, Cursor{}, 1, 4)
			return r, commits.checks - before, l
		}
		run([][]byte{c.blob(t, 1, 2)}, nil, [][]byte{good}) // the commits are known from here on
		quiet, _, _ := run([][]byte{c.blob(t, 1, 2)}, nil, [][]byte{good})
		r, checks, l := run([][]byte{c.blob(t, 1, 2)}, flood, [][]byte{good})
		extra := value(t, r.metrics.unpacked) - value(t, quiet.metrics.unpacked)
		if extra > float64(tc.unpacked*tc.count) || checks > tc.commits {
			t.Errorf("%s: %v bytes unpacked, at most %d; %d commits checked, at most %d", name, extra, tc.unpacked*tc.count, checks, tc.commits)
		}
		refused := 0.0
		for _, why := range []string{"blob", "parts", "rollup", "commit", "altered_leg", "malformed"} {
			refused += value(t, r.metrics.skipped.WithLabelValues(why))
		}
		if int(refused) != tc.refuse {
			t.Errorf("%s: %v counted as dropped, want %d", name, refused, tc.refuse)
		}
		for h, n := range l.reads {
			if n > 2 {
				t.Errorf("%s: DA height %d read %d times", name, h, n)
			}
		}
	}
}
