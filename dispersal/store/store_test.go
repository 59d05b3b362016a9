package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func key(owner string, sequence int) Key {
	return Key{Owner: []byte(owner), Session: 1, Sequence: uint64(sequence)}
}

// record gives bytes that depend on the key and version alone.
func record(k Key, version byte) []byte {
	b := fmt.Appendf(nil, "%v/%d ", k, version)
	return bytes.Repeat(b, 1+int(k.Sequence*37%400))
}

// parts are those of the record: of every other one its first line is the head.
func parts(k Key, version byte) (head, body []byte) {
	r := record(k, version)
	if k.Sequence%2 == 0 {
		return r, nil
	}
	n := len(fmt.Sprintf("%v/%d ", k, version))
	return r[:n], r[n:]
}

func (s *Store) putParts(k Key, version byte) error {
	head, body := parts(k, version)
	return s.PutParts(context.Background(), k, 1, head, body)
}

func open(t *testing.T, dir string, opts Options) *Store {
	t.Helper()
	s, err := Open(dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// value is that of a counter or gauge.
func value(c prometheus.Collector) float64 {
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil || len(families) != 1 {
		panic(fmt.Sprint(families, err))
	}
	m := families[0].GetMetric()[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func TestPutGetReopen(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 64 << 10, Registerer: prometheus.NewRegistry()})
	for n := range 100 {
		k := key("a", n)
		_, err := s.Get(k)
		require.ErrorIs(t, err, ErrNotFound)
		require.NoError(t, s.Put(ctx, k, 1, record(k, 0)))
	}
	require.NoError(t, s.Put(ctx, key("b", 5), 1, nil), "an empty record")
	large := bytes.Repeat([]byte("0123456789abcde"), MaxRecordBytes/15)
	require.NoError(t, s.Put(ctx, key("b", 7), 1, large))
	require.Error(t, s.Put(ctx, key("b", 8), 1, make([]byte, MaxRecordBytes+1)))
	require.Error(t, s.Put(ctx, Key{}, 1, nil))
	require.Error(t, s.Put(ctx, Key{Owner: make([]byte, MaxOwnerBytes+1)}, 1, nil))

	check := func() {
		for n := range 100 {
			k := key("a", n)
			got, err := s.Get(k)
			require.NoError(t, err)
			require.Equal(t, record(k, 0), got)
			require.NoError(t, s.Put(ctx, k, 1, record(k, 0)), "again")
			require.ErrorIs(t, s.Put(ctx, k, 1, record(k, 1)), ErrConflict)
			require.ErrorIs(t, s.Repair(ctx, k, record(k, 1), nil), ErrConflict)
		}
		got, err := s.Get(key("b", 7))
		require.NoError(t, err)
		require.True(t, bytes.Equal(large, got))
		require.Equal(t, []Lane{
			{Owner: []byte("a"), Session: 1, First: 0, Last: 99, Records: 100},
			{Owner: []byte("b"), Session: 1, First: 5, Last: 7, Records: 2},
		}, s.Lanes())
		last, ok := s.Contiguous([]byte("a"), 1, 40)
		require.True(t, ok)
		require.EqualValues(t, 99, last)
		last, ok = s.Contiguous([]byte("b"), 1, 5)
		require.True(t, ok)
		require.EqualValues(t, 5, last)
		_, ok = s.Contiguous([]byte("b"), 1, 6)
		require.False(t, ok)
	}
	check()
	_, err := Open(dir, Options{})
	require.Error(t, err, "locked")
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Put(ctx, key("a", 1000), 1, nil), ErrClosed)
	s = open(t, dir, Options{})
	check()
	require.ErrorIs(t, s.Repair(ctx, key("c", 1), nil, nil), ErrNotFound)
}

func TestPruneDropsWholeSegments(t *testing.T) {
	t.Parallel()
	ctx, fs := context.Background(), vfs.NewMem()
	s := open(t, "/s", Options{FS: fs, SegmentBytes: 1})
	for n := range 20 {
		require.NoError(t, s.Put(ctx, key("a", n), uint64(n), record(key("a", n), 0)))
	}
	require.NoError(t, s.Put(ctx, key("old", 0), 3, record(key("old", 0), 0)))
	before := value(s.metrics.bytes)
	require.NoError(t, s.Prune(10))
	require.Less(t, value(s.metrics.bytes), before)
	check := func() {
		for n := range 20 {
			got, err := s.Get(key("a", n))
			if n < 10 {
				require.ErrorIs(t, err, ErrNotFound)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, record(key("a", n), 0), got)
		}
		last, ok := s.Contiguous([]byte("a"), 1, 10)
		require.True(t, ok)
		require.EqualValues(t, 19, last)
	}
	check()
	_, err := s.Get(key("old", 0))
	require.NoError(t, err, "the open segment stays")
	require.NoError(t, s.Close())
	s = open(t, "/s", Options{FS: fs})
	check()
	require.NoError(t, s.Prune(1000))
	require.Empty(t, s.Lanes())
	require.Empty(t, s.index.lanes)
	names, err := fs.List("/s")
	require.NoError(t, err)
	require.Equal(t, []string{"LOCK"}, names)
}

// gate is a disk whose syncs of segments wait until it is opened.
func gate() (fs vfs.FS, syncing chan struct{}, opened chan struct{}) {
	syncing, opened = make(chan struct{}, 1000), make(chan struct{})
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			syncing <- struct{}{}
			<-opened
		}
		return nil
	})), syncing, opened
}

