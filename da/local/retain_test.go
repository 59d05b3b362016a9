package local

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/test/await"
)

// clock is a clock that a test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

func TestBlobsAreKeptAsLongAsAsked(t *testing.T) {
	t.Parallel()
	var c clock
	disk := vfs.NewCrashableMem()
	l := openLayer(t, "da", Options{BlockTime: time.Millisecond, Retain: time.Hour, Now: c.now, FS: disk})
	ns := da.Namespace{1}
	old, err := l.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: []byte("old")}})
	if err != nil {
		t.Fatal(err)
	}
	c.forward(59 * time.Minute)
	if _, err := submit(t.Context(), l, ns, []byte("younger")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Get(t.Context(), ns, old[0]); err != nil {
		t.Fatalf("a blob is gone before its time: %v", err)
	}
	c.forward(2 * time.Minute)
	if _, err := submit(t.Context(), l, ns, []byte("new")); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the old blob is pruned", func() bool { _, err := l.Get(t.Context(), ns, old[0]); return err != nil })

	pruned := func(l *Layer) {
		t.Helper()
		for _, ref := range []da.Ref{old[0], {Height: 1}} {
			if _, err := l.Get(t.Context(), ns, ref); !errors.Is(err, da.ErrUnavailable) || !strings.Contains(err.Error(), "pruned") {
				t.Errorf("a pruned blob gives %v, want ErrUnavailable: it must not pass for one that never was", err)
			}
		}
		if _, err := l.Blobs(t.Context(), 1, ns); !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("a pruned height gives %v, want ErrUnavailable", err)
		}
		if got, err := l.Blobs(t.Context(), 2, ns); err != nil || len(got) != 1 {
			t.Errorf("height 2 holds %d blobs, %v", len(got), err)
		}
		if _, err := l.headerAt(1); err != nil {
			t.Errorf("header 1: %v", err)
		}
	}
	pruned(l)
	await.Until(t, "the store has done with it", func() bool { kept, err := l.store.kept(); return err == nil && kept == 2 })
	if err := l.store.db.Flush(); err != nil { // what was pruned need not be synced
		t.Fatal(err)
	}
	pruned(openLayer(t, "da", Options{FS: disk.CrashClone(vfs.CrashCloneCfg{})}))
}

// A reader sees the blobs of a height or that it is pruned, never a part of it.
func TestPruningIsNeverSeenInPart(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{BlockTime: time.Millisecond, Retain: time.Nanosecond})
	ns := da.Namespace{1}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for height := uint64(1); !stop.Load(); {
				head, err := l.WaitHead(t.Context(), height-1)
				if err != nil {
					t.Error(err)
					return
				}
				height = head
				got, err := l.Blobs(t.Context(), height, ns)
				switch {
				case err == nil && len(got) == 2, errors.Is(err, da.ErrUnavailable):
				default:
					t.Errorf("height %d holds %d blobs, %v", height, len(got), err)
					return
				}
			}
		})
	}
	for i := range 60 {
		if _, err := submit(t.Context(), l, ns, fmt.Append(nil, i), []byte("second")); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
}
