package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/datest"
	"github.com/ordo-network/ordo/test/await"
)

// Blobs that are larger than what is committed to at a time wait for each other, not for ever.
func TestLargeBlobsTakeTurns(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{BlockTime: time.Millisecond})
	ctx := await.Context(t)
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			if _, err := submit(ctx, l, da.Namespace{byte(i)}, make([]byte, maxCommitBytes+1), []byte("small")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openLayer(t *testing.T, dir string, opts Options) *Layer {
	t.Helper()
	if opts.BlockTime == 0 {
		opts.BlockTime = 5 * time.Millisecond
	}
	l, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// serve serves the layer until the test ends and returns its URL.
func serve(t *testing.T, l *Layer, opts ServerOptions) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewServer(l, opts).Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + listener.Addr().String()
}

func newClient(t *testing.T, url string, opts ClientOptions) *Client {
	t.Helper()
	c, err := NewClient(url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return c
}

// submit stores data under one namespace and returns its height.
func submit(ctx context.Context, l da.Layer, ns da.Namespace, data ...[]byte) (uint64, error) {
	blobs := make([]da.Blob, len(data))
	for i := range data {
		blobs[i] = da.Blob{Namespace: ns, Data: data[i]}
	}
	refs, err := l.Submit(ctx, blobs)
	if err != nil {
		return 0, err
	}
	return refs[0].Height, nil
}

func TestLayerConforms(t *testing.T) {
	t.Parallel()
	datest.Run(t, datest.Harness{Open: func(t *testing.T, _ http.RoundTripper) da.Layer {
		return openLayer(t, t.TempDir(), Options{MaxBlobBytes: 1 << 20, MaxSubmitBytes: 2 << 20})
	}})
}

func TestClientConforms(t *testing.T) {
	t.Parallel()
	datest.Run(t, datest.Harness{Remote: true, Open: func(t *testing.T, transport http.RoundTripper) da.Layer {
		l := openLayer(t, t.TempDir(), Options{MaxBlobBytes: 1 << 20, MaxSubmitBytes: 2 << 20})
		url := serve(t, l, ServerOptions{Token: "secret"})
		return newClient(t, url, ClientOptions{Token: "secret", MaxBlobBytes: 1 << 20, MaxSubmitBytes: 2 << 20, Transport: transport})
	}})
}

// What is largest by default crosses HTTP too.
func TestLargestSubmissionByDefault(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{})
	c := newClient(t, serve(t, l, ServerOptions{}), ClientOptions{})
	data := make([]byte, c.Limits().MaxBlobBytes)
	refs, err := c.Submit(t.Context(), []da.Blob{{Namespace: da.Namespace{1}, Data: data}, {Namespace: da.Namespace{1}, Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Blobs(t.Context(), refs[0].Height, da.Namespace{1})
	if err != nil || len(got) != 2 || len(got[1].Data) != len(data) {
		t.Fatalf("%d blobs, %v", len(got), err)
	}
}

func TestReopenedLayerGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := Open(dir, Options{BlockTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	height, err := submit(t.Context(), first, da.Namespace{1}, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	before := first.lastHeader()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := openLayer(t, dir, Options{})
	if got := second.lastHeader(); got != before {
		t.Fatalf("head is %+v, was %+v", got, before)
	}
	next, err := submit(t.Context(), second, da.Namespace{1}, []byte("b"))
	if err != nil || next != height+1 {
		t.Fatalf("next block is %d, want %d: %v", next, height+1, err)
	}
	if h := second.lastHeader(); h.previous != before.hash() || !h.time.After(before.time) {
		t.Errorf("block %+v does not follow %+v", h, before)
	}
}

// A machine that loses power loses all that was not synced, or any part of it.
// What Submit acknowledged is there all the same, and nothing is there in part.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		disk := vfs.NewCrashableMem()
		l, err := Open("da", Options{BlockTime: time.Millisecond, FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		type ack struct {
			ns     da.Namespace
			height uint64
			blobs  [][]byte
		}
		var mu sync.Mutex
		var acks []ack
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					a := ack{ns: da.Namespace{byte(w)}, blobs: [][]byte{fmt.Append(nil, w, i, "first"), make([]byte, 3000)}}
					var err error
					if a.height, err = submit(ctx, l, a.ns, a.blobs...); err == nil {
						mu.Lock()
						acks = append(acks, a)
						mu.Unlock()
					}
				}
			})
		}
		count := func() int { mu.Lock(); defer mu.Unlock(); return len(acks) }
		await.Until(t, "submissions are acknowledged", func() bool { return count() >= 20 })
		// Whatever is acknowledged by now must be on the disk as it is now.
		mu.Lock()
		known := append([]ack(nil), acks...)
		mu.Unlock()
		crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: rand.New(rand.NewPCG(seed, 1))})
		cancel()
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}

		after, err := Open("da", Options{BlockTime: time.Millisecond, FS: crashed})
		if err != nil {
			t.Fatalf("seed %d: open after the crash: %v", seed, err)
		}
		for _, a := range known {
			got, err := after.Blobs(t.Context(), a.height, a.ns)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			found := false
			for i := range got {
				found = found || string(got[i].Data) == string(a.blobs[0]) && i+1 < len(got) && len(got[i+1].Data) == 3000
			}
			if !found {
				t.Fatalf("seed %d: an acknowledged submission is gone from height %d", seed, a.height)
			}
		}
		head, _ := after.Head(t.Context())
		for h := uint64(1); h <= head; h++ {
			for w := range 4 {
				got, err := after.Blobs(t.Context(), h, da.Namespace{byte(w)})
				if err != nil || len(got)%2 != 0 {
					t.Fatalf("seed %d: height %d holds half a submission: %d blobs, %v", seed, h, len(got), err)
				}
			}
			if _, err := after.headerAt(h); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnIdleLayerGrowsNothing(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{BlockTime: time.Millisecond})
	for range 3 {
		if _, err := submit(t.Context(), l, da.Namespace{1}, []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(50 * time.Millisecond) // 50 block times, for blocks that must not come
	if head, _ := l.Head(t.Context()); head != 3 {
		t.Errorf("head is %d after 3 submissions", head)
	}
}

func TestBlobsOfOneTickShareAHeight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that all come between two ticks
		l := openLayer(t, "da", Options{BlockTime: 2 * time.Second, FS: vfs.NewMem()})
		if _, err := submit(t.Context(), l, da.Namespace{9}, []byte{1}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		heights := make([]uint64, 30)
		for i := range heights {
			wg.Go(func() { heights[i], _ = submit(t.Context(), l, da.Namespace{byte(i)}, []byte{1}) })
		}
		wg.Wait()
		for i, h := range heights {
			if h != 2 {
				t.Errorf("submission %d is at height %d, want 2", i, h)
			}
		}
	})
}

func TestBlocksAreBounded(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{BlockTime: 50 * time.Millisecond})
	var wg sync.WaitGroup
	blob := make([]byte, 30<<20)
	heights := make([]uint64, 4)
	for i := range heights {
		wg.Go(func() {
			var err error
			if heights[i], err = submit(t.Context(), l, da.Namespace{byte(i)}, blob); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	per := map[uint64]int{}
	for _, h := range heights {
		per[h]++
	}
	for h, n := range per {
		if n > 3 {
			t.Errorf("height %d holds %d blobs of 30 MiB", h, n)
		}
	}
	if !l.room.TryAcquire(maxBlockBytes) {
		t.Error("room was not given back")
	}
}

func TestASubmissionGivenUpIsNotStored(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{BlockTime: 50 * time.Millisecond})
	if _, err := submit(t.Context(), l, da.Namespace{1}, []byte{1}); err != nil { // a tick has just passed
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := submit(ctx, l, da.Namespace{2}, []byte{2})
	height, next := submit(t.Context(), l, da.Namespace{1}, []byte{3})
	if next != nil {
		t.Fatal(next)
	}
	stored := 0
	for h := uint64(1); h <= height; h++ {
		blobs, err := l.Blobs(t.Context(), h, da.Namespace{2})
		if err != nil {
			t.Fatal(err)
		}
		stored += len(blobs)
	}
	if errors.Is(err, da.ErrUnavailable) != (stored == 0) {
		t.Errorf("Submit returned %v, and the blob is there %d times", err, stored)
	}
}

func TestCloseFailsWhatWaits(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{BlockTime: time.Hour})
	failed := make(chan error, 1)
	go func() {
		_, err := submit(context.Background(), l, da.Namespace{1}, []byte{1})
		failed <- err
	}()
	await.Until(t, "the submission has come in", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.pending) == 1 })
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("the error is %v, want ErrUnavailable", err)
	}
	if _, err := submit(t.Context(), l, da.Namespace{1}, []byte{1}); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("after Close the error is %v, want ErrUnavailable", err)
	}
	if _, err := l.Blobs(t.Context(), 0, da.Namespace{1}); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("reading after Close: %v, want ErrUnavailable", err)
	}
}

