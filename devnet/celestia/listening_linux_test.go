package celestia

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// listening returns the addresses, as Linux writes them in hexadecimal digits, on which
// a process takes TCP connections, and fails where there are none.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	sockets := make(map[string]bool)
	for _, fd := range fds {
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				sockets[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	var out []string
	for _, table := range []string{"tcp", "tcp6"} {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		const local, state, inode, listen = 1, 3, 9, "0A"
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > inode && f[state] == listen && sockets[f[inode]] {
				out = append(out, f[local])
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("process %d listens on nothing", pid)
	}
	return out
}
