package direct

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// What was appended is what is read, at any place, while it is written and afterwards.
func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		for place, fs := range map[string]vfs.FS{dir: vfs.Default, "/": vfs.NewMem()} {
			name := fs.PathJoin(place, "file")
			a, err := Create(fs, name, "test")
			require.NoError(t, err)
			var want []byte
			for range rapid.IntRange(1, 4).Draw(t, "syncs") {
				for range rapid.IntRange(0, 3).Draw(t, "writes") {
					b := pattern(rapid.OneOf(rapid.IntRange(0, 3*Block), rapid.IntRange(gathered-Block, 2*gathered+Block)).Draw(t, "bytes"))
					n, err := a.Write(b)
					require.NoError(t, err)
					require.Equal(t, len(b), n)
					want = append(want, b...)
				}
				require.NoError(t, a.Sync())
				require.EqualValues(t, len(want), a.Size())
				r, err := Open(fs, name)
				require.NoError(t, err)
				from := rapid.IntRange(0, len(want)).Draw(t, "from")
				n := rapid.IntRange(0, len(want)-from).Draw(t, "n")
				got, err := r.Read(int64(from), n)
				require.NoError(t, err)
				require.True(t, bytes.Equal(want[from:from+n], got))
				_, err = r.Read(int64(from), len(want)-from+Block)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				require.NoError(t, r.Close())
			}
			require.NoError(t, a.Close())
			info, err := fs.Stat(name)
			require.NoError(t, err)
			require.EqualValues(t, (len(want)+Block-1)/Block*Block, info.Size())
			require.NoError(t, fs.Remove(name))
		}
	})
}

// A file that was written otherwise ends anywhere.
func TestReadPlainFile(t *testing.T) {
	t.Parallel()
	name, want := filepath.Join(t.TempDir(), "file"), pattern(3*Block+17)
	require.NoError(t, os.WriteFile(name, want, 0o600))
	r, err := Open(vfs.Default, name)
	require.NoError(t, err)
	defer func() { require.NoError(t, r.Close()) }()
	got, err := r.Read(5, len(want)-5)
	require.NoError(t, err)
	require.Equal(t, want[5:], got)
	_, err = r.Read(5, len(want)-4)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// Of what was synced nothing is lost, whatever later writes leave behind.
func TestCrash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		a, err := Create(fs, "file", "test")
		require.NoError(t, err)
		root, err := fs.OpenDir("")
		require.NoError(t, err)
		require.NoError(t, root.Sync())
		synced := pattern(rapid.IntRange(1, 3*Block).Draw(t, "synced"))
		_, err = a.Write(synced)
		require.NoError(t, err)
		require.NoError(t, a.Sync())
		_, err = a.Write(pattern(rapid.IntRange(1, 2*gathered).Draw(t, "not synced")))
		require.NoError(t, err)
		left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))})
		r, err := Open(left, "file")
		require.NoError(t, err)
		got, err := r.Read(0, len(synced))
		require.NoError(t, err)
		require.Equal(t, synced, got)
	})
}
