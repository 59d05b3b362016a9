package devnet

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// plainInterval spaces the status lines where they cannot be rewritten in place.
const plainInterval = 10 * time.Second

// Terminal shows a devnet to a person: a banner, what goes wrong, and one status
// line that is rewritten in place, or, where the output is no terminal, written
// now and then.
type Terminal struct {
	out io.Writer
	// width of the terminal; nil where the output is none.
	width func() int
	hint  Hint

	mu     sync.Mutex
	status string // as shown now, to be redrawn below what is printed
	shown  time.Time
}

// Hint tells how the commands in the banner are to be typed.
type Hint struct {
	Command string // how this program was started: "ordo"
	// Home is the data directory where it is not the default one.
	Home string
}

// NewTerminal returns a Terminal. Width returns the terminal's columns; nil stands
// for output that is no terminal.
func NewTerminal(out io.Writer, width func() int, hint Hint) *Terminal {
	return &Terminal{out: out, width: width, hint: hint}
}

// Report implements Reporter.
func (t *Terminal) Report(e Event) {
	switch e.Kind {
	case Making:
		t.print("making a new network in " + e.Home)
	case Ready:
		t.print(banner(e.Endpoints, e.Status, e.Took, t.hint))
	case Progress:
		t.progress(e)
	case Waiting, Warning:
		t.print(e.Err.Error())
	case Died:
		t.print(fmt.Sprintf("%s  %s ended (%v) and is started again in %v; its log: %s", clock(e.Time), e.Child, e.Err, e.Wait, e.Log))
	case Stopping:
		t.setStatus("")
		t.print("stopping; once more Ctrl-C kills what is left")
	case Stopped:
		if e.Err != nil {
			t.print(fmt.Sprintf("%s was stopped: %v", e.Child, e.Err))
		}
	case Started:
		// The banner or the line of its death said it already.
	}
}

// Log shows a line of a child's log.
func (t *Terminal) Log(child string, line []byte) {
	t.print(fmt.Sprintf("%-12s | %s", child, line))
}

func (t *Terminal) progress(e Event) {
	line := statusLine(e.Status)
	if t.width != nil {
		t.setStatus(line)
		return
	}
	if e.Time.Sub(t.shown) >= plainInterval {
		t.shown = e.Time
		t.print(clock(e.Time) + "  " + line)
	}
}

// print writes above the status line.
func (t *Terminal) print(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status != "" {
		fmt.Fprint(t.out, clearLine)
	}
	fmt.Fprintln(t.out, s)
	fmt.Fprint(t.out, t.status)
}

// clearLine goes to the first column and clears the line.
const clearLine = "\r\x1b[2K"

// setStatus redraws the status line; an empty one takes it away.
func (t *Terminal) setStatus(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.width == nil {
		return
	}
	t.status = fit(s, t.width()-1)
	fmt.Fprint(t.out, clearLine+t.status)
}

// fit shortens a line to a number of columns.
func fit(s string, columns int) string {
	r := []rune(s)
	if columns < 1 || len(r) <= columns {
		return s
	}
	return string(r[:columns-1]) + "…"
}

func clock(t time.Time) string { return t.Format(time.TimeOnly) }

// statusLine is the network at a glance.
func statusLine(s *Status) string {
	parts := []string{fmt.Sprintf("order %d", s.Height)}
	for _, r := range s.Rollups {
		switch {
		case !r.Up:
			parts = append(parts, r.Name+" does not answer")
		case r.Safe >= r.Latest:
			parts = append(parts, fmt.Sprintf("%s %d, all safe", r.Name, r.Latest))
		default:
			parts = append(parts, fmt.Sprintf("%s %d, safe %d behind", r.Name, r.Latest, r.Latest-r.Safe))
		}
	}
	parts = append(parts, fmt.Sprintf("%.0f tx/s", s.PerSecond))
	if s.Running < s.Processes {
		parts = append(parts, fmt.Sprintf("%d of %d processes run", s.Running, s.Processes))
	}
	return strings.Join(parts, " · ")
}
