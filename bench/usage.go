package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ordo-network/ordo/devnet"
)

// ProcessUsage is what one process of the network used: resident memory at the
// end, and processor time since the load began, as a share of one core.
type ProcessUsage struct {
	Name  string  `json:"name"`
	RSSMB float64 `json:"rss_mb"`
	Cores float64 `json:"cores"`
}

// usageMeter reads /proc for the processes of a devnet on this machine.
type usageMeter struct {
	pids  map[string]int
	cpu   map[string]time.Duration
	start time.Time
}

// newUsageMeter starts to measure; where the processes are not to be seen, read
// returns nothing.
func newUsageMeter(net devnet.Endpoints) *usageMeter {
	m := &usageMeter{cpu: make(map[string]time.Duration), start: time.Now()}
	raw, err := os.ReadFile(filepath.Join(net.Home, "processes.json"))
	if err != nil || json.Unmarshal(raw, &m.pids) != nil {
		return m
	}
	for name, pid := range m.pids {
		m.cpu[name], _ = cpuTime(pid)
	}
	return m
}

func (m *usageMeter) read() []ProcessUsage {
	var out []ProcessUsage
	elapsed := time.Since(m.start).Seconds()
	for name, pid := range m.pids {
		rss, err := residentBytes(pid)
		if err != nil {
			continue // restarted or gone: its figures would not be of this run
		}
		cpu, err := cpuTime(pid)
		if err != nil {
			continue
		}
		out = append(out, ProcessUsage{Name: name, RSSMB: float64(rss) / 1e6, Cores: (cpu - m.cpu[name]).Seconds() / elapsed})
	}
	slices.SortFunc(out, func(a, b ProcessUsage) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// residentBytes reads VmRSS; see proc_pid_status(5).
func residentBytes(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}

// cpuTime reads user and system time; see proc_pid_stat(5). A clock tick is
// 1/100 s on every Linux that Go runs on.
func cpuTime(pid int) (time.Duration, error) {
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
