package celestia

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Environment variables: the paths of binaries that somebody built elsewhere, and the
// folder that takes built binaries, in place of "ordo" in the user's cache folder.
const (
	EnvApp   = "ORDO_CELESTIA_APPD"
	EnvNode  = "ORDO_CELESTIA_NODE"
	EnvCache = "ORDO_CACHE"
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
	dir, err := cacheDir()
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

// cacheDir is where the binaries of this build belong.
func cacheDir() (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return filepath.Join(dir, "celestia", buildID), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w: set %s", err, EnvCache)
	}
	return filepath.Join(dir, "ordo", "celestia", buildID), nil
}

// Build builds the binaries from the Go module in moduleDir (test/celestia) unless they
// are there already, and returns their paths. It takes 5 to 15 minutes on two cores,
// and fetches modules where they are not in Go's cache. What it does, and what the go
// command says, goes to log.
func Build(ctx context.Context, moduleDir string, log io.Writer) (app, node string, err error) {
	if app, node, err = Binaries(ctx); !errors.Is(err, ErrNotBuilt) {
		return app, node, err
	}
	dir, err := cacheDir()
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
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	// The folder appears whole or not at all, whatever ends the build.
	temp, err := os.MkdirTemp(filepath.Dir(dir), "build-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // gone already where all went well
	fmt.Fprintf(log, "building celestia-app and celestia-node into %s: 5 to 15 minutes the first time\n", dir)
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", temp+string(filepath.Separator), "./"+appName, nodePackage)
	cmd.Dir, cmd.Stdout, cmd.Stderr = moduleDir, log, log
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if err := cmd.Run(); err != nil {
		return err
	}
	// One that is incomplete is in the way of the rename.
	return errors.Join(os.RemoveAll(dir), os.Chmod(temp, 0o755), os.Rename(temp, dir))
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
