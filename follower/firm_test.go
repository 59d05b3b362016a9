package follower

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/da"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	eventually "github.com/ordo-network/ordo/test/await" // await is something else here
)

// testLayer is a DA layer in memory.
type testLayer struct {
	mu     sync.Mutex
	blobs  [][][]byte // by height, from 1 on
	fail   func(call int) error
	calls  int
	reads  map[uint64]int
	target da.Namespace
	grown  chan struct{} // closed and replaced with each height
	name   string
}

func newTestLayer(heights ...[][]byte) *testLayer {
	return &testLayer{blobs: heights, reads: map[uint64]int{}, target: da.Namespace(alpha), grown: make(chan struct{}), name: "test"}
}

// named is another layer than that of newTestLayer.
func (l *testLayer) named(name string) *testLayer {
	l.name = name
	return l
}

func (l *testLayer) add(blobs ...[]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blobs = append(l.blobs, blobs)
	close(l.grown)
	l.grown = make(chan struct{})
}

func (l *testLayer) Name() string      { return l.name }
func (l *testLayer) Limits() da.Limits { return da.Limits{MaxBlobBytes: 8 << 20} }

func (l *testLayer) Submit(context.Context, []da.Blob) ([]da.Ref, error) {
	return nil, da.ErrRejected
}

func (l *testLayer) Get(context.Context, da.Namespace, da.Ref) ([]byte, error) {
	return nil, da.ErrUnavailable
}

func (l *testLayer) Price(context.Context) (da.Price, error) { return da.Price{}, nil }

// WaitHead counts as one call, however long it waits.
func (l *testLayer) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.call(); err != nil {
		return 0, err
	}
	for uint64(len(l.blobs)) <= above {
		grown := l.grown
		l.mu.Unlock()
		select {
		case <-grown:
		case <-ctx.Done():
		}
		l.mu.Lock()
		if ctx.Err() != nil {
			return 0, da.ErrUnavailable
		}
	}
	return uint64(len(l.blobs)), nil
}

func (l *testLayer) call() error {
	if l.calls++; l.fail != nil {
		return l.fail(l.calls)
	}
	return nil
}

func (l *testLayer) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.blobs)), l.call()
}

func (l *testLayer) Blobs(_ context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.call(); err != nil {
		return nil, err
	}
	if height > uint64(len(l.blobs)) {
		return nil, da.ErrNotYet
	}
	if ns != l.target {
		return nil, nil
	}
	l.reads[height]++
	var out []da.Stored
	for _, b := range l.blobs[height-1] {
		out = append(out, da.Stored{Ref: da.Ref{Height: height}, Data: b})
	}
	return out, nil
}

