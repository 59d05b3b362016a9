package devnet

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// JSONLines writes each event as one line of JSON, for programs.
type JSONLines struct {
	mu  sync.Mutex
	out *json.Encoder
}

// NewJSONLines returns a JSONLines that writes to out.
func NewJSONLines(out io.Writer) *JSONLines {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &JSONLines{out: enc}
}

type jsonEvent struct {
	Time      time.Time  `json:"time"`
	Event     Kind       `json:"event"`
	Child     string     `json:"child,omitempty"`
	PID       int        `json:"pid,omitempty"`
	Error     string     `json:"error,omitempty"`
	RestartMS int64      `json:"restart_in_ms,omitempty"`
	Log       string     `json:"log,omitempty"`
	Line      string     `json:"line,omitempty"`
	Home      string     `json:"home,omitempty"`
	Endpoints *Endpoints `json:"endpoints,omitempty"`
	Status    *Status    `json:"status,omitempty"`
	TookMS    int64      `json:"took_ms,omitempty"`
}

// Report implements Reporter.
func (j *JSONLines) Report(e Event) {
	line := jsonEvent{
		Time: e.Time, Event: e.Kind, Child: e.Child, PID: e.PID, RestartMS: e.Wait.Milliseconds(), Log: e.Log,
		Home: e.Home, Endpoints: e.Endpoints, Status: e.Status, TookMS: e.Took.Milliseconds(),
	}
	if e.Err != nil {
		line.Error = e.Err.Error()
	}
	j.write(line)
}

// Log writes a line of a child's log as an event of its own.
func (j *JSONLines) Log(child string, line []byte) {
	j.write(jsonEvent{Time: time.Now(), Event: "log", Child: child, Line: string(line)})
}

func (j *JSONLines) write(e jsonEvent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	// Nobody is left to tell where the output is gone.
	_ = j.out.Encode(e)
}
