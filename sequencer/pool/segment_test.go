package pool

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

func openTest(t *testing.T, fs vfs.FS, segment int64) *journal {
	t.Helper()
	j, err := openJournal(fs, "/pool", segment, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.close() })
	return j
}

func loaded(j *journal) map[uint64]string {
	out := make(map[uint64]string)
	j.load(func(seq uint64, raw []byte) { out[seq] = string(raw) })
	return out
}

func has(bundles map[uint64]string, seq uint64) bool {
	_, ok := bundles[seq]
	return ok
}

// segments are the files that there are, when the journal has removed what it is to remove.
func segments(t *testing.T, fs vfs.FS, j *journal) (names []string) {
	t.Helper()
	require.NoError(t, j.close())
	all, err := fs.List("/pool")
	require.NoError(t, err)
	for _, name := range all {
		if name != lockFile {
			names = append(names, name)
		}
	}
	return names
}

// What was put is there after a crash at any moment that loses any part of what was not
// synced, with the bytes that were put; nothing else is, but what was deleted or was on its way.
func TestJournalSurvivesCrashes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			fs := vfs.NewCrashableMem()
			bundle := func(seq uint64) []byte {
				r := rand.New(rand.NewPCG(seq, seed))
				return bytes.Repeat(binary.BigEndian.AppendUint64(nil, seq), 1+r.IntN(300))
			}
			var mu sync.Mutex
			acked := make(map[uint64]bool) // and not deleted
			next := uint64(0)              // under mu as well
			for range 6 {
				j := openTest(t, fs, 10_000)
				got := loaded(j)
				for seq := range acked {
					require.True(t, has(got, seq), "bundle %d was put", seq)
				}
				for seq, raw := range got {
					require.Equal(t, string(bundle(seq)), raw)
					acked[seq] = true // it has come back
				}
				var wg sync.WaitGroup
				var left map[uint64]bool // of them when it crashed
				limit, crash := next+uint64(random.IntN(400)), make(chan struct{})
				for range 4 {
					wg.Go(func() {
						for {
							select {
							case <-crash:
								return
							default:
							}
							mu.Lock()
							seq := next
							if next++; seq == limit {
								fs = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
								left = maps.Clone(acked)
								close(crash)
							}
							mu.Unlock()
							if j.put(seq, bundle(seq)) != nil {
								return
							}
							mu.Lock()
							acked[seq] = true
							if random.IntN(8) > 0 { // most live shortly
								for gone := range acked {
									j.delete([]uint64{gone})
									delete(acked, gone)
									break
								}
							}
							mu.Unlock()
						}
					})
				}
				wg.Wait()
				require.NoError(t, j.close())
				acked = left
			}
		})
	}
}

// However long some bundles wait, the journal is not much larger than what waits.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	const segment = 10_000
	fs := vfs.NewMem()
	j := openTest(t, fs, segment)
	raw := make([]byte, 1000)
	for seq := range uint64(3000) {
		require.NoError(t, j.put(seq, raw))
		if seq%100 != 0 { // one of a hundred stays, in ten segments one
			j.delete([]uint64{seq})
		}
	}
	names := segments(t, fs, j)
	size := int64(0)
	for _, name := range names {
		info, err := fs.Stat("/pool/" + name)
		require.NoError(t, err)
		size += info.Size()
	}
	live := int64(30 * (recordHead + len(raw)))
	require.LessOrEqual(t, size, 2*live+(spareSegments+2)*segment, "%d segments", len(names))
	again := openTest(t, fs, segment)
	got := loaded(again)
	for seq := uint64(0); seq < 3000; seq += 100 {
		require.True(t, has(got, seq), "bundle %d waits", seq)
	}
	for seq := range got {
		again.delete([]uint64{seq})
	}
	require.Empty(t, segments(t, fs, again), "nothing waits, and nothing is there")
}

// A bundle that goes while it moves to another segment is gone.
func TestJournalForgetsWhatGoesWhileItMoves(t *testing.T) {
	t.Parallel()
	const segment = 1000
	mem := vfs.NewMem()
	var j *journal
	moved := 0 // of the writer, until the journal is closed
	j = openTest(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && moved == 0 && len(j.oldest()) > 0 {
			j.delete([]uint64{0})
			moved++
		}
		return nil
	})), segment)
	raw := make([]byte, 100)
	for seq := range uint64(1000) {
		require.NoError(t, j.put(seq, raw))
		if seq > 0 && seq%10 != 1 { // one of each segment waits
			j.delete([]uint64{seq})
		}
	}
	require.NoError(t, j.close())
	require.Equal(t, 1, moved)
	j.load(func(seq uint64, _ []byte) { require.NotZero(t, seq) })
}

// A record that the disk has damaged takes no other one with it.
func TestJournalLeavesOutWhatIsDamaged(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	j := openTest(t, fs, segmentBytes)
	for seq := range uint64(3) {
		require.NoError(t, j.put(seq, []byte(strings.Repeat("x", 100))))
	}
	names := segments(t, fs, j)
	require.Len(t, names, 1)
	f, err := fs.Open("/pool/" + names[0])
	require.NoError(t, err)
	raw, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	raw[segmentHead+recordHead+100+recordHead+50] ^= 1
	out, err := fs.Create("/pool/"+names[0], journalDisk)
	require.NoError(t, err)
	_, err = out.Write(append(raw, "\x00\x00\x01\x00cut off"...))
	require.NoError(t, err)
	require.NoError(t, out.Close())
	got := loaded(openTest(t, fs, segmentBytes))
	require.Len(t, got, 2)
	require.Contains(t, got, uint64(0))
	require.Contains(t, got, uint64(2))
}

// What a failed sync left behind is not known: nothing is acknowledged behind it.
func TestJournalStopsWhereTheDiskFails(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var failing atomic.Bool
	j := openTest(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && op.Kind == errorfs.OpFileSyncData {
			return errorfs.ErrInjected
		}
		return nil
	})), segmentBytes)
	require.NoError(t, j.put(1, []byte("one")))
	failing.Store(true)
	require.ErrorIs(t, j.put(2, []byte("two")), errorfs.ErrInjected)
	failing.Store(false)
	require.ErrorIs(t, j.put(3, []byte("three")), errorfs.ErrInjected)
	_ = j.close()
	require.Contains(t, loaded(openTest(t, mem, segmentBytes)), uint64(1))
}

func TestJournalRefusesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("/pool", 0o755))
	f, err := fs.Create("/pool/MANIFEST-000001", journalDisk)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = openJournal(fs, "/pool", segmentBytes, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "MANIFEST-000001")
	require.ErrorContains(t, err, "start that version until its pool is empty")

	other := vfs.NewMem()
	openTest(t, other, segmentBytes)
	_, err = openJournal(other, "/pool", segmentBytes, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "another process")
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(recordHeader(5, 7, []byte("bundle")), "bundle"...))
	f.Add(append(recordHeader(5, 0, nil), 1, 2, 3))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for rest := raw; len(rest) > 0; {
			seq, bundle, size, ok := decodeRecord(5, rest)
			if size < 1 || size > len(rest) {
				t.Fatalf("a record of %d bytes in %d", size, len(rest))
			}
			if again := append(recordHeader(5, seq, bundle), bundle...); ok && !bytes.Equal(again, rest[:size]) {
				t.Fatalf("%x decodes and encodes to %x", rest[:size], again)
			}
			rest = rest[size:]
		}
	})
}
