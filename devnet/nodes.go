package devnet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/ordo-network/ordo/devnet/celestia"
	"github.com/ordo-network/ordo/devnet/eigenda"
)

// daNode is the node of a DA layer, of one process or more.
type daNode struct {
	name      string
	processes []string // names of its processes
	log       string   // where they say why they end
	forgets   bool     // what it stored, when it ends
	start     func(ctx context.Context) (runningNode, error)
}

// runningNode is a node that answers.
type runningNode interface {
	Done() <-chan struct{}
	Stop() error
	pids() []int // of daNode.processes
}

type celestiaNode struct{ *celestia.Network }

func (n celestiaNode) pids() []int {
	app, bridge := n.PIDs()
	return []int{app, bridge}
}

type eigenDANode struct{ *eigenda.Proxy }

func (n eigenDANode) pids() []int { return []int{n.PID()} }

// nodes are the nodes of DA layers that the network runs.
func (o Options) nodes(s Shape) []daNode {
	ports := newPlan(s)
	var out []daNode
	for _, name := range ports.da.started() {
		dir, logs := filepath.Join(o.Home, name), filepath.Join(o.Home, logsName)
		switch name {
		case celestiaLayer:
			out = append(out, daNode{
				name: name, processes: []string{"celestia-app", "celestia-node"}, log: filepath.Join(dir, "bridge.log"),
				start: func(ctx context.Context) (runningNode, error) {
					n, err := celestia.Start(ctx, celestia.Options{Dir: dir, Port: ports.Nodes.Celestia})
					if err != nil {
						return nil, err
					}
					return celestiaNode{n}, nil
				},
			})
		case eigenDALayer:
			log := filepath.Join(logs, "eigenda-proxy.log")
			out = append(out, daNode{
				name: name, processes: []string{"eigenda-proxy"}, log: log, forgets: true,
				start: func(ctx context.Context) (runningNode, error) {
					return startEigenDA(ctx, dir, log, ports.Nodes.EigenDA)
				},
			})
		}
	}
	return out
}

func startEigenDA(ctx context.Context, dir, log string, port int) (runningNode, error) {
	f, err := openLog(log)
	if err != nil {
		return nil, err
	}
	p, err := eigenda.Start(ctx, eigenda.Options{Dir: dir, Log: f, Port: port})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	go func() {
		<-p.Done()
		_ = f.Close() // what the proxy said is written
	}()
	return eigenDANode{p}, nil
}

// checkNodes tells what keeps the nodes of a network from being started, before
// anything is made.
func checkNodes(ctx context.Context, home string, s Shape, fresh bool) error {
	da, err := s.DA.layout(s.Rollups)
	if err != nil {
		return err
	}
	for _, name := range da.started() {
		var err error
		switch name {
		case celestiaLayer:
			_, _, err = celestia.Binaries(ctx)
		case eigenDALayer:
			_, err = eigenda.Binary(ctx)
		}
		if err != nil {
			return fmt.Errorf("--da %s: %w", name, err)
		}
	}
	if !fresh && da.forgets() {
		return fmt.Errorf("the network in %s cannot go on: its EigenDA proxy kept the data in memory alone, and that is gone since it stopped: add --fresh to make a new network", home)
	}
	return nil
}

// errForgotten is what a person should know of the end of a node that forgets.
var errForgotten = errors.New("it has forgotten what was stored on it; where rollups had not read that back yet, safe stands still for good: make a new network with --fresh")

// runNode starts a node, and stops it when ctx ends or when one of its processes does.
func (s *supervisor) runNode(ctx context.Context, n daNode) error {
	running, err := n.start(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // it was told to give up
		}
		return err
	}
	pids := running.pids()
	defer context.AfterFunc(s.kill, func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // those that are gone need none
		}
	})()
	for i, name := range n.processes {
		s.setPID(name, pids[i])
		s.report(Event{Kind: Started, Child: name, PID: pids[i]})
	}
	select {
	case <-ctx.Done():
	case <-running.Done():
	}
	ended := ctx.Err() == nil
	err = running.Stop()
	for _, name := range n.processes {
		s.setPID(name, 0)
	}
	if ended && n.forgets {
		return errors.Join(err, errForgotten)
	}
	return err
}

// missing adds the nodes that are still being started to the names of those that do
// not answer: one may answer before it can take anything.
func (s *supervisor) missing(names []string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.nodes {
		name := "DA layer " + n.name
		if s.pids[n.processes[0]] == 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
