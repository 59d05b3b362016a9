package devnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/subprocess"
)

// Stages in the order in which they stop: those that take work in first, those
// that others read from last.
const (
	stageRollup = iota
	stageRelayer
	stageValidator
	stageDA
	stages
)

// maxLogBytes is the size over which a log makes place for a new one at the
// child's next start.
const maxLogBytes = 64 << 20

// child is one process of the network.
type child struct {
	name  string
	stage int
	args  []string
	log   string
}

// supervisor keeps children running until it is told to stop.
type supervisor struct {
	binary   string
	grace    time.Duration // a child's time to end by itself after SIGTERM
	report   func(Event)
	logs     func(child string, line []byte)
	pidsFile string

	// kill ends the children that are left at once.
	kill   context.Context
	cancel [stages]context.CancelFunc
	wait   [stages]sync.WaitGroup

	total int
	nodes []daNode
	mu    sync.Mutex
	pids  map[string]int
}

// start starts the children. It returns at once; what becomes of them is reported.
func (s *supervisor) start(children []child, nodes ...daNode) {
	s.total, s.nodes = len(children), nodes
	for _, n := range nodes {
		s.total += len(n.processes)
	}
	var ctx [stages]context.Context
	for i := range ctx {
		ctx[i], s.cancel[i] = context.WithCancel(context.Background())
	}
	for _, c := range children {
		s.wait[c.stage].Go(func() { s.keep(ctx[c.stage], c.name, c.log, func(ctx context.Context) error { return s.run(ctx, c) }) })
	}
	for _, n := range nodes {
		s.wait[stageDA].Go(func() {
			s.keep(ctx[stageDA], n.name, n.log, func(ctx context.Context) error { return s.runNode(ctx, n) })
		})
	}
}

// stop ends the children, stage by stage, and returns when all are gone.
func (s *supervisor) stop() {
	for i := range s.cancel {
		s.cancel[i]()
		s.wait[i].Wait()
	}
}

// keep runs a child again and again until ctx ends.
func (s *supervisor) keep(ctx context.Context, name, log string, run func(context.Context) error) {
	// The kernel kills the child when the thread that started it ends, see
	// subprocess.Attributes: this thread must live as long as the child.
	runtime.LockOSThread()
	pause := newBackoff()
	for ctx.Err() == nil {
		started := time.Now()
		err := run(ctx)
		if ctx.Err() != nil {
			s.report(Event{Kind: Stopped, Child: name, Err: err})
			return
		}
		if err == nil {
			err = errors.New("exit status 0")
		}
		wait := pause.wait(time.Since(started))
		s.report(Event{Kind: Died, Child: name, Err: err, Wait: wait, Log: log})
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// run runs a child once. When ctx ends the child gets SIGTERM, and SIGKILL after
// the grace period.
func (s *supervisor) run(ctx context.Context, c child) error {
	log, err := openLog(c.log)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, s.binary, c.args...)
	cmd.SysProcAttr = subprocess.Attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = s.grace
	cmd.Stdout = log
	if s.logs != nil {
		cmd.Stdout = io.MultiWriter(log, &lineWriter{emit: func(line []byte) { s.logs(c.name, line) }})
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	defer context.AfterFunc(s.kill, func() { _ = cmd.Process.Kill() })()
	s.setPID(c.name, cmd.Process.Pid)
	s.report(Event{Kind: Started, Child: c.name, PID: cmd.Process.Pid})
	err = cmd.Wait()
	s.setPID(c.name, 0)
	var exit *exec.ExitError
	switch {
	case errors.Is(err, context.Canceled):
		// SIGTERM went out, and it ended with status 0.
		return nil
	case errors.As(err, &exit) && exit.Exited():
		// It gave up by itself: its last words say why.
		return fmt.Errorf("%w: %s", err, lastLine(c.log))
	}
	return err
}

// setPID keeps the file of process IDs in step, for those who look for a process
// of the network; 0 takes the child out.
func (s *supervisor) setPID(name string, pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pid == 0 {
		delete(s.pids, name)
	} else {
		s.pids[name] = pid
	}
	if err := writeJSON(s.pidsFile, s.pids); err != nil {
		s.report(Event{Kind: Warning, Child: name, Err: err})
	}
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("open log: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// lastLine returns the last line of a log, where a process says why it ends.
func lastLine(path string) string {
	const tail = 2048
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		_, _ = f.Seek(-tail, io.SeekEnd)
	}
	raw, err := io.ReadAll(io.LimitReader(f, tail))
	if err != nil {
		return ""
	}
	raw = bytes.TrimRight(raw, "\n")
	return string(raw[bytes.LastIndexByte(raw, '\n')+1:])
}

// lineWriter hands on whole lines. A line without end is handed on in pieces.
type lineWriter struct {
	emit func(line []byte)
	buf  []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	const longest = 16 << 10
	w.buf = append(w.buf, p...)
	for {
		i := bytes.IndexByte(w.buf, '\n')
		if i < 0 && len(w.buf) < longest {
			return len(p), nil
		}
		if i < 0 {
			i = len(w.buf) - 1
		}
		w.emit(bytes.TrimSuffix(w.buf[:i+1], []byte("\n")))
		w.buf = w.buf[i+1:]
	}
}
