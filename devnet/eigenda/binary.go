package eigenda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ordo-network/ordo/internal/gobuild"
)

// Version of the proxy.
const Version = "v1.8.2"

// EnvBinary names the environment variable with the path of a binary that somebody
// built elsewhere.
const EnvBinary = "ORDO_EIGENDA_PROXY"

// buildID names what the binary is built from: the beginning of the SHA-256 of
// test/eigenda/go.sum.
const buildID = "1d1a570af296"

const (
	proxyModule  = "github.com/Layr-Labs/eigenda-proxy"
	proxyPackage = proxyModule + "/cmd/server"
	binaryName   = "eigenda-proxy"
)

// points are the files with the parameters of the commitments, which the proxy reads
// when it starts. They stand beside the binary.
var points = []string{"g1.point", "g2.point", "g2.trailing.point"}

// ErrNotBuilt says that there is no binary.
var ErrNotBuilt = errors.New("eigenda-proxy is not built")

// Binary returns the path of the proxy's binary, which has its points beside it. Where
// there is none the error wraps ErrNotBuilt and says how to get one.
func Binary(_ context.Context) (string, error) {
	if path := os.Getenv(EnvBinary); path != "" {
		if err := gobuild.Missing(filepath.Dir(path), files(filepath.Base(path))...); err != nil {
			return "", fmt.Errorf("%w: %s is %s: %w", ErrNotBuilt, EnvBinary, path, err)
		}
		return path, nil
	}
	dir, err := gobuild.Folder("eigenda", buildID)
	if err != nil {
		return "", err
	}
	if err := gobuild.Missing(dir, files(binaryName)...); err != nil {
		return "", fmt.Errorf("%w: %w: run `make eigenda-bin` (minutes, once), or set %s to a binary with its points beside it",
			ErrNotBuilt, err, EnvBinary)
	}
	return filepath.Join(dir, binaryName), nil
}

// files are what a build consists of.
func files(binary string) []string { return append([]string{binary}, points...) }

// Build builds the binary from the Go module in moduleDir (test/eigenda) unless it is
// there already, and returns its path. It takes about two minutes on two cores and
// fetches modules where they are not in Go's cache. What the go command says goes to
// log.
func Build(ctx context.Context, moduleDir string, log io.Writer) (string, error) {
	dir, err := gobuild.Folder("eigenda", buildID)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, binaryName)
	if gobuild.Missing(dir, files(binaryName)...) == nil {
		return path, nil
	}
	if err = gobuild.CheckSum(moduleDir, buildID); err == nil {
		err = gobuild.Fill(ctx, dir, files(binaryName), func(temp string) error { return buildInto(ctx, temp, moduleDir, log) })
	}
	if err != nil {
		return "", fmt.Errorf("build eigenda-proxy: %w", err)
	}
	return path, nil
}

func buildInto(ctx context.Context, dir, moduleDir string, log io.Writer) error {
	build := gobuild.Command(ctx, moduleDir, log, "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w -X main.Version="+Version,
		"-o", filepath.Join(dir, binaryName), proxyPackage)
	build.Stdout = log
	if err := build.Run(); err != nil {
		return err
	}
	out, err := gobuild.Command(ctx, moduleDir, log, "list", "-m", "-f", "{{.Dir}}", proxyModule).Output()
	if err != nil {
		return fmt.Errorf("find the module's folder: %w", err)
	}
	resources := os.DirFS(filepath.Join(strings.TrimSpace(string(out)), "resources"))
	for _, name := range points {
		if err := copyFile(resources, name, dir); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from fs.FS, name, dir string) error {
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	out, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
