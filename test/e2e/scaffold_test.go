package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/internal/jsonrpc"
)

// buildTime is for what a project compiles: Ordo's packages are in the cache by then, but
// the program is linked anew.
const buildTime = 5 * time.Minute

// TestScaffold goes from nothing to a transaction as a new user does: a project of each
// template, its node on a devnet, a transaction, what that did, and that the devnet's
// relayer brings it to the DA layer.
func TestScaffold(t *testing.T) {
	t.Parallel()
	n := newHome(t)
	n.start(t, "--validators", "1", "--rollups", "1")
	for _, template := range []struct{ name, shows string }{
		{"evm", `"result":"0x21e27c1806e59a40000"`}, // 10,001 ETH
		{"go", `"value":"hello"`},
		{"ts", `"value":"hello"`},
		{"wasm", `"value":"hello"`},
	} {
		t.Run(template.name, func(t *testing.T) {
			if _, err := exec.LookPath("npm"); err != nil && template.name == "ts" {
				t.Skip("npm is not installed")
			}
			p := newProject(t, n, template.name)
			p.start(t)
			out, err := p.make(t.Context(), "tx")
			if err != nil || !strings.Contains(out, "executed in block ") {
				t.Errorf("the transaction: %v\n%s", err, out)
			}
			if out, err := p.make(t.Context(), "get"); err != nil || !strings.Contains(out, template.shows) {
				t.Errorf("what it did: %v\n%s\nlacks %s", err, out, template.shows)
			}
			p.finalized(t, out)
			if template.name == "evm" {
				return
			}
			// What the virtual machine refuses is told as such.
			if out, err := p.make(t.Context(), "tx", "VERSION=7"); err == nil || !strings.Contains(out, "the transaction was dropped: not ") {
				t.Errorf("a version too far: %v\n%s", err, out)
			}
		})
	}
}

// project is one made by `ordo rollup new`.
type project struct {
	dir  string
	vars []string // of its Makefile
	rpc  string
}

func newProject(t *testing.T, n *network, template string) *project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "of mine", "my-"+template)
	if out, err := ordo(t.Context(), "rollup", "new", dir, "--template", template); err != nil {
		t.Fatalf("make the project: %v\n%s", err, out)
	}
	port, err := freeport.Claim(3)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", port+i) }
	return &project{dir: dir, rpc: "http://" + at(0), vars: []string{
		"DEVNET=" + n.home, "LISTEN=" + at(0), "VM=" + at(1), "PROOFS=" + at(2),
	}}
}

// finalized waits until the transaction that was sent came back from the DA layer.
func (p *project) finalized(t *testing.T, sent string) {
	t.Helper()
	hash := regexp.MustCompile(`(?m)^0x[0-9a-f]{64}$`).FindString(sent)
	node := jsonrpc.New(p.rpc, stopTime)
	eventually(t, settleTime, "transaction "+hash+" as finalized", func() error {
		var s struct{ Status string }
		if err := node.Call(t.Context(), &s, "ordo_transactionStatus", hash); err != nil || s.Status != "finalized" {
			return errors.Join(fmt.Errorf("it is %q", s.Status), err)
		}
		return nil
	})
}

func (p *project) command(ctx context.Context, targets ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "make", append(append([]string{"--no-print-directory", "-C", p.dir}, p.vars...), targets...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	return cmd
}

func (p *project) make(ctx context.Context, targets ...string) (string, error) {
	out, err := p.command(ctx, targets...).CombinedOutput()
	return string(out), err
}

// start runs `make start` until the test ends, which ends it as Ctrl-C does.
func (p *project) start(t *testing.T) {
	t.Helper()
	cmd := p.command(context.WithoutCancel(t.Context()), "start")
	output := new(lockedBuffer)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's group
	cmd.WaitDelay = stopTime
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // make fails when it is interrupted
		close(exited)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("make start said:\n%s", tail(output.String(), 4000))
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		// All of it ends, not make alone.
		eventually(t, stopTime, "the end of the project's processes", func() error {
			err := syscall.Kill(-cmd.Process.Pid, 0)
			if errors.Is(err, syscall.ESRCH) {
				return nil
			}
			return errors.Join(errors.New("they run"), err)
		})
		<-exited
	})
	node := jsonrpc.New(p.rpc, stopTime)
	eventually(t, buildTime, "the node of "+p.dir, func() error {
		select {
		case <-exited:
			t.Fatal("make start ended")
		default:
		}
		var info map[string]any
		return node.Call(t.Context(), &info, "ordo_info")
	})
}
