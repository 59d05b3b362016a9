package crossclient

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
)

var (
	blocks = flag.Int("blocks", 40, "random blocks in each run")
	seed   = flag.Uint64("seed", 1, "of the random blocks")
)

// Environment variables that make the test binary a node's half in another process.
const (
	envServe  = "ORDO_TEST_CROSSCLIENT_SERVE" // the directory
	envKind   = "ORDO_TEST_CROSSCLIENT_KIND"  // what executes: evm, mirror or op
	envEngine = "ORDO_TEST_CROSSCLIENT_ENGINE"
	envSecret = "ORDO_TEST_CROSSCLIENT_SECRET"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envServe); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	os.Exit(m.Run())
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve serves an execution client on the listener that it inherits, until standard input
// ends.
func serve(dir string) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	client, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	server, err := astria.NewServer(client, astria.ServerConfig{Parameters: parameters(), Dir: filepath.Join(dir, "index"), Logger: quiet()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	return server.Serve(ctx, ln)
}

func open(ctx context.Context, dir string) (execution.Client, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "genesis.json"))
	if err != nil {
		return nil, err
	}
	kind := os.Getenv(envKind)
	if kind == "evm" {
		return openEVM(dir)
	}
	secret, err := engine.LoadSecret(os.Getenv(envSecret))
	if err != nil {
		return nil, err
	}
	api, err := engine.Dial(ctx, engine.Config{URL: os.Getenv(envEngine), Secret: secret, Logger: quiet()})
	if err != nil {
		return nil, err
	}
	if kind == "op" {
		return engine.NewOP(engine.OPConfig{API: api, Dir: filepath.Join(dir, "journal"), Genesis: raw, Logger: quiet()})
	}
	inner, err := openEVM(dir)
	if err != nil {
		return nil, err
	}
	return engine.NewMirror(inner, api, quiet())
}

func openEVM(dir string) (*evm.Client, error) {
	genesis, err := evm.LoadGenesis(filepath.Join(dir, "genesis.json"))
	if err != nil {
		return nil, err
	}
	return evm.New(evm.Config{DataDir: filepath.Join(dir, "evm"), Genesis: genesis, CacheMB: 32, Logger: quiet()})
}
