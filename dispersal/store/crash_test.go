package store

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// ledger is what a run of puts was told.
type ledger struct {
	mu    sync.Mutex
	acked map[int]bool // of those put
	err   error        // the first that is not the disk's
}

func (l *ledger) snapshot() map[int]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.acked)
}

const runRecords = 48

// run puts records, four at a time, and prunes at the end.
func (l *ledger) run(s *Store) {
	for n := 0; n < runRecords; n += 4 {
		var wg sync.WaitGroup
		for i := n; i < n+4; i++ {
			wg.Go(func() {
				head, body := parts(key("a", i), 0)
				err := s.PutParts(context.Background(), key("a", i), uint64(i), head, body)
				l.mu.Lock()
				defer l.mu.Unlock()
				if err == nil {
					l.acked[i] = true
				} else if !errors.Is(err, ErrFailed) {
					l.err = err
				}
			})
		}
		wg.Wait()
	}
	l.mu.Lock()
	maps.DeleteFunc(l.acked, func(n int, _ bool) bool { return n < runRecords/4 })
	l.mu.Unlock()
	_ = s.Prune(runRecords / 4) // fails where the disk is made to; what it drops is owed no more
}

// check opens what a crash left and holds it against what was acknowledged.
func check(t *testing.T, fs vfs.FS, acked map[int]bool) {
	t.Helper()
	s, err := Open("/d/s", Options{FS: fs, SegmentBytes: 16 << 10})
	require.NoError(t, err)
	require.Zero(t, value(s.metrics.lost), "a crash tears, it does not damage")
	for n := range runRecords {
		k := key("a", n)
		got, err := s.Get(k)
		switch {
		case err == nil:
			require.Equal(t, record(k, 0), got)
		case acked[n]:
			t.Fatalf("record %d was acknowledged: %v", n, err)
		default:
			require.True(t, errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt), err)
		}
		// A record that was not acknowledged can be put, whatever is left of it.
		head, body := parts(k, 0)
		require.NoError(t, s.PutParts(context.Background(), k, uint64(n), head, body))
		got, err = s.Get(k)
		require.NoError(t, err)
		require.Equal(t, record(k, 0), got)
		require.ErrorIs(t, s.Put(context.Background(), k, uint64(n), record(k, 1)), ErrConflict)
	}
	last, ok := s.Contiguous([]byte("a"), 1, 0)
	require.True(t, ok)
	require.EqualValues(t, runRecords-1, last)
	require.NoError(t, s.Close())
}

// crashed is a disk after a crash, and what had been acknowledged before.
type crashed struct {
	fs    *vfs.MemFS
	acked map[int]bool
}

// crashing runs f on the disk and returns what a crash before each of its writes,
// syncs and changes of names, and after the last, leaves.
func crashing(mem *vfs.MemFS, acked func() map[int]bool, percents []int, f func(vfs.FS)) []crashed {
	var mu sync.Mutex
	var out []crashed
	crash := func() {
		mu.Lock()
		defer mu.Unlock()
		owed := acked()
		for _, percent := range percents {
			rng := rand.New(rand.NewPCG(uint64(percent), uint64(len(out))))
			out = append(out, crashed{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}), owed})
		}
	}
	f(errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			crash()
		}
		return nil
	})))
	crash()
	return out
}

func newDisk(t *testing.T) *vfs.MemFS {
	mem := vfs.NewCrashableMem()
	require.NoError(t, mem.MkdirAll("/d", 0o755))
	root, err := mem.OpenDir("/")
	require.NoError(t, err)
	require.NoError(t, root.Sync())
	require.NoError(t, root.Close())
	return mem
}

