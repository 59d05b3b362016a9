package killed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ordo-network/ordo/test/killed"
)

// A directory in which one file replaces another all the time: each copy has a file and the
// note that names it, whatever is removed meanwhile.
func TestCopyIsOfOneTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(n int) error {
		name := fmt.Sprintf("data-%06d", n)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, ".new"), []byte(name), 0o600); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(dir, ".new"), filepath.Join(dir, "z-current")); err != nil {
			return err
		}
		return os.RemoveAll(filepath.Join(dir, fmt.Sprintf("data-%06d", n-1)))
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan error)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := write(n); err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 20 {
		copied := killed.Copy(t, dir)
		name, err := os.ReadFile(filepath.Join(copied, "z-current"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(copied, string(name))); err != nil {
			t.Errorf("a copy without the file that it names: %v", err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
