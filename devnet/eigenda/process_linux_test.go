package eigenda

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/test/await"
)

// envParent makes the test binary a parent that starts a proxy, of this path, and is
// killed while it waits.
const envParent = "ORDO_TEST_EIGENDA_PARENT_OF"

func TestMain(m *testing.M) {
	if path := os.Getenv(envParent); path != "" {
		_, err := Start(context.Background(), Options{Binary: path, Dir: filepath.Dir(path)})
		fmt.Fprintln(os.Stderr, "the proxy ended:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestProxyDiesWithItsParent(t *testing.T) {
	dir := t.TempDir()
	path, pid := filepath.Join(dir, "proxy"), filepath.Join(dir, "pid")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho $$ > pid.new && mv pid.new pid\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), envParent+"="+path)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Wait() }() // it was killed
	defer func() { _ = parent.Process.Kill() }()
	var child string
	await.Until(t, "the proxy starts", func() bool {
		raw, err := os.ReadFile(pid)
		child = strings.TrimSpace(string(raw))
		return err == nil
	})
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the proxy is gone", func() bool {
		// One that nobody has waited for yet has no command line any more.
		command, err := os.ReadFile("/proc/" + child + "/cmdline")
		return err != nil || len(command) == 0
	})
}