// Reading one namespace must cost the same whatever else the height holds.
//
//nolint:paralleltest // counts allocations
func TestOtherNamespacesCostAReaderNothing(t *testing.T) {
	l := openLayer(t, t.TempDir(), Options{BlockTime: time.Millisecond})
	mine := da.Namespace{1}
	alone, err := submit(t.Context(), l, mine, []byte("mine"))
	if err != nil {
		t.Fatal(err)
	}
	entries := []entry{{ns: mine.V0(), data: []byte("mine")}}
	for i := range 5000 {
		other := da.Namespace{2, byte(i), byte(i >> 8)}
		entries = append(entries, entry{ns: other.V0(), data: make([]byte, 1000)})
	}
	crowded, err := l.submit(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	allocs := func(height uint64) float64 {
		return testing.AllocsPerRun(50, func() {
			if got, err := l.Blobs(t.Context(), height, mine); err != nil || len(got) != 1 {
				t.Fatalf("%d blobs, %v", len(got), err)
			}
		})
	}
	if a, c := allocs(alone), allocs(crowded); c > a+20 {
		t.Errorf("a read makes %v allocations alone and %v in a crowd", a, c)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{BlockTime: -1}, {MaxBlobBytes: -1}, {MaxBlobBytes: DefaultMaxSubmitBytes + 1}, {MaxSubmitBytes: DefaultMaxSubmitBytes + 1}, {MaxBlobBytes: 2, MaxSubmitBytes: 1}, {Retain: -1}} {
		if l, err := Open(t.TempDir(), opts); err == nil {
			t.Errorf("%+v was accepted", opts)
			_ = l.Close() // the test has failed already
		}
	}
	if _, err := NewClient("127.0.0.1:26658", ClientOptions{}); err == nil || !strings.Contains(err.Error(), "http") {
		t.Errorf("an endpoint without scheme gives %v", err)
	}
}