func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	l := &ledger{acked: make(map[int]bool)}
	mem := newDisk(t)
	states := crashing(mem, l.snapshot, []int{0, 30, 80, 100}, func(fs vfs.FS) {
		s, err := Open("/d/s", Options{FS: fs, SegmentBytes: 16 << 10})
		require.NoError(t, err)
		l.run(s)
		require.NoError(t, s.Close())
	})
	require.NoError(t, l.err)
	require.Greater(t, len(states), 200)
	for i, state := range states {
		if i%9 == 0 { // and a second crash while the first is recovered from
			again := crashing(state.fs, func() map[int]bool { return state.acked }, []int{0, 50}, func(fs vfs.FS) {
				s, err := Open("/d/s", Options{FS: fs, SegmentBytes: 16 << 10})
				require.NoError(t, err)
				require.NoError(t, s.Close())
			})
			for _, state := range again {
				check(t, state.fs, state.acked)
			}
			continue
		}
		check(t, state.fs, state.acked)
	}
}

// A disk that refuses one write, sync or change of names costs nothing acknowledged.
func TestFaultAtEveryWrite(t *testing.T) {
	t.Parallel()
	for at := 0; ; at++ {
		l := &ledger{acked: make(map[int]bool)}
		mem := newDisk(t)
		var mu sync.Mutex
		n := 0
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			if n++; n == at+1 {
				return errorfs.ErrInjected
			}
			return nil
		}))
		if s, err := Open("/d/s", Options{FS: fs, SegmentBytes: 16 << 10}); err == nil {
			l.run(s)
			_ = s.Close() // tells of the fault, or a Put has
		}
		require.NoError(t, l.err)
		check(t, mem.CrashClone(vfs.CrashCloneCfg{}), l.acked)
		check(t, mem, l.acked)
		if n <= at {
			require.Greater(t, at, 40)
			return
		}
	}
}

// What Open finds written but not synced is synced before anyone relies on it.
func TestOpenSyncsWhatItFinds(t *testing.T) {
	t.Parallel()
	mem := newDisk(t)
	broken := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			return errorfs.ErrInjected
		}
		return nil
	}))
	s, err := Open("/d/s", Options{FS: broken})
	require.NoError(t, err)
	k := key("a", 1)
	require.ErrorIs(t, s.Put(context.Background(), k, 1, record(k, 0)), ErrFailed)
	require.ErrorIs(t, s.Put(context.Background(), key("a", 2), 1, nil), ErrFailed)
	require.NoError(t, s.Close())

	s = open(t, "/d/s", Options{FS: mem})
	require.NoError(t, s.Put(context.Background(), k, 1, record(k, 0)))
	s = open(t, "/d/s", Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	got, err := s.Get(k)
	require.NoError(t, err)
	require.Equal(t, record(k, 0), got)
}

// What fills a segment's last block is no damage, and no record that was torn.
func TestFilledBlock(t *testing.T) {
	t.Parallel()
	mem := newDisk(t)
	s, err := Open("/d/s", Options{FS: mem})
	require.NoError(t, err)
	require.NoError(t, s.putParts(key("a", 1), 0))
	require.NoError(t, s.putParts(key("a", 2), 0))
	left := mem.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	s = open(t, "/d/s", Options{FS: left})
	require.Zero(t, value(s.metrics.torn)+value(s.metrics.lost)+value(s.metrics.damaged))
	for n := 1; n <= 2; n++ {
		got, err := s.Get(key("a", n))
		require.NoError(t, err)
		require.Equal(t, record(key("a", n), 0), got)
	}
}

