package testnet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettingsAreReplacedInPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.toml")
	const before = "# pprof_laddr = no\n[rpc]\npprof_laddr = \"\" # none\nname=\"x\"\n[p2p]\nname = \"y\"\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Set(path, map[string]string{"pprof_laddr": `"127.0.0.1:1$2"`}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(before, `pprof_laddr = "" # none`, `pprof_laddr = "127.0.0.1:1$2"`, 1); string(raw) != want {
		t.Errorf("the file reads\n%s", raw)
	}
	if v, err := Setting(path, "pprof_laddr"); err != nil || v != `"127.0.0.1:1$2"` {
		t.Errorf("read back %q, %v", v, err)
	}
	for key, want := range map[string]string{"absent": "0 times", "name": "2 times"} {
		if err := Set(path, map[string]string{key: "1"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