func TestQueueIsBoundedAndWithdraws(t *testing.T) {
	t.Parallel()
	fs, syncing, opened := gate()
	s := open(t, "/s", Options{FS: fs, QueueBytes: 4 * (headerBytes + 1000)})
	body := make([]byte, 1000)
	results := make(chan error, 10)
	put := func(ctx context.Context, n int) { results <- s.Put(ctx, key("a", n), 0, body) }
	waiting := func(n int) {
		require.Eventually(t, func() bool {
			s.queue.mu.Lock()
			defer s.queue.mu.Unlock()
			return len(s.queue.waiting) == n
		}, 10*time.Second, time.Millisecond)
	}
	go put(context.Background(), 0)
	<-syncing
	ctx, cancel := context.WithCancel(context.Background())
	go put(ctx, 1)
	go put(context.Background(), 2)
	go put(context.Background(), 3)
	waiting(3)
	require.ErrorIs(t, s.Put(context.Background(), key("a", 4), 0, body), ErrBusy)
	require.EqualValues(t, 1, value(s.metrics.busy))
	cancel()
	require.ErrorIs(t, <-results, context.Canceled)
	go put(context.Background(), 3) // the same once more, and once with other bytes
	waiting(3)
	close(opened)
	for range 4 {
		require.NoError(t, <-results)
	}
	_, err := s.Get(key("a", 1))
	require.ErrorIs(t, err, ErrNotFound, "withdrawn")
	require.Equal(t, 3, s.Lanes()[0].Records)
	require.Len(t, syncing, 1, "three puts shared a sync")
}

// Of two records for one position that arrive together, one is kept.
func TestConflictWithinGroup(t *testing.T) {
	t.Parallel()
	fs, syncing, opened := gate()
	s := open(t, "/s", Options{FS: fs})
	results := make(chan error, 3)
	go func() { results <- s.Put(context.Background(), key("a", 0), 0, nil) }()
	<-syncing
	for v := range byte(2) {
		go func() { results <- s.Put(context.Background(), key("a", 1), 0, record(key("a", 1), v)) }()
	}
	require.Eventually(t, func() bool {
		s.queue.mu.Lock()
		defer s.queue.mu.Unlock()
		return len(s.queue.waiting) == 2
	}, 10*time.Second, time.Millisecond)
	close(opened)
	conflicts := 0
	for range 3 {
		if err := <-results; err != nil {
			require.ErrorIs(t, err, ErrConflict)
			conflicts++
		}
	}
	require.Equal(t, 1, conflicts)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, "/s", Options{FS: fs, SegmentBytes: 32 << 10})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 1))
			for n := range 200 {
				k := key(fmt.Sprint(w/2), n) // two writers for each lane
				err := s.Put(context.Background(), k, uint64(n), record(k, 0))
				if err != nil {
					t.Error(err)
					return
				}
				k = key(fmt.Sprint(w/2), rng.IntN(n+1))
				got, err := s.Get(k)
				if !errors.Is(err, ErrNotFound) && (err != nil || !bytes.Equal(got, record(k, 0))) {
					t.Errorf("get %v: %v", k, err)
				}
				if n%20 == 0 {
					if err := s.Prune(uint64(n / 2)); err != nil {
						t.Error(err)
					}
					s.Lanes()
				}
			}
		})
	}
	wg.Wait()
	for w := range 4 {
		last, ok := s.Contiguous([]byte(fmt.Sprint(w)), 1, 150)
		require.True(t, ok)
		require.EqualValues(t, 199, last)
	}
}