// forged packs one block of the chain, altered.
func (c *testChain) forged(t testing.TB, height int, alter func(b *testBlock, rb *orderv1.RollupBlock)) []byte {
	t.Helper()
	b, _ := c.at(height)
	rb := proto.CloneOf(b.rollupBlock(alpha))
	alter(b, rb)
	raw, err := EncodeBlob([]*orderv1.RollupBlock{rb})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (c *testChain) firmConfig(t testing.TB, l ...da.Layer) FirmConfig {
	t.Helper()
	return FirmConfig{
		Rollup: alpha, Layers: l, Trust: c.trust(t), Retry: time.Millisecond, Now: c.now, Logger: slog.New(slog.DiscardHandler),
	}
}

func newFirmReader(t testing.TB, cfg FirmConfig) *FirmReader {
	t.Helper()
	r, err := NewFirmReader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readFirm runs the reader up to a height and checks that each block comes once, in
// order, with the chain's content.
func readFirm(t testing.TB, r *FirmReader, c *testChain, from Cursor, next, to int) (last FirmBlock) {
	t.Helper()
	err := r.Run(eventually.Context(t), from, func(_ context.Context, b FirmBlock) error {
		want, _ := c.at(next)
		if b.Height != uint64(next) || !bytes.Equal(b.Hash[:], want.header.Hash()) {
			t.Errorf("got block %d %X, want %d %X", b.Height, b.Hash, next, want.header.Hash())
			return errEnough
		}
		last = b
		if next++; next > to {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || next <= to {
		t.Fatalf("stopped before block %d of %d: %v", next, to, err)
	}
	return last
}

func TestFirmReads(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	c.append(nil, testValidators(20, 4)...)
	c.grow(6)
	l := newTestLayer(nil, [][]byte{c.blob(t, 1, 3)}, nil, [][]byte{c.blob(t, 4, 4), c.blob(t, 5, 8)})
	growing := time.AfterFunc(20*time.Millisecond, func() { l.add(c.blob(t, 9, 12)) })
	defer growing.Stop()
	last := readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, 12)
	if last.DAHeight != 5 || last.Cursor.DAHeight("test") != 4 || last.Layer != "test" || len(last.Legs) != 3 {
		t.Errorf("last block at DA height %d, cursor at %d", last.DAHeight, last.Cursor.DAHeight("test"))
	}
}

// TestFirmDropsForgeries: what does not verify is dropped for good, not logged and
// used. The forged blob comes first, under the height that is next, so a reader
// that used it would show it.
func TestFirmDropsForgeries(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(4)
	sign := func(change func(*cmttypes.Header)) func(b *testBlock, rb *orderv1.RollupBlock) {
		return func(b *testBlock, rb *orderv1.RollupBlock) {
			h := *b.header
			change(&h)
			rb.SignedHeader = signedHeader(&h, signCommit(&h, b.set, testValidators(0, 4)))
		}
	}
	for name, tc := range map[string]struct {
		alter  func(b *testBlock, rb *orderv1.RollupBlock)
		reason string
	}{
		"header that the commit does not sign": {func(b *testBlock, rb *orderv1.RollupBlock) {
			h := *b.header
			h.AppHash = hash32("another")
			rb.SignedHeader = signedHeader(&h, b.commit)
		}, "commit"},
		"wrong chain ID":   {sign(func(h *cmttypes.Header) { h.ChainID = "ordo-evil" }), "chain_id"},
		"altered leg":      {func(_ *testBlock, rb *orderv1.RollupBlock) { rb.Legs[0].Transactions[0][0] ^= 1 }, "altered_leg"},
		"missing legs":     {func(_ *testBlock, rb *orderv1.RollupBlock) { rb.Legs, rb.NamespaceProof = nil, nil }, "absence"},
		"another rollup's": {func(b *testBlock, rb *orderv1.RollupBlock) { proto.Reset(rb); proto.Merge(rb, b.rollupBlock(gamma)) }, "rollup"},
		"another validator": {func(_ *testBlock, rb *orderv1.RollupBlock) {
			rb.Validators = encodeSet(validatorSet(testValidators(9, 4)))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTestLayer([][]byte{c.blob(t, 1, 2)}, [][]byte{c.forged(t, 3, tc.alter), c.blob(t, 3, 4)})
			r := newFirmReader(t, c.firmConfig(t, l))
			readFirm(t, r, c, Cursor{}, 1, 4)
			if tc.reason == "" {
				return // unread: the known set is the right one
			}
			if got := value(t, r.metrics.skipped.WithLabelValues(tc.reason)); got != 1 {
				t.Errorf("%v blobs dropped for %q, want 1", got, tc.reason)
			}
		})
	}
	t.Run("and nothing else comes", func(t *testing.T) {
		t.Parallel()
		l := newTestLayer([][]byte{c.blob(t, 1, 2)}, [][]byte{c.forged(t, 3, sign(func(h *cmttypes.Header) { h.ChainID = "ordo-evil" }))})
		r := newFirmReader(t, c.firmConfig(t, l))
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		go func() {
			defer cancel()
			eventually.Until(t, "the forged blob is dropped", func() bool { return value(t, r.metrics.daHeight.WithLabelValues("test")) == 2 })
		}()
		err := r.Run(ctx, Cursor{}, func(context.Context, FirmBlock) error { seen++; return nil })
		if !errors.Is(err, context.Canceled) || seen != 2 {
			t.Errorf("%d blocks seen, want 2: %v", seen, err)
		}
	})
}

func TestFirmReadsOutOfOrder(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(10)
	l := newTestLayer(
		[][]byte{c.blob(t, 9, 10), c.blob(t, 4, 5)},
		[][]byte{[]byte("garbage"), c.blob(t, 6, 8)},
		[][]byte{c.blob(t, 2, 3), c.blob(t, 1, 1), c.blob(t, 1, 1)},
		[][]byte{c.blob(t, 1, 9)},
	)
	r := newFirmReader(t, c.firmConfig(t, l))
	last := readFirm(t, r, c, Cursor{}, 1, 10)
	if last.DAHeight != 1 {
		t.Errorf("block 10 comes from DA height %d, it stands at 1 alone", last.DAHeight)
	}
	for h, n := range l.reads {
		if n > 4 {
			t.Errorf("DA height %d read %d times", h, n)
		}
	}
	if got := value(t, r.metrics.skipped.WithLabelValues("blob")); got < 1 {
		t.Errorf("garbage was not counted")
	}
}

// TestFirmSurvivesAnything puts blobs on DA in any order, in any cut, with repeats
// and garbage between, stops the reader anywhere, and resumes from the cursor of
// the last block that was handled.
func TestFirmSurvivesAnything(t *testing.T) {
	t.Parallel()
	const height = 12
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	c.append(nil, testValidators(2, 4)...)
	c.grow(height - 6)
	garbage := [][]byte{
		[]byte("garbage"), c.blob(t, 3, 4)[:40], {},
		c.forged(t, 5, func(_ *testBlock, rb *orderv1.RollupBlock) { rb.Legs = nil }),
		blobOf(t, 2, 1, []byte("x")), blobOf(t, 1<<40, 9, nil), blobOf(t, 7, 3, []byte("x")),
	}
	rapid.Check(t, func(rt *rapid.T) {
		var blobs [][]byte
		for from := 1; from <= height; {
			to := min(height, from+rapid.IntRange(0, 4).Draw(rt, "blocks"))
			blobs = append(blobs, c.blob(t, from, to))
			from = to + 1
		}
		for range rapid.IntRange(0, 4).Draw(rt, "repeats") {
			from := rapid.IntRange(1, height).Draw(rt, "from")
			blobs = append(blobs, c.blob(t, from, rapid.IntRange(from, height).Draw(rt, "to")))
		}
		blobs = append(blobs, rapid.SliceOfN(rapid.SampledFrom(garbage), 0, 6).Draw(rt, "garbage")...)
		blobs = rapid.Permutation(blobs).Draw(rt, "order")
		l := newTestLayer()
		for len(blobs) > 0 {
			n := rapid.IntRange(0, len(blobs)).Draw(rt, "blobs at a DA height")
			l.add(blobs[:n]...)
			blobs = blobs[n:]
		}
		var raw []byte
		for next := 1; next <= height; {
			stop := rapid.IntRange(next, height).Draw(rt, "stop")
			cursor, err := DecodeCursor(raw)
			if err != nil {
				rt.Fatal(err)
			}
			raw = readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, cursor, next, stop).Cursor.Encode()
			next = stop + 1
		}
	})
}

func TestFirmWaitsForTheLayer(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(6)
	l := newTestLayer([][]byte{c.blob(t, 1, 2)}, [][]byte{c.blob(t, 3, 4)}, [][]byte{c.blob(t, 5, 6)})
	l.fail = func(call int) error {
		switch call % 4 {
		case 0:
			return da.ErrUnavailable
		case 1:
			return errors.New("connection refused")
		case 2:
			return da.ErrNotYet
		}
		return nil
	}
	readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, 6)
}

func TestFirmStarts(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(4)
	c.append(nil, testValidators(1, 4)...)
	c.grow(5)
	l := newTestLayer([][]byte{c.blob(t, 1, 3)}, [][]byte{c.blob(t, 4, 10)})
	// In the middle of a blob, and after a change of validators inside it.
	for _, from := range []int{2, 4, 6, 8, 10} {
		cfg := c.firmConfig(t, l)
		cfg.From = uint64(from)
		readFirm(t, newFirmReader(t, cfg), c, Cursor{}, from, 10)
	}
	last := readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, 6)
	cfg := c.firmConfig(t, l)
	cfg.From = 2 // the cursor is beyond it
	readFirm(t, newFirmReader(t, cfg), c, last.Cursor, 7, 10)
	// Trusting a header from a cursor of another chain.
	other, err := TrustHeader("another", 1, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Trust = other
	if err := newFirmReader(t, cfg).Run(t.Context(), last.Cursor, nil); err == nil {
		t.Error("resumed a cursor of another chain")
	}
}

// TestFirmWaitsForTheClock: a block that this machine's slow clock puts into the
// future is not lost.
func TestFirmWaitsForTheClock(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3)
	cfg := c.firmConfig(t, newTestLayer([][]byte{c.blob(t, 1, 3)}))
	calls := 0
	cfg.Now = func() time.Time {
		if calls++; calls < 5 {
			return c.now().Add(-time.Minute)
		}
		return c.now()
	}
	readFirm(t, newFirmReader(t, cfg), c, Cursor{}, 1, 3)
}

func TestFirmStops(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3)
	l := newTestLayer([][]byte{c.blob(t, 1, 3)})
	broken := errors.New("disk full")
	if err := newFirmReader(t, c.firmConfig(t, l)).Run(t.Context(), Cursor{}, func(context.Context, FirmBlock) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failing handler: %v", err)
	}
	cfg := c.firmConfig(t, l)
	cfg.Now = func() time.Time { return c.now().Add(DefaultTrustingPeriod) }
	if err := newFirmReader(t, cfg).Run(t.Context(), Cursor{}, nil); !errors.Is(err, ErrExpired) {
		t.Errorf("trust has expired: %v", err)
	}
	for name, alter := range map[string]func(*FirmConfig){
		"no rollup": func(c *FirmConfig) { c.Rollup = [32]byte{} },
		"no layer":  func(c *FirmConfig) { c.Layers = nil },
		"one twice": func(c *FirmConfig) { c.Layers = []da.Layer{l, newTestLayer()} },
		"three": func(c *FirmConfig) {
			c.Layers = []da.Layer{l, newTestLayer().named("b"), newTestLayer().named("c")}
		},
		"no name":  func(c *FirmConfig) { c.Layers = []da.Layer{newTestLayer().named("")} },
		"no trust": func(c *FirmConfig) { c.Trust = Trust{} },
	} {
		cfg := c.firmConfig(t, l)
		alter(&cfg)
		if _, err := NewFirmReader(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestFirmPassesOverFlood: 10,000 blobs of the kinds that cost nothing to make, and
// 1,000 of those that must be looked into.
func TestFirmPassesOverFlood(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(4)
	for name, tc := range map[string]struct {
		junk  []byte
		count int
	}{
		"random bytes": {noise(1000), 10_000},
		"duplicates":   {c.blob(t, 1, 2), 10_000},
		"from above":   {c.blob(t, 4, 4), 10_000},
		"bombs":        {blobOf(t, 3, 1, append([]byte{0xff, 0xff, 0x3f}, make([]byte, 1<<20)...)), 1000},
		"altered leg":  {c.forged(t, 3, func(_ *testBlock, rb *orderv1.RollupBlock) { rb.Legs[0].Transactions[0][0] ^= 1 }), 1000},
		"altered commit": {c.forged(t, 3, func(b *testBlock, rb *orderv1.RollupBlock) {
			commit := *b.commit
			commit.Round++
			rb.SignedHeader = signedHeader(b.header, &commit)
		}), 1000},
	} {
		flood := make([][]byte, tc.count)
		for i := range flood {
			flood[i] = tc.junk
		}
		start := time.Now()
		l := newTestLayer([][]byte{c.blob(t, 1, 2)}, flood, [][]byte{c.blob(t, 3, 4)})
		readFirm(t, newFirmReader(t, c.firmConfig(t, l)), c, Cursor{}, 1, 4)
		took := time.Since(start)
		t.Logf("%s: %s for %d blobs", name, took.Round(time.Millisecond), len(flood))
		if took > 20*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
}

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(2)
	in := testCursor(verifierAt(t, c, alpha, 3).Checkpoint())
	at := &in.places[0]
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3 * maxAwaited {
		at.awaited = await(at.awaited, 10+random.Uint64N(1000), uint64(i))
	}
	if len(at.awaited) != maxAwaited {
		t.Fatalf("%d places awaited, want %d", len(at.awaited), maxAwaited)
	}
	for i := range uint64(3 * maxAwaited) {
		if !covered(at.awaited, i) {
			t.Errorf("DA height %d is forgotten", i)
		}
	}
	raw := in.Encode()
	out, err := DecodeCursor(raw)
	if err != nil || !reflect.DeepEqual(out.places, in.places) || out.DAHeight("celestia") != 300 || out.Checkpoint.Height() != 2 {
		t.Fatalf("%+v: %v", out, err)
	}
	for n := 1; n < len(raw)-len(in.Checkpoint.Encode()); n++ {
		if _, err := DecodeCursor(raw[:n]); err == nil {
			t.Fatalf("%d of %d bytes decode", n, len(raw))
		}
	}
}

func covered(list []awaited, daHeight uint64) bool {
	for _, a := range list {
		if a.from <= daHeight && daHeight <= a.to {
			return true
		}
	}
	return false
}

func FuzzDecodeCursor(f *testing.F) {
	h := newHostile(f)
	f.Add(testCursor(h.good[alpha].Checkpoint()).Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := DecodeCursor(raw)
		if err != nil {
			return
		}
		again, err := DecodeCursor(c.Encode())
		if err != nil || !bytes.Equal(again.Encode(), c.Encode()) {
			t.Errorf("encodes to what does not decode to it: %v", err)
		}
	})
}
