package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the program under test. ORDO_E2E_BINARY names one that is built
// already.
var binary = os.Getenv("ORDO_E2E_BINARY")

func TestMain(m *testing.M) {
	if binary != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "ordo-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a folder for the binary:", err)
		os.Exit(1)
	}
	code := 1
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "remove the binary:", err)
		code = 1
	}
	os.Exit(code)
}

func build(dir string) error {
	binary = filepath.Join(dir, "ordo")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "github.com/ordo-network/ordo/cmd/ordo")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ordo: %w\n%s", err, out)
	}
	return nil
}
