package figures

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Usage is what one process used: resident memory now and at most, and processor
// time since the meter was made, as a share of one core.
type Usage struct {
	Name   string  `json:"name"`
	RSSMB  float64 `json:"rss_mb"`
	PeakMB float64 `json:"peak_rss_mb"`
	Cores  float64 `json:"cores"`
}

// Meter reads /proc for processes of this machine.
type Meter struct {
	pids  map[string]int
	cpu   map[string]time.Duration
	start time.Time
}

// NewMeter starts to measure the processes, which it knows by name.
func NewMeter(pids map[string]int) *Meter {
	m := &Meter{pids: pids, cpu: make(map[string]time.Duration), start: time.Now()}
	for name, pid := range pids {
		m.cpu[name], _ = CPUTime(pid)
	}
	return m
}

// Read returns what each process has used, sorted by name. One that is gone is left
// out, and so are all where there is no /proc.
func (m *Meter) Read() []Usage {
	var out []Usage
	elapsed := time.Since(m.start).Seconds()
	for name, pid := range m.pids {
		rss, err := statusBytes(pid, "VmRSS:")
		if err != nil {
			continue // restarted or gone: its figures would not be of this run
		}
		peak, err := statusBytes(pid, "VmHWM:")
		if err != nil {
			continue
		}
		cpu, err := CPUTime(pid)
		if err != nil {
			continue
		}
		out = append(out, Usage{
			Name: name, RSSMB: float64(rss) / 1e6, PeakMB: float64(peak) / 1e6, Cores: (cpu - m.cpu[name]).Seconds() / elapsed,
		})
	}
	slices.SortFunc(out, func(a, b Usage) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// OwnBytes is the resident memory of a process without what is backed by files: the
// pages of its program, which the system shares among all who run it and can drop.
func OwnBytes(pid int) (int64, error) { return statusBytes(pid, "RssAnon:") }

// statusBytes reads a size such as "VmRSS:"; see proc_pid_status(5).
func statusBytes(pid int, field string) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s for process %d", field, pid)
}

// CPUTime reads user and system time; see proc_pid_stat(5). A clock tick is
// 1/100 s on every Linux that Go runs on.
func CPUTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command name may hold spaces: count fields from the last parenthesis.
	_, rest, ok := bytes.Cut(raw[bytes.LastIndexByte(raw, ')'):], []byte(" "))
	f := strings.Fields(string(rest))
	if !ok || len(f) < 13 {
		return 0, fmt.Errorf("stat of process %d is too short", pid)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("stat of process %d does not parse", pid)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}
