package ethclients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ordo-network/ordo/internal/gobuild"
)

// ErrNotBuilt says that there is no binary.
var ErrNotBuilt = errors.New("the client is not built")

// Program is an execution client that is built from a Go module of its own.
type Program struct {
	Name    string // of the binary
	Version string
	// Module is the folder, in the repository, of the Go module that names its source.
	Module string
	// Env names the environment variable with the path of a binary that somebody built
	// elsewhere.
	Env string

	target  string // of make
	buildID string // the beginning of the SHA-256 of the module's go.sum
}

// The programs.
var (
	Geth = Program{
		Name: "geth", Version: "v1.17.8", Module: "test/geth", Env: "ORDO_GETH",
		target: "geth-bin", buildID: "f8a86c21c3ac",
	}
	OPGeth = Program{
		Name: "op-geth", Version: "v1.101702.3", Module: "test/opgeth", Env: "ORDO_OP_GETH",
		target: "opgeth-bin", buildID: "e58bb482940c",
	}
)

// source is the command in both modules: op-geth stands in the place of the module that
// it was made from.
const source = "github.com/ethereum/go-ethereum/cmd/geth"

// Binary returns the path of the program. Where there is none the error wraps
// ErrNotBuilt and says how to get one.
func (p Program) Binary() (string, error) {
	if path := os.Getenv(p.Env); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: %s is %s: %w", ErrNotBuilt, p.Env, path, err)
		}
		return path, nil
	}
	path, err := p.path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: %w: run `make %s` (minutes, once), or set %s to a binary", ErrNotBuilt, err, p.target, p.Env)
	}
	return path, nil
}

// path is where the binary of this build belongs.
func (p Program) path() (string, error) {
	dir, err := gobuild.Folder(p.Name, p.buildID)
	return filepath.Join(dir, p.Name), err
}

// Build builds the program from the repository in root unless it is there already, and
// returns its path. It takes about two minutes on two cores and fetches modules where
// they are not in Go's cache. What the go command says goes to log.
func (p Program) Build(ctx context.Context, root string, log io.Writer) (string, error) {
	path, err := p.path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := p.build(ctx, filepath.Join(root, p.Module), path, log); err != nil {
		return "", fmt.Errorf("build %s: %w", p.Name, err)
	}
	return path, nil
}

func (p Program) build(ctx context.Context, module, path string, log io.Writer) error {
	if err := gobuild.CheckSum(module, p.buildID); err != nil {
		return err
	}
	return gobuild.Fill(ctx, filepath.Dir(path), []string{p.Name}, func(temp string) error {
		cmd := gobuild.Command(ctx, module, log, "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(temp, p.Name), source)
		cmd.Stdout = log
		return cmd.Run()
	})
}
