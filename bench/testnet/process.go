package testnet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/subprocess"
)

// Process is a validator, or another node of a network.
type Process struct {
	Label   string
	PID     int
	Metrics string // URL of its Prometheus endpoint
	Profile string // URL of its pprof endpoint

	log  string
	stop context.CancelFunc
	done chan struct{}
	err  error // set when done is closed
}

// processGrace is how long a process may take to end by itself.
const processGrace = 10 * time.Second

// start starts the program with the arguments; the process ends when ctx does.
func start(ctx context.Context, label, binary, log string, args ...string) (*Process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", label, err)
	}
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.SysProcAttr = subprocess.Attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = processGrace
	cmd.Stdout, cmd.Stderr = out, out
	p := &Process{Label: label, log: log, stop: stop, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel kills the child when the thread that started it ends, see
		// subprocess.Attributes: this thread must live as long as the child.
		runtime.LockOSThread()
		defer close(p.done)
		defer stop()
		defer func() { _ = out.Close() }() // nothing is written to it here
		if err := cmd.Start(); err != nil {
			started <- fmt.Errorf("start %s: %w", label, err)
			return
		}
		p.PID = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
	}()
	return p, <-started
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop ends the process as an operator would, and waits until it is gone.
func (p *Process) Stop() {
	p.stop()
	<-p.done
}

// Ended says why the process is no more, nil while it runs.
func (p *Process) Ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%w); the end of its log:\n%s", p.Label, cmp.Or(p.err, errExitZero), tail(p.log))
	default:
		return nil
	}
}

var errExitZero = errors.New("exit status 0")

func tail(path string) []byte {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	const most = 1500
	return bytes.TrimSpace(raw[max(len(raw)-most, 0):])
}

// Group is the processes of a network and the directory of their data.
type Group struct {
	Dir string
	All []*Process

	keep  bool
	ctx   context.Context // the processes'
	stop  context.CancelFunc
	close sync.Once
}

// NewGroup makes a directory in dir, or where the system has temporary files. With
// keep it stays.
func NewGroup(dir, name string, keep bool) (*Group, error) {
	dir, err := os.MkdirTemp(dir, "ordo-bench-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for %s: %w", name, err)
	}
	g := &Group{Dir: dir, keep: keep}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g, nil
}

// Start adds a process to the group. Its output goes to <label>.log in the directory.
func (g *Group) Start(label, binary string, args ...string) (*Process, error) {
	p, err := start(g.ctx, label, binary, filepath.Join(g.Dir, label+".log"), args...)
	if err != nil {
		return nil, err
	}
	g.All = append(g.All, p)
	return p, nil
}

// Ended returns the error of the first process that is no more.
func (g *Group) Ended() error {
	for _, p := range g.All {
		if err := p.Ended(); err != nil {
			return err
		}
	}
	return nil
}

// End stops all processes, and removes the data unless it is to be kept.
func (g *Group) End() (err error) {
	g.close.Do(func() {
		g.stop()
		for _, p := range g.All {
			<-p.done
		}
		if !g.keep {
			err = os.RemoveAll(g.Dir)
		}
	})
	return err
}

// Await calls up for each process until it returns no error.
func (g *Group) Await(ctx context.Context, limit time.Duration, up func(i int) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i := range g.All {
		for {
			err := up(i)
			if err == nil {
				break
			}
			if gone := g.Ended(); gone != nil {
				return gone
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not answer within %v: %w; the end of its log:\n%s", g.All[i].Label, limit, err, tail(g.All[i].log))
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}
