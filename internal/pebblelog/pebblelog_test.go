package pebblelog

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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
// would not be. A server that catches what its handlers panic with is no exception.
func TestWhatPebbleCannotGoOnAfterEnds(t *testing.T) {
	t.Parallel()
	const env = "ORDO_TEST_ENDS"
	loggers := map[string]pebble.Logger{"quiet": Quiet("the store"), "telling": To(slog.New(slog.DiscardHandler), "the store")}
	if l := loggers[os.Getenv(env)]; l != nil {
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { l.Fatalf("write %s: %s", "log", "disk is gone") }))
		defer srv.Close()
		_, err := http.Get(srv.URL)
		t.Skip("the process goes on:", err)
	}
	for name := range loggers {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), env+"="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "panic: the store: write log: disk is gone\n") {
			t.Errorf("%s: ended with %v\n%s", name, err, out)
		}
	}
}
