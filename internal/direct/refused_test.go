//go:build linux

package direct

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// refusing is a file whose system refuses direct access only when it is used.
type refusing struct {
	vfs.File
	once error
}

func (f *refusing) refuse() error {
	err := f.once
	f.once = nil
	return err
}

func (f *refusing) WriteAt(b []byte, at int64) (int, error) {
	if err := f.refuse(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, at)
}

func (f *refusing) ReadAt(b []byte, at int64) (int, error) {
	if err := f.refuse(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, at)
}

// Where direct access is refused only when it is used, the cache is used from then on.
func TestRefusedLate(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "file")
	a, err := Create(vfs.Default, name, "test")
	require.NoError(t, err)
	if !a.direct {
		t.Skip("the temporary directory's file system has no direct access")
	}
	a.file = &refusing{a.file, syscall.EINVAL}
	_, err = a.Write([]byte("bytes"))
	require.NoError(t, err)
	require.NoError(t, a.Sync())
	require.False(t, a.direct)
	require.NoError(t, a.Close())

	r, err := Open(vfs.Default, name)
	require.NoError(t, err)
	require.True(t, r.direct)
	r.file = &refusing{r.file, syscall.EINVAL}
	got, err := r.Read(0, 5)
	require.NoError(t, err)
	require.Equal(t, "bytes", string(got))
	require.False(t, r.direct)
	require.NoError(t, r.Close())
}
