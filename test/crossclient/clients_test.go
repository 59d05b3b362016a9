package crossclient

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	"github.com/ordo-network/ordo/execution/engine"
)

func parameters() astria.Parameters {
	return astria.Parameters{RollupID: sha256.Sum256([]byte("cross client")), ChainID: "ordo-test", StartNumber: 1, StartHeight: 1, CelestiaChainID: "none"}
}

// peer is a program that may be killed and comes back by itself.
type peer struct {
	t testing.TB

	mu      sync.Mutex
	process *ethclients.Process
	back    sync.WaitGroup
}

// newPeer starts a real client; the test goes without it where it is not built.
func newPeer(t testing.TB, program ethclients.Program, genesis []byte) *peer {
	t.Helper()
	process, err := ethclients.Start(t.Context(), ethclients.Options{Program: program, Dir: t.TempDir(), Genesis: genesis})
	if errors.Is(err, ethclients.ErrNotBuilt) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, process: process}
	t.Cleanup(func() {
		p.back.Wait()
		p.process.Kill()
	})
	return p
}

// crash kills the program, which is there again after a while.
func (p *peer) crash(after time.Duration) {
	p.mu.Lock()
	p.process.Kill()
	p.back.Go(func() {
		defer p.mu.Unlock()
		time.Sleep(after) // meanwhile it is called in vain
		again, err := p.process.Restart(context.Background())
		if err != nil {
			p.t.Error(err)
			return
		}
		p.process = again
	})
}

func (p *peer) dial(t testing.TB) *engine.API {
	t.Helper()
	secret, err := engine.LoadSecret(p.process.SecretFile())
	if err != nil {
		t.Fatal(err)
	}
	api, err := engine.Dial(t.Context(), engine.Config{URL: p.process.EngineURL(), Secret: secret, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// ethBlock is a block as the program itself tells of it.
type ethBlock struct {
	Number hexutil.Uint64 `json:"number"`
	Hash   common.Hash    `json:"hash"`
	Root   common.Hash    `json:"stateRoot"`
}

// ask asks the program's public JSON-RPC for a block.
func (p *peer) ask(t testing.TB, at string) ethBlock {
	t.Helper()
	p.back.Wait()
	c, err := rpc.DialContext(t.Context(), p.process.RPCURL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var b ethBlock
	if err := c.CallContext(t.Context(), &b, "eth_getBlockByNumber", at, false); err != nil {
		t.Fatal(err)
	}
	return b
}

// host runs an execution client in another process, which may be killed and started again
// behind one address.
type host struct {
	t    testing.TB
	dir  string
	env  []string
	file *os.File // of the listener, which outlives the process
	addr string

	mu   sync.Mutex
	cmd  *exec.Cmd
	in   io.Closer
	back sync.WaitGroup
}

func newHost(t testing.TB, genesis []byte, kind string, p *peer) *host {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }() // its file stays
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: t.TempDir(), file: file, addr: ln.Addr().String()}
	if err := os.WriteFile(filepath.Join(h.dir, "genesis.json"), genesis, 0o644); err != nil {
		t.Fatal(err)
	}
	h.env = []string{envServe + "=" + h.dir, envKind + "=" + kind, "GOMAXPROCS=1"}
	if p != nil {
		h.env = append(h.env, envEngine+"="+p.process.EngineURL(), envSecret+"="+p.process.SecretFile())
	}
	t.Cleanup(func() {
		h.back.Wait()
		h.kill()
		_ = h.file.Close()
	})
	h.start()
	return h
}

func (h *host) start() {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), h.env...)
	cmd.ExtraFiles = []*os.File{h.file}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.t.Error(err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cmd, h.in = cmd, in
}

// kill ends the process as kill -9 does.
func (h *host) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cmd == nil {
		return
	}
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait() // it was killed
	_ = h.in.Close()
	h.cmd = nil
}

// crash kills the process, which is there again after a while.
func (h *host) crash(after time.Duration) {
	h.back.Wait()
	h.kill()
	h.back.Go(func() {
		time.Sleep(after) // meanwhile it is called in vain
		h.start()
	})
}

func (h *host) dial(t testing.TB) execution.Client {
	t.Helper()
	p := parameters()
	c, err := astria.Dial(t.Context(), astria.Config{
		Endpoint: "grpc://" + h.addr, RollupID: p.RollupID, ChainID: p.ChainID, Firm: true, Logger: quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
