package devnet

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var golden = flag.Bool("golden", false, "rewrite the golden files")

func exampleStatus() *Status {
	return &Status{
		Height: 1234, PerSecond: 17.4, Running: 7, Processes: 7,
		Rollups: []RollupStatus{{Name: "alpha", Up: true, Latest: 1180, Safe: 1174}, {Name: "beta", Up: true, Latest: 900, Safe: 900}},
	}
}

func TestBanner(t *testing.T) {
	t.Parallel()
	e := newPlan(DefaultShape()).endpoints("/home/me/.ordo/devnet")
	got := banner(e, exampleStatus(), 4200*time.Millisecond, Hint{Command: "ordo"})
	file := filepath.Join("testdata", "banner.txt")
	if *golden {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the banner is not that of %s (rewrite it with -golden where that is meant):\n%s", file, got)
	}
}

func TestStatusLine(t *testing.T) {
	t.Parallel()
	s := exampleStatus()
	if got, want := statusLine(s), "order 1234 · alpha 1180, safe 6 behind · beta 900, all safe · 17 tx/s"; got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
	s.Rollups[1].Up, s.Running = false, 6
	if got, want := statusLine(s), "order 1234 · alpha 1180, safe 6 behind · beta does not answer · 17 tx/s · 6 of 7 processes run"; got != want {
		t.Errorf("line is %q, want %q", got, want)
	}
}

func TestStatusLineIsRewrittenInPlace(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	term := NewTerminal(&out, func() int { return 31 }, Hint{Command: "ordo"})
	term.Report(Event{Kind: Progress, Status: exampleStatus()})
	term.Report(Event{Kind: Died, Time: time.Unix(0, 0).UTC(), Child: "relayer", Err: errors.New("signal: killed"), Wait: time.Second, Log: "r.log"})
	const line = "order 1234 · alpha 1180, safe…"
	want := clearLine + line +
		clearLine + "00:00:00  relayer ended (signal: killed) and is started again in 1s; its log: r.log\n" + line
	if got := out.String(); got != want {
		t.Errorf("output is\n%q, want\n%q", got, want)
	}
}

func TestOutputThatIsNoTerminalGetsALineNowAndThen(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	term := NewTerminal(&out, nil, Hint{Command: "ordo"})
	for i := range 21 {
		term.Report(Event{Kind: Progress, Time: time.Unix(int64(1000+i), 0), Status: exampleStatus()})
	}
	if got := strings.Count(out.String(), "\n"); got != 3 {
		t.Errorf("%d lines in 20 seconds, want 3:\n%s", got, out.String())
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Errorf("control characters: %q", out.String())
	}
}

func TestEventsAsJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	lines := NewJSONLines(&out)
	lines.Report(Event{Kind: Ready, Endpoints: newPlan(DefaultShape()).endpoints("/net"), Status: exampleStatus()})
	lines.Report(Event{Kind: Died, Child: "relayer", Err: errors.New("signal: killed"), Wait: time.Second})
	dec := json.NewDecoder(strings.NewReader(out.String()))
	var ready struct {
		Event     string
		Endpoints struct {
			Rollups []struct {
				Name    string
				RPC     string
				ChainID uint64 `json:"chain_id"`
			}
		}
	}
	if err := dec.Decode(&ready); err != nil {
		t.Fatal(err)
	}
	if r := ready.Endpoints.Rollups; ready.Event != "ready" || len(r) != 2 || r[1].Name != "beta" || r[1].ChainID != 31338 || r[1].RPC != "http://127.0.0.1:8546" {
		t.Errorf("first event is %+v", ready)
	}
	var died map[string]any
	if err := dec.Decode(&died); err != nil {
		t.Fatal(err)
	}
	delete(died, "time")
	want := map[string]any{"event": "died", "child": "relayer", "error": "signal: killed", "restart_in_ms": 1000.0}
	if len(died) != len(want) {
		t.Errorf("second event is %v, want %v", died, want)
	}
	for k, v := range want {
		if died[k] != v {
			t.Errorf("second event has %s %v, want %v", k, died[k], v)
		}
	}
}
