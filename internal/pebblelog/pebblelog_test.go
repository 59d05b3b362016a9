package pebblelog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

func TestWhatAPersonSees(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := To(slog.New(slog.NewTextHandler(&out, nil)), "the journal")
	log.Infof("compacted %d files", 7)
	if out.Len() > 0 {
		t.Errorf("at level info: %s", &out)
	}
	log.Errorf("disk %s", "full")
	if got := out.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, `msg="the journal" message="disk full"`) {
		t.Errorf("an error is told as %q", got)
	}
	Quiet("store").Infof("nobody %s", "hears")
	Quiet("store").Errorf("nobody %s", "hears")
}

// A store whose log can be written no more must not go on: what it was told is stored
// would not be.
func TestWhatPebbleCannotGoOnAfterEnds(t *testing.T) {
	t.Parallel()
	ended := func(l pebble.Logger) (said any) {
		defer func() { said = recover() }()
		l.Fatalf("write %s: %s", "log", "disk is gone")
		return nil
	}
	for name, l := range map[string]pebble.Logger{"quiet": Quiet("the store"), "telling": To(slog.New(slog.DiscardHandler), "the store")} {
		if said, ok := ended(l).(string); !ok || said != "the store: write log: disk is gone" {
			t.Errorf("%s: ended with %q", name, said)
		}
	}
}
