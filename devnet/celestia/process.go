package celestia

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/subprocess"
)

// stopGrace is a process's time to end by itself: the bridge takes seconds to close its
// stores.
const stopGrace = 30 * time.Second

// maxLogBytes is the size over which a log makes place for a new one at the next start.
const maxLogBytes = 64 << 20

// process is one that runs until it is stopped.
type process struct {
	name string
	log  string
	// cancel asks it to end.
	cancel context.CancelFunc
	done   chan struct{}
	err    error // why it ended without being asked to; set before done is closed
	pid    atomic.Int64
}

// startProcess starts a process, with env on top of the environment. It returns at
// once: one that cannot start is one that is done.
func startProcess(name, log, binary string, env []string, args ...string) *process {
	life, cancel := context.WithCancel(context.Background())
	p := &process{name: name, log: log, cancel: cancel, done: make(chan struct{})}
	go func() {
		// The kernel kills the child when the thread that started it ends, see
		// subprocess.Attributes: this thread must live as long as the child.
		runtime.LockOSThread()
		defer close(p.done)
		p.err = p.run(life, binary, env, args)
	}()
	return p
}

func (p *process) run(life context.Context, binary string, env, args []string) error {
	log, err := openLog(p.log)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.CommandContext(life, binary, args...)
	cmd.Env = append(environment(), env...)
	cmd.SysProcAttr = subprocess.Attributes()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	// A file and not a pipe: the child writes it without us.
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.pid.Store(int64(cmd.Process.Pid))
	err = cmd.Wait()
	var exit *exec.ExitError
	switch killed := errors.As(err, &exit) && !exit.Exited(); {
	case life.Err() != nil && !killed:
		return nil // with whatever status it says that it was asked to end
	case life.Err() != nil:
		return fmt.Errorf("%s did not end within %v and was killed", p.name, stopGrace)
	case err == nil:
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended: %w: %s (all of it: %s)", p.name, err, lastLine(p.log), p.log)
}

// wait asks ready until it has no more to complain of.
func (p *process) wait(ctx context.Context, ready func(context.Context) error) error {
	const poll = 50 * time.Millisecond
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(poll):
		case <-p.done:
			return p.err
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%w)", p.name, ctx.Err(), err)
		}
	}
}

// stop ends the process and returns when it is gone, with the reason if it had ended
// before or had to be killed.
func (p *process) stop() error {
	p.cancel()
	<-p.done
	return p.err
}

// environment is ours without what the binaries take settings from: a network, a
// folder or a bootstrapper that is named there would be in place of ours.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CELESTIA_") {
			env = append(env, v)
		}
	}
	return env
}

func openLog(path string) (*os.File, error) {
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
		_, _ = f.Seek(-tail, io.SeekEnd) // where it fails, the beginning is looked at
	}
	raw, err := io.ReadAll(io.LimitReader(f, tail))
	if err != nil {
		return ""
	}
	raw = bytes.TrimRight(raw, "\n")
	return string(raw[bytes.LastIndexByte(raw, '\n')+1:])
}
