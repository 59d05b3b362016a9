package ordering

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
)

// process is a validator, or another node of a network.
type process struct {
	label   string
	pid     int
	metrics string // URL of its Prometheus endpoint
	profile string // URL of its pprof endpoint

	log  string
	done chan struct{}
	err  error // set when done is closed
}

// processGrace is how long a process may take to end by itself.
const processGrace = 10 * time.Second

// start starts the program with the arguments; the process ends when ctx does.
func start(ctx context.Context, label, binary, log string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", label, err)
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.SysProcAttr = childAttributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = processGrace
	cmd.Stdout, cmd.Stderr = out, out
	p := &process{label: label, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel kills the child when the thread that started it ends, see
		// childAttributes: this thread must live as long as the child.
		runtime.LockOSThread()
		defer close(p.done)
		defer func() { _ = out.Close() }() // nothing is written to it here
		if err := cmd.Start(); err != nil {
			started <- fmt.Errorf("start %s: %w", label, err)
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.err = cmd.Wait()
	}()
	return p, <-started
}

// ended says why the process is no more, nil while it runs.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s has ended (%w); the end of its log:\n%s", p.label, cmp.Or(p.err, errExitZero), tail(p.log))
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

// group is the processes of a network and the directory of their data.
type group struct {
	dir   string
	keep  bool
	all   []*process
	ctx   context.Context // the processes'
	stop  context.CancelFunc
	close sync.Once
}

func newGroup(o Options, name string) (*group, error) {
	dir, err := os.MkdirTemp(o.Dir, "ordo-bench-"+name+"-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for %s: %w", name, err)
	}
	g := &group{dir: dir, keep: o.Keep}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g, nil
}

// start adds a process of the group.
func (g *group) start(label, binary string, args ...string) (*process, error) {
	p, err := start(g.ctx, label, binary, filepath.Join(g.dir, label+".log"), args...)
	if err != nil {
		return nil, err
	}
	g.all = append(g.all, p)
	return p, nil
}

// ended returns the error of the first process that is no more.
func (g *group) ended() error {
	for _, p := range g.all {
		if err := p.ended(); err != nil {
			return err
		}
	}
	return nil
}

// end stops all processes, and removes the data unless it is to be kept.
func (g *group) end() (err error) {
	g.close.Do(func() {
		g.stop()
		for _, p := range g.all {
			<-p.done
		}
		if !g.keep {
			err = os.RemoveAll(g.dir)
		}
	})
	return err
}

// await calls up for each process until it returns no error.
func (g *group) await(ctx context.Context, limit time.Duration, up func(i int) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for i := range g.all {
		for {
			err := up(i)
			if err == nil {
				break
			}
			if gone := g.ended(); gone != nil {
				return gone
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s does not answer within %v: %w; the end of its log:\n%s", g.all[i].label, limit, err, tail(g.all[i].log))
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}
