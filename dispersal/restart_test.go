package dispersal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// What was certified before a kill is announced and ordered after it, and nothing that was
// attested is attested otherwise.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	submit := func() {
		for _, v := range w.validators {
			bs := bundles(t, 10, 500)
			all = append(all, bs...)
			v.source.submit(bs...)
		}
	}
	submit()
	await.Until(t, "everyone knows all bundles certified", func() bool { return certified(w.validators, all) })
	for _, v := range w.validators { // all of them at once, as after a power cut
		w.crash(v)
	}
	await.Until(t, "all tips are back", func() bool { return len(w.validators[1].Tips()) == len(w.validators) })
	submit()
	w.settle(all)
	for id, n := range w.bundles { // what was certified before is not dispersed again
		if n != 1 {
			t.Errorf("bundle %v was ordered %d times", id, n)
		}
	}
	sessions := map[order.Owner]uint64{}
	for _, c := range w.ordered {
		sessions[c.Header.Owner] = max(sessions[c.Header.Owner], c.Header.Session)
	}
	for _, v := range w.validators {
		if sessions[v.owner] != 2 {
			t.Errorf("validator %v is in session %d, want 2 after one restart", v.owner, sessions[v.owner])
		}
		if len(v.evidence) > 0 {
			t.Errorf("validator %v sees equivocation", v.owner)
		}
	}
}

// Batches go on being certified while validators are killed one after the other.
func TestRollingRestarts(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	for i := range 4 {
		bs := bundles(t, 10, 2000)
		all = append(all, bs...)
		w.validators[(i+1)%4].source.submit(bs...)
		w.crash(w.validators[i])
		bs = bundles(t, 10, 2000)
		all = append(all, bs...)
		w.validators[i].source.submit(bs...)
	}
	w.settle(all)
}

func TestSessionFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lane")
	for _, want := range []uint64{0, 1, 2, 1 << 63} {
		if want > 0 {
			if err := writeSession(dir, want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := readSession(dir); err != nil || got != want {
			t.Errorf("session %d: %v, want %d", got, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, sessionFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSession(dir); err == nil {
		t.Error("a damaged number passes")
	}
}

func TestSpentFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lane")
	if all, err := readSpent(dir); err != nil || len(all) != 0 {
		t.Fatalf("before there is a file: %v, %v", all, err)
	}
	want := []lane.Spent{
		{Position: order.Position{Owner: order.Owner{1}, Mark: order.Mark{Session: 3, Sequence: 1 << 40}}, Clock: 1 << 63},
		{Position: order.Position{Owner: order.Owner{0xab}, Mark: order.Mark{Session: 1}}},
	}
	if err := writeSpent(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := readSpent(dir)
	if err != nil || len(got) != 2 || got[order.Owner{1}] != want[0] || got[order.Owner{0xab}] != want[1] {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	good, err := os.ReadFile(filepath.Join(dir, spentFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"x", string(good[:len(good)-1]), string(good) + "\n", string(good[2:]), " " + string(good)} {
		if err := os.WriteFile(filepath.Join(dir, spentFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSpent(dir); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
