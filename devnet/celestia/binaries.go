package celestia

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ordo-network/ordo/internal/gobuild"
)

// Environment variables: the paths of binaries that somebody built elsewhere.
const (
	EnvApp  = "ORDO_CELESTIA_APPD"
	EnvNode = "ORDO_CELESTIA_NODE"
)

// Build is of what buildFiles say, in test/celestia: buildID is the beginning of their
// SHA-256. What it becomes when they change, the test says.
const buildID = "6fd13dfb2627"

var buildFiles = []string{"go.mod", "go.sum", "appd/main.go"}

const (
	appName     = "appd"
	nodeName    = "celestia"
	nodePackage = "github.com/celestiaorg/celestia-node/cmd/celestia"
)

// ErrNotBuilt says that a binary is missing.
var ErrNotBuilt = errors.New("celestia-app and celestia-node are not built")

// Binaries returns the paths of celestia-app's and celestia-node's binary. Where there
// are none the error wraps ErrNotBuilt and says how to get them.
func Binaries(_ context.Context) (app, node string, err error) {
	dir, err := gobuild.Folder("celestia", buildID)
	if err != nil {
		return "", "", err
	}
	if app, err = binary(EnvApp, filepath.Join(dir, appName)); err != nil {
		return "", "", err
	}
	if node, err = binary(EnvNode, filepath.Join(dir, nodeName)); err != nil {
		return "", "", err
	}
	return app, node, nil
}

func binary(env, built string) (string, error) {
	if path := os.Getenv(env); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("find the binary that %s names: %w", env, err)
		}
		return path, nil
	}
	if _, err := os.Stat(built); err != nil {
		return "", fmt.Errorf("%w: %w: run `make celestia-bin` (5 to 15 minutes, once), or set %s and %s to binaries built elsewhere",
			ErrNotBuilt, err, EnvApp, EnvNode)
	}
	return built, nil
}

// Build builds the binaries from the Go module in moduleDir (test/celestia) unless they
// are there already, and returns their paths. It takes 5 to 15 minutes on two cores,
// and fetches modules where they are not in Go's cache. What it does, and what the go
// command says, goes to log.
func Build(ctx context.Context, moduleDir string, log io.Writer) (app, node string, err error) {
	if app, node, err = Binaries(ctx); !errors.Is(err, ErrNotBuilt) {
		return app, node, err
	}
	dir, err := gobuild.Folder("celestia", buildID)
	if err == nil {
		err = build(ctx, dir, moduleDir, log)
	}
	if err != nil {
		return "", "", fmt.Errorf("build celestia-app and celestia-node: %w", err)
	}
	return filepath.Join(dir, appName), filepath.Join(dir, nodeName), nil
}

func build(ctx context.Context, dir, moduleDir string, log io.Writer) error {
	id, err := moduleID(moduleDir)
	if err != nil {
		return err
	}
	if id != buildID {
		return fmt.Errorf("%s is of build %s, this program wants %s", moduleDir, id, buildID)
	}
	return gobuild.Fill(ctx, dir, []string{appName, nodeName}, func(temp string) error {
		fmt.Fprintf(log, "building celestia-app and celestia-node into %s: 5 to 15 minutes the first time\n", dir)
		cmd := gobuild.Command(ctx, moduleDir, log, "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", temp+string(filepath.Separator), "./"+appName, nodePackage)
		cmd.Stdout = log
		return cmd.Run()
	})
}

// moduleID names what is built.
func moduleID(moduleDir string) (string, error) {
	h := sha256.New()
	for _, name := range buildFiles {
		raw, err := os.ReadFile(filepath.Join(moduleDir, filepath.FromSlash(name)))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", name, len(raw))
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}
