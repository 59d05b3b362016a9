package rollup

import (
	"strings"
	"testing"
)

// Whoever starts what runs already learns what runs it, and not of databases and ports.
func TestHomeRunsOnce(t *testing.T) {
	t.Parallel()
	p := publish(t)
	home := p.home(t, nil)
	unlock, err := lockHomes(home)
	if err != nil {
		t.Fatal(err)
	}
	const want = "runs the rollup node in "
	if err := RunWith(t.Context(), home, Options{}); err == nil || !strings.Contains(err.Error(), want+home) {
		t.Errorf("started a second time: %v", err)
	}
	if _, err := Sync(t.Context(), home, "test", nil, SyncOptions{}, nil); err == nil || !strings.Contains(err.Error(), want+home) {
		t.Errorf("synced while it runs: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	// A domain of which one runs is not half started.
	unlock, err = lockHomes(home)
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if _, err := lockHomes(other, home); err == nil {
		t.Error("a home is locked twice")
	}
	free, err := lockHomes(other)
	if err != nil {
		t.Errorf("what could not be locked as a whole is locked in part: %v", err)
	} else if err := free(); err != nil {
		t.Error(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}
