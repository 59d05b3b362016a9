package gobuild

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFolderIsThereWholeOrNotAtAll(t *testing.T) {
	t.Setenv(EnvCache, t.TempDir())
	dir, err := Folder("prog", "1234")
	if err != nil || dir != filepath.Join(os.Getenv(EnvCache), "prog", "1234") {
		t.Fatalf("folder %s, %v", dir, err)
	}
	half := func(temp string) error {
		return errors.Join(os.WriteFile(filepath.Join(temp, "half"), nil, 0o644), os.ErrDeadlineExceeded)
	}
	if err := Fill(t.Context(), dir, []string{"prog"}, half); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a build that failed: %v", err)
	}
	lacks := func(temp string) error { return os.WriteFile(filepath.Join(temp, "other"), nil, 0o755) }
	if err := Fill(t.Context(), dir, []string{"prog"}, lacks); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a build without what it is for: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 || left[0].Name() != "1234.lock" {
		t.Errorf("they left %v", left)
	}
	// What somebody else left there is in nobody's way.
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "old"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Fill(t.Context(), dir, []string{"prog"}, func(temp string) error { return os.WriteFile(filepath.Join(temp, "prog"), nil, 0o755) }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "prog" {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// Whoever comes while another builds gets what that one has built, and nobody's folder is
// replaced under him.
func TestSeveralBuildOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "prog", "1234")
	var builds atomic.Int32
	build := func(temp string) error {
		builds.Add(1)
		return os.WriteFile(filepath.Join(temp, "prog"), nil, 0o755)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := errors.Join(Fill(t.Context(), dir, []string{"prog"}, build), Missing(dir, "prog")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("it was built %d times, want once", n)
	}

	held, err := take(t.Context(), dir+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := Fill(ctx, dir, []string{"prog"}, build); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it waits for another although it is told to end: %v", err)
	}
}

func TestAnotherModuleIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := CheckSum(dir, "2cf24dba5fb0"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no go.sum: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := CheckSum(dir, "2cf24dba5fb0"); err != nil {
		t.Error(err)
	}
	if err := CheckSum(dir, "2cf24dba5fb1"); err == nil || !strings.Contains(err.Error(), "is of build 2cf24dba5fb0, this program wants 2cf24dba5fb1") {
		t.Errorf("another: %v", err)
	}
}
