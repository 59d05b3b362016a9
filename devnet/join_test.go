package devnet

import (
	"path/filepath"
	"strings"
	"testing"
)

// Who joins a devnet without a relayer learns what is left to do.
func TestRelayWithoutARelayer(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	err := Relay(home, "mine", "local", 7)
	if err == nil || !strings.Contains(err.Error(), "mine") || !strings.Contains(err.Error(), filepath.Join(home, "relayer", "config.toml")) {
		t.Errorf("the error is %v", err)
	}
}
