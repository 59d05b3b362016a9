package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/internal/freeport"
)

// Times that are long enough for a busy machine of two cores.
const (
	startTime  = 3 * time.Minute
	stopTime   = 60 * time.Second
	settleTime = 3 * time.Minute
	poll       = 50 * time.Millisecond
)

// network is a devnet that runs as a process of the binary.
type network struct {
	t         *testing.T // whose end is the network's
	clean     sync.Once
	home      string
	basePort  int
	endpoints *devnet.Endpoints

	cmd    *exec.Cmd
	output *lockedBuffer
	exited chan struct{} // closed once the process is gone
	err    error         // of the process, once exited is closed
}

// lockedBuffer is a bytes.Buffer that a process writes while a test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newHome returns a data directory and ports for a network that has not been
// started.
func newHome(t *testing.T) *network {
	t.Helper()
	port, err := freeport.Claim(80)
	if err != nil {
		t.Fatal(err)
	}
	return &network{t: t, home: filepath.Join(t.TempDir(), "net"), basePort: port}
}

// start starts the network in its home and waits until everything answers.
func (n *network) start(t *testing.T, args ...string) {
	t.Helper()
	file := n.home + "-endpoints.json"
	// An old one would be taken for the sign that the new network answers.
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	args = append([]string{"devnet", "--home", n.home, "--base-port", strconv.Itoa(n.basePort), "--endpoints-file", file, "--json"}, args...)
	n.cmd = exec.Command(binary, args...)
	n.output = new(lockedBuffer)
	n.cmd.Stdout, n.cmd.Stderr = n.output, n.output
	n.exited = make(chan struct{})
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		n.err = n.cmd.Wait()
		close(n.exited)
	}()
	n.clean.Do(func() {
		n.t.Cleanup(func() {
			if n.t.Failed() {
				n.dump(n.t)
			}
			n.stop(n.t)
		})
	})
	began := time.Now()
	eventually(t, startTime, "the endpoints file", func() error {
		select {
		case <-n.exited:
			t.Fatalf("the devnet ended: %v\n%s", n.err, n.output)
		default:
		}
		e, err := devnet.LoadEndpoints(file)
		n.endpoints = e
		return err
	})
	t.Logf("the devnet answers after %v", time.Since(began).Round(time.Millisecond))
}

// stop ends the network as Ctrl-C does. It may be called again.
func (n *network) stop(t *testing.T) {
	t.Helper()
	select {
	case <-n.exited:
		return
	default:
	}
	_ = n.cmd.Process.Signal(os.Interrupt)
	select {
	case <-n.exited:
		if n.err != nil {
			t.Errorf("the devnet ended with %v\n%s", n.err, n.output)
		}
	case <-time.After(stopTime):
		n.dump(t)
		_ = n.cmd.Process.Kill()
		<-n.exited
		t.Errorf("the devnet did not stop within %v of Ctrl-C", stopTime)
	}
}

// dump shows what the processes said last.
func (n *network) dump(t *testing.T) {
	t.Helper()
	t.Logf("the devnet said:\n%s", tail(n.output.String(), 3000))
	logs, _ := filepath.Glob(filepath.Join(n.home, "logs", "*.log"))
	for _, path := range logs {
		if raw, err := os.ReadFile(path); err == nil {
			t.Logf("%s:\n%s", filepath.Base(path), tail(string(raw), 2000))
		}
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}

// pid returns the process ID of a child.
func (n *network) pid(t *testing.T, child string) int {
	t.Helper()
	var pid int
	eventually(t, settleTime, "the process ID of "+child, func() error {
		raw, err := os.ReadFile(filepath.Join(n.home, "processes.json"))
		if err != nil {
			return err
		}
		var pids map[string]int
		if err := json.Unmarshal(raw, &pids); err != nil {
			return err
		}
		if pid = pids[child]; pid == 0 {
			return fmt.Errorf("%s is not among %v", child, pids)
		}
		return nil
	})
	return pid
}

// kill ends children at one moment, as a crash does, and waits until the devnet has
// started them again.
func (n *network) kill(t *testing.T, children ...string) {
	t.Helper()
	old := make([]int, len(children))
	for i, child := range children {
		old[i] = n.pid(t, child)
	}
	for i, pid := range old {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill %s: %v", children[i], err)
		}
	}
	for i, child := range children {
		eventually(t, settleTime, child+" to be started again", func() error {
			if n.pid(t, child) == old[i] {
				return errors.New("it has not been noticed yet")
			}
			return nil
		})
	}
	t.Logf("killed %s", strings.Join(children, " and "))
}

// killAll ends the devnet and all its children at one moment, as a power cut does.
func (n *network) killAll(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(n.home, "processes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pids map[string]int
	if err := json.Unmarshal(raw, &pids); err != nil {
		t.Fatal(err)
	}
	// The devnet first: it would start the others again.
	if err := n.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for child, pid := range pids {
		// Those that the kernel has ended already, with the devnet, are gone.
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("kill %s: %v", child, err)
		}
	}
	<-n.exited
	for child, pid := range pids {
		eventually(t, stopTime, "the end of "+child, func() error {
			if running(pid) {
				return fmt.Errorf("process %d runs", pid)
			}
			return nil
		})
	}
}

func (n *network) rollup(t *testing.T, name string) devnet.RollupEndpoint {
	t.Helper()
	for _, r := range n.endpoints.Rollups {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no rollup %s among %v", name, n.endpoints.Rollups)
	return devnet.RollupEndpoint{}
}

func dial(t *testing.T, url string) *ethclient.Client {
	t.Helper()
	c, err := ethclient.DialContext(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// ordo runs a command of the binary and returns what it printed.
func ordo(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// role starts a role of the binary by itself, as an operator would, and ends it
// with the test.
func role(t *testing.T, args ...string) {
	t.Helper()
	process(t, append([]string{binary}, args...)...)
}

// process starts a program and ends it with the test.
func process(t *testing.T, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	output := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%v said:\n%s", command, tail(output.String(), 4000))
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("%v ended with %v", command, err)
			}
		case <-time.After(stopTime):
			_ = cmd.Process.Kill()
			<-exited
			t.Errorf("%v did not stop within %v of SIGTERM", command, stopTime)
		}
	})
}

// eventually waits until a condition holds.
func eventually(t *testing.T, limit time.Duration, what string, condition func() error) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(poll) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for %s: %v", limit, what, err)
		}
	}
}

func readAll(t *testing.T, r io.ReadCloser) []byte {
	t.Helper()
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
