package celestia

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ordo-network/ordo/internal/freeport"
)

// DefaultBlockTime is shorter than the 2.6 s of the public networks, so that those who
// wait for a block wait less.
const DefaultBlockTime = time.Second

// minBlockTime is what one validator and a bridge keep up with on two cores.
const minBlockTime = 100 * time.Millisecond

// bridgeMemory is what the collector of the bridge aims at; left alone, it lets garbage
// of blocks of 32 MiB pile up to gigabytes.
const bridgeMemory = "1GiB"

// Options of a network. Zero values stand for the defaults.
type Options struct {
	// Dir holds all of the network, its logs as well (app.log, bridge.log). It is made
	// where it is missing. Required.
	Dir string
	// AppBinary and NodeBinary are the programs; by default those of Binaries.
	AppBinary, NodeBinary string
	// BlockTime is that of the chain: 100ms or more, 1s by default. It may differ from
	// start to start.
	BlockTime time.Duration
	// Port of the bridge's JSON-RPC on loopback. By default a network keeps the port it
	// had, and a new one gets one that is free.
	Port int
	// Auth makes the bridge ask for a token, as bridges do by default.
	Auth bool
}

// Network is a running network.
type Network struct {
	endpoint, token, appRPC string
	app, bridge             *process
	done                    chan struct{}
}

// Start starts the network in o.Dir, which it makes where there is none, and returns
// once the bridge has a block and its account has funds: after 5 s. Where ctx ends
// before that, the network is stopped and the error is ctx's; afterwards ctx has no
// say.
func Start(ctx context.Context, o Options) (*Network, error) {
	n, err := start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start a Celestia network: %w", err)
	}
	return n, nil
}

