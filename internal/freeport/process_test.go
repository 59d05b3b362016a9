package freeport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestMain lets the test binary be another process that claims ports: of a file of
// claims, from low to below high, so many one by one, each written on a line.
func TestMain(m *testing.M) {
	if len(os.Args) != 6 || os.Args[1] != "claim" {
		os.Exit(m.Run())
	}
	if err := claimer(os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func claimer(path string, numbers []string) error {
	var v [3]int // low, high, how many
	for i := range v {
		var err error
		if v[i], err = strconv.Atoi(numbers[i]); err != nil {
			return err
		}
	}
	l, err := openLedger(path, v[0], v[1])
	if err != nil {
		return err
	}
	for range v[2] {
		port, err := l.claim(1)
		if err != nil {
			return err
		}
		fmt.Println(port)
	}
	_, err = io.Copy(io.Discard, os.Stdin) // keep them until somebody says so
	return err
}

// other is a process that has claimed ports, or could not.
type other struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// startOther starts one that claims n ports one by one.
func startOther(t *testing.T, path string, low, high, n int) *other {
	t.Helper()
	cmd := exec.Command(os.Args[0], "claim", path, strconv.Itoa(low), strconv.Itoa(high), strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	// It ends when nobody holds the other end of its input.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &other{cmd, bufio.NewScanner(out)}
	t.Cleanup(o.kill)
	return o
}

func (o *other) kill() {
	_ = o.cmd.Process.Kill() // it may have been killed before
	_ = o.cmd.Wait()         // it was killed
}

// port returns the next port that it has claimed.
func (o *other) port(t *testing.T) int {
	t.Helper()
	if !o.lines.Scan() {
		t.Fatalf("the process ended before it had its ports: %v", o.lines.Err())
	}
	port, err := strconv.Atoi(o.lines.Text())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Processes that claim at the same time share all ports there are among them, and get
// none twice. When they are killed, all can be had again.
func TestProcessesGetPortsOfTheirOwn(t *testing.T) {
	const processes, each = 4, 50
	low, high := claimed(t, processes*each)
	path := filepath.Join(t.TempDir(), "claims")
	var others []*other
	for range processes {
		others = append(others, startOther(t, path, low, high, each))
	}
	owner := map[int]int{}
	for i, o := range others {
		for range each {
			port := o.port(t)
			if before, taken := owner[port]; taken || port < low || port >= high {
				t.Errorf("port %d is process %d's and process %d's, among %d to %d", port, before, i, low, high-1)
			}
			owner[port] = i
		}
	}

	l, err := openLedger(path, low, high)
	if err != nil {
		t.Fatal(err)
	}
	if port, err := l.claim(1); err == nil {
		t.Errorf("port %d is process %d's", port, owner[port])
	}
	for _, o := range others {
		o.kill()
	}
	if first, err := l.claim(high - low); err != nil || first != low {
		t.Errorf("all ports after the kill: from %d, %v", first, err)
	}
}

func TestPortsLookedAtInVainAreLeftToOthers(t *testing.T) {
	low, high := claimed(t, 5)
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+2))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := filepath.Join(t.TempDir(), "claims")
	l, err := openLedger(path, low, high)
	if err != nil {
		t.Fatal(err)
	}
	if first, err := l.claim(5); err == nil {
		t.Fatalf("ports from %d, among them %d, which is in use", first, low+2)
	}
	o := startOther(t, path, low, high, 4)
	for range 4 {
		if port := o.port(t); port == low+2 {
			t.Errorf("port %d is in use", port)
		}
	}
	if _, err := l.claim(1); err == nil {
		t.Error("all ports are taken") // and the ledger, which the locks are tied to, is alive
	}
}
