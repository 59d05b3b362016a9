package gobuild

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if err := Fill(dir, half); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a build that failed: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	// What somebody else left there is in nobody's way.
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "old"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Fill(dir, func(temp string) error { return os.WriteFile(filepath.Join(temp, "prog"), nil, 0o755) }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "prog" {
		t.Errorf("the folder holds %v, %v", entries, err)
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
