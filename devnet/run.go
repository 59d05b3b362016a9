package devnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	statusInterval = time.Second
	readyInterval  = 100 * time.Millisecond
	// slowStart is the time after which the user is told what is missing.
	slowStart = 20 * time.Second
	stopGrace = 10 * time.Second
)

// Run runs a devnet until ctx ends, and returns once every child is gone. What
// keeps it from starting is an error of one line; after that it goes on through
// whatever happens to its children.
func Run(ctx context.Context, o Options) error {
	if o.Reporter == nil {
		return errNoReporter
	}
	began := time.Now()
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	o.Home = home
	if err := checkHome(o.Home); err != nil {
		return err
	}
	held, err := lock(o.Home)
	if err != nil {
		return err
	}
	defer held.Close()

	var mu sync.Mutex
	report := func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		e.Time = time.Now()
		o.Reporter.Report(e)
	}
	shape, missing, err := o.resolve()
	if err != nil {
		return err
	}
	if err := checkNodes(ctx, o.Home, shape, missing); err != nil {
		return err
	}
	ports := newPlan(shape)
	if err := ports.check(); err != nil {
		return err
	}
	if err := o.removeEndpoints(); err != nil {
		return err
	}
	if missing {
		report(Event{Kind: Making, Home: o.Home})
		if err := remake(o.Home, shape, build); err != nil {
			return err
		}
	}

	kill, killNow := context.WithCancel(context.Background())
	defer killNow()
	s := &supervisor{
		binary: o.Binary, grace: stopGrace, report: report, logs: o.Logs, kill: kill,
		pids: map[string]int{"devnet": os.Getpid()}, pidsFile: filepath.Join(o.Home, processesName),
	}
	s.start(o.children(shape), o.nodes(shape)...)
	watch(ctx, o, NewProbe(ports.endpoints(o.Home)), s, report, began)

	report(Event{Kind: Stopping, Home: o.Home})
	// Whoever asks twice does not want to wait.
	again, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(again, killNow)()
	s.stop()
	return nil
}

// watch waits until everything answers, publishes the endpoints, and then reports
// how the network stands, until ctx ends.
func watch(ctx context.Context, o Options, p *Probe, s *supervisor, report func(Event), began time.Time) {
	ready, warned := false, false
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if ready {
			status := p.status(ctx)
			status.Running, status.Processes = s.running()
			if ctx.Err() == nil {
				report(Event{Kind: Progress, Status: status})
			}
			continue
		}
		missing := s.missing(p.missing(ctx))
		switch {
		case ctx.Err() != nil:
			return
		case len(missing) == 0:
			ready = true
			tick.Reset(statusInterval)
			if err := o.writeEndpoints(p.endpoints); err != nil {
				report(Event{Kind: Warning, Err: err})
			}
			report(Event{Kind: Ready, Home: o.Home, Endpoints: p.endpoints, Status: p.status(ctx), Took: time.Since(began)})
		case !warned && time.Since(began) > slowStart:
			warned = true
			report(Event{Kind: Waiting, Err: fmt.Errorf("no answer yet from %s: see the logs in %s", strings.Join(missing, ", "), filepath.Join(o.Home, logsName))})
		}
	}
}

// removeEndpoints makes sure that a file of endpoints stands for a network that
// answers now.
func (o Options) removeEndpoints() error {
	for _, path := range o.endpointsFiles() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make the folder of the endpoints file: %w", err)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the old endpoints file: %w", err)
		}
	}
	return nil
}

func (o Options) writeEndpoints(e *Endpoints) error {
	var errs []error
	for _, path := range o.endpointsFiles() {
		errs = append(errs, writeJSON(path, e))
	}
	return errors.Join(errs...)
}

func (o Options) endpointsFiles() []string {
	files := []string{EndpointsFile(o.Home)}
	if o.EndpointsFile != "" {
		files = append(files, o.EndpointsFile)
	}
	return files
}

// running returns how many children run, and how many there are to be.
func (s *supervisor) running() (now, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pids) - 1, s.total
}