func start(ctx context.Context, o Options) (*Network, error) {
	if o.BlockTime = cmp.Or(o.BlockTime, DefaultBlockTime); o.BlockTime < minBlockTime {
		return nil, fmt.Errorf("the block time is %v, but must be %v or more", o.BlockTime, minBlockTime)
	}
	if o.AppBinary == "" || o.NodeBinary == "" {
		app, node, err := Binaries(ctx)
		if err != nil {
			return nil, err
		}
		o.AppBinary, o.NodeBinary = cmp.Or(o.AppBinary, app), cmp.Or(o.NodeBinary, node)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	port, err := endpointPort(dir, o.Port)
	if err != nil {
		return nil, err
	}
	c, err := openChain(ctx, dir, o.AppBinary, o.NodeBinary)
	if err != nil {
		return nil, err
	}
	n := &Network{endpoint: "http://" + loopback(port), done: make(chan struct{})}
	if o.Auth {
		if n.token, err = c.token(ctx, o.NodeBinary); err != nil {
			return nil, err
		}
	}
	appRPC, err := freeport.Claim(2)
	if err != nil {
		return nil, err
	}
	appGRPC := appRPC + 1
	n.appRPC = "http://" + loopback(appRPC)
	n.app = startProcess("celestia-app", filepath.Join(dir, "app.log"), o.AppBinary, nil, c.appArgs(o.BlockTime, appRPC, appGRPC)...)
	if err := n.app.wait(ctx, n.nextBlock()); err != nil {
		_ = n.app.stop() // err says more
		return nil, err
	}
	// Only now: the bridge gives up when there is no block.
	n.bridge = startProcess("celestia-node", filepath.Join(dir, "bridge.log"), o.NodeBinary,
		[]string{"GOMEMLIMIT=" + bridgeMemory}, c.bridgeArgs(appGRPC, port, o.Auth)...)
	go n.watch()
	if err := n.bridge.wait(ctx, n.bridgeReady); err != nil {
		_ = n.Stop() // err says more
		return nil, err
	}
	return n, nil
}

func (n *Network) watch() {
	defer close(n.done)
	select {
	case <-n.app.done:
	case <-n.bridge.done:
	}
}

// appArgs start the chain. Its validator waits twice in each block: before it signs,
// which is what celestia-app's block time is made of, and after it.
func (c chain) appArgs(blockTime time.Duration, rpc, grpc int) []string {
	after := blockTime / 4
	return []string{
		"start", "--home", c.app(), "--log_level", "warn",
		"--rpc.laddr", "tcp://" + loopback(rpc), "--rpc.pprof_laddr", "", "--grpc.address", loopback(grpc),
		"--delayed-precommit-timeout", (blockTime - after).String(), "--timeout-commit", after.String(),
	}
}

// bridgeArgs start the bridge.
func (c chain) bridgeArgs(appGRPC, port int, auth bool) []string {
	args := []string{
		"bridge", "start", "--node.store", c.bridge(), "--p2p.network", chainID, "--archival", "--log.level", "WARN",
		"--core.ip", "127.0.0.1", "--core.port", strconv.Itoa(appGRPC), "--rpc.addr", "127.0.0.1", "--rpc.port", strconv.Itoa(port),
	}
	if !auth {
		args = append(args, "--rpc.skip-auth")
	}
	return args
}

// nextBlock returns what asks the chain for a block that is newer than those it had
// when it was first asked. Until a chain has made a block since its start, it takes every
// transaction's signature for wrong.
func (n *Network) nextBlock() func(context.Context) error {
	asked, had := false, uint64(0)
	return func(ctx context.Context) error {
		height, err := n.height(ctx)
		switch {
		case err != nil:
			return err
		case !asked:
			asked, had = true, height
			fallthrough
		case height == had:
			return fmt.Errorf("no block after %d", had)
		}
		return nil
	}
}

// bridgeReady asks the bridge for what a submission needs: a head, and an account with
// funds. The error says what is missing.
func (n *Network) bridgeReady(ctx context.Context) error {
	var state struct {
		Height uint64 `json:"height"`
		To     uint64 `json:"to_height"`
	}
	if err := n.call(ctx, "header.SyncState", &state); err != nil {
		return err
	}
	if state.Height == 0 || state.Height < state.To {
		return fmt.Errorf("the bridge is at block %d of %d", state.Height, state.To)
	}
	var head struct {
		Header struct {
			Height string `json:"height"`
		} `json:"header"`
	}
	if err := n.call(ctx, "header.NetworkHead", &head); err != nil {
		return err
	}
	// The balance is that before the head's block, and the first has none before it.
	if height, err := strconv.ParseUint(head.Header.Height, 10, 64); err != nil || height < 2 {
		return fmt.Errorf("the chain is at block %q", head.Header.Height)
	}
	var balance struct {
		Amount string `json:"amount"`
	}
	if err := n.call(ctx, "state.Balance", &balance); err != nil {
		return err
	}
	if balance.Amount == "" || balance.Amount == "0" {
		return errors.New("the bridge's account is empty")
	}
	return nil
}

// Endpoint is the URL of the bridge's JSON-RPC.
func (n *Network) Endpoint() string { return n.endpoint }

// Token is what the bridge wants as a bearer token; it is empty without Options.Auth.
func (n *Network) Token() string { return n.token }

// AppRPC is the URL of CometBFT's RPC of the chain. It differs from start to start.
func (n *Network) AppRPC() string { return n.appRPC }

// PIDs are the process IDs of the chain and the bridge.
func (n *Network) PIDs() (app, bridge int) { return int(n.app.pid.Load()), int(n.bridge.pid.Load()) }

// Done is closed when one of the two processes has ended, by Stop or by itself.
func (n *Network) Done() <-chan struct{} { return n.done }

// Stop ends the network and returns when it is gone: the bridge first, which needs the
// chain to close in order. Its error is that of a process that had ended before, or
// had to be killed. It may be called again.
func (n *Network) Stop() error {
	return errors.Join(n.bridge.stop(), n.app.stop())
}
