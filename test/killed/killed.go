// Package killed gives tests the disk that a killed process leaves.
//
// A directory comes in, in which databases may be at work; a copy of it comes out that holds
// each file that was there at one time, so that a database opened on it finds what it wrote.
package killed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Copy returns a copy of dir, removed when the test ends. Databases make and remove files by
// themselves, while nobody writes: a copy during which that happens may lack a file that
// another of it names, as no disk of a killed process does, and is taken once more.
func Copy(t testing.TB, dir string) string {
	t.Helper()
	for {
		to := t.TempDir()
		before := names(t, dir)
		err := os.CopyFS(to, os.DirFS(dir))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.Equal(before, names(t, dir)) {
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
}

// names lists every file under dir, in order.
func names(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir { // removed since its directory was read
			return nil
		}
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
