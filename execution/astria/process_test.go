package astria_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	"github.com/ordo-network/ordo/execution/evm"
)

const (
	chainID = 31337
	// serveEnv makes the test binary a server around the embedded EVM, in that directory.
	serveEnv = "ORDO_TEST_ASTRIA_SERVE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve serves on the listener that it inherits, until standard input ends.
func serve(dir string) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	vm, err := evm.New(evm.Config{DataDir: filepath.Join(dir, "evm"), Genesis: evm.DevGenesis(chainID, nil), CacheMB: 16})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.Close()) }()
	server, err := astria.NewServer(vm, astria.ServerConfig{Parameters: parameters(), Dir: filepath.Join(dir, "index"), KeepsTerms: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	return server.Serve(ctx, ln)
}

var rollupID = sha256.Sum256([]byte("astria test"))

func parameters() astria.Parameters {
	return astria.Parameters{RollupID: rollupID, ChainID: "ordo-test", StartNumber: 1, StartHeight: 1, CelestiaChainID: "celestia-test"}
}

// host runs a server in another process, which may be killed and started again behind
// one address.
type host struct {
	t    testing.TB
	dir  string
	file *os.File // of the listener, which outlives the process
	addr string

	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.Closer
}

func newHost(t testing.TB, dir string) *host {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: dir, file: file, addr: ln.Addr().String()}
	t.Cleanup(func() {
		h.kill()
		h.file.Close()
	})
	h.start()
	return h
}

func (h *host) start() {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), serveEnv+"="+h.dir, "GOMAXPROCS=1")
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
	_ = h.cmd.Wait()
	h.in.Close()
	h.cmd = nil
}

func (h *host) config() astria.Config {
	return astria.Config{
		Endpoint: "grpc://" + h.addr, RollupID: rollupID, ChainID: "ordo-test", Firm: true, Timeout: time.Minute,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func dial(t testing.TB, cfg astria.Config) *astria.Client {
	t.Helper()
	c, err := astria.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// remote is a client whose server ends with it.
type remote struct {
	*astria.Client
	host *host
}

func (r remote) Close() error {
	err := r.Client.Close()
	r.host.kill()
	return err
}

func openRemote(t *testing.T, dir string) execution.Client {
	t.Helper()
	h := newHost(t, dir)
	return remote{dial(t, h.config()), h}
}

// sequencerBlock is the one of that height on a chain of ten a second.
func sequencerBlock(height uint64, txs ...[]byte) execution.Block {
	return execution.Block{
		Height: height, Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, height)),
		Time: time.Unix(1_900_000_000, 0).Add(time.Duration(height) * 100 * time.Millisecond), Transactions: txs,
	}
}

// transfer is the n-th transaction of an account.
func transfer(t testing.TB, account int, n uint64) []byte {
	t.Helper()
	key, err := crypto.HexToECDSA(evm.DevAccounts[account].PrivateKey[2:])
	if err != nil {
		t.Fatal(err)
	}
	to := common.HexToAddress("0x1234")
	raw, err := types.MustSignNewTx(key, types.LatestSignerForChainID(big.NewInt(chainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: n, Gas: 21000, To: &to, Value: big.NewInt(1),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
