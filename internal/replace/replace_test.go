package replace

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	all := make([][]byte, 8)
	for i := range all {
		all[i] = bytes.Repeat([]byte{byte('a' + i)}, 1<<20)
	}
	if err := File(path, all[0], 0o640); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	for _, content := range all {
		writing.Go(func() {
			if err := File(path, content, 0o640); err != nil {
				t.Error(err)
			}
		})
	}
	for range 100 {
		if raw, err := os.ReadFile(path); err != nil || len(raw) != 1<<20 || bytes.Count(raw, raw[:1]) != len(raw) {
			t.Fatalf("%d bytes, not all of one write: %v", len(raw), err)
		}
	}
	writing.Wait()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v, want 640", info.Mode(), err)
	}
	alone(t, path)
}

func TestAFileThatIsThereStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := New(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "first" {
		t.Errorf("it holds %q, %v", raw, err)
	}
	alone(t, path)
}

// What cannot be written leaves nothing.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if File(path, []byte("a folder is no file"), 0o600) == nil || New(path, nil, 0o600) == nil || File(filepath.Join(path, "no", "file"), nil, 0o600) == nil {
		t.Error("a folder is replaced, or one that is missing is there")
	}
	alone(t, path)
}

// alone checks that nothing stands beside the file.
func alone(t *testing.T, path string) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}