// Bits that flip anywhere are noticed, cost only what they hit, and are mended by
// putting the same bytes again.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	const records = 12
	for name, clean := range map[string]bool{"after close": true, "after crash": false} {
		t.Run(name, func(t *testing.T) {
			mem := newDisk(t)
			s, err := Open("/d/s", Options{FS: mem, SegmentBytes: 32 << 10})
			require.NoError(t, err)
			for n := range records {
				require.NoError(t, s.putParts(key("a", n), 0))
			}
			left := mem.CrashClone(vfs.CrashCloneCfg{})
			require.NoError(t, s.Close())
			if clean {
				left = mem
			}
			files, err := left.List("/d/s")
			require.NoError(t, err)
			var paths []string
			for _, file := range files {
				if _, ok := parseSegment(strings.TrimSuffix(strings.TrimSuffix(file, segmentSuffix), indexSuffix)); ok {
					paths = append(paths, "/d/s/"+file)
				}
			}
			rapid.Check(t, func(t *rapid.T) {
				fs := left.CrashClone(vfs.CrashCloneCfg{})
				path := rapid.SampledFrom(paths).Draw(t, "file")
				data, err := fs.UnsafeGetFileDataBuffer(path)
				require.NoError(t, err)
				used := len(bytes.TrimRight(data, "\x00")) // nothing depends on what fills the last block
				flips := rapid.SliceOfNDistinct(rapid.IntRange(0, used*8-1), 1, 4, rapid.ID).Draw(t, "bits")
				for _, bit := range flips {
					data[bit/8] ^= 1 << (bit % 8)
				}
				s, err := Open("/d/s", Options{FS: fs})
				require.NoError(t, err)
				defer func() { require.NoError(t, s.Close()) }()
				noted := value(s.metrics.torn) + value(s.metrics.lost)
				hit := 0
				for n := range records {
					k := key("a", n)
					got, err := s.Get(k)
					if err == nil {
						require.True(t, bytes.Equal(record(k, 0), got))
						continue
					}
					hit++
					if !errors.Is(err, ErrCorrupt) {
						require.ErrorIs(t, err, ErrNotFound)
						require.False(t, clean, "the index knows every key")
						require.Positive(t, noted)
					} else {
						require.ErrorIs(t, s.putParts(k, 1), ErrConflict)
						_, held := s.Contiguous(k.Owner, k.Session, k.Sequence)
						require.False(t, held)
						head, body := parts(k, 0)
						require.NoError(t, s.Repair(context.Background(), k, head, body))
					}
					require.NoError(t, s.putParts(k, 0))
					got, err = s.Get(k)
					require.NoError(t, err)
					require.True(t, bytes.Equal(record(k, 0), got))
				}
				require.LessOrEqual(t, hit, len(flips))
				if strings.HasSuffix(path, segmentSuffix) {
					require.Positive(t, hit, "every byte of a segment is checked")
				} else {
					require.Zero(t, hit, "an index is made anew")
				}
			})
		})
	}
}

// A record that was written before records had bodies is put again, and repaired, by its
// parts as any other.
func TestARecordWithoutABody(t *testing.T) {
	t.Parallel()
	ctx, mem := context.Background(), vfs.NewCrashableMem()
	k := key("a", 1)
	head, body := parts(k, 0)
	require.NotEmpty(t, body)
	s, err := Open("/d/s", Options{FS: mem})
	require.NoError(t, err)
	require.NoError(t, s.Put(ctx, k, 1, record(k, 0)))
	require.NoError(t, s.PutParts(ctx, k, 1, head, body), "again")
	otherHead, otherBody := parts(k, 1)
	require.ErrorIs(t, s.PutParts(ctx, k, 1, otherHead, otherBody), ErrConflict)
	require.NoError(t, s.Close())
	names, err := mem.List("/d/s")
	require.NoError(t, err)
	for _, name := range names {
		if _, suffix := trim(name); suffix == segmentSuffix {
			f, err := mem.OpenReadWrite(mem.PathJoin("/d/s", name), diskCategory)
			require.NoError(t, err)
			_, err = f.WriteAt([]byte{0xff}, headerBytes+int64(len(head))+1)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}

	s, err = Open("/d/s", Options{FS: mem})
	require.NoError(t, err)
	_, err = s.Get(k)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorIs(t, s.Repair(ctx, k, otherHead, otherBody), ErrConflict)
	require.NoError(t, s.Repair(ctx, k, head, body))
	require.NoError(t, s.Close())
	s, err = Open("/d/s", Options{FS: mem})
	require.NoError(t, err)
	got, err := s.Get(k)
	require.NoError(t, err)
	require.Equal(t, record(k, 0), got)
	require.NoError(t, s.Close())
}
