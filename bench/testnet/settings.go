package testnet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// Run runs a command of the program to its end.
func Run(ctx context.Context, binary string, args ...string) error {
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s %s: %w\n%s", filepath.Base(binary), args[0], args[1], err, out)
	}
	return nil
}

func settingLine(key string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(key) + ` *=.*$`)
}

// Setting returns a value as it stands in a TOML file.
func Setting(path, key string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read settings: %w", err)
	}
	line := settingLine(key).Find(raw)
	if line == nil {
		return "", fmt.Errorf("%s has no setting %s", path, key)
	}
	_, value, _ := bytes.Cut(line, []byte("="))
	return string(bytes.TrimSpace(value)), nil
}

// Set replaces values in a TOML file, comments and all else kept.
func Set(path string, values map[string]string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	for key, value := range values {
		line := settingLine(key)
		if found := line.FindAll(raw, -1); len(found) != 1 {
			return fmt.Errorf("%s has setting %s %d times, want once", path, key, len(found))
		}
		raw = line.ReplaceAllLiteral(raw, []byte(key+" = "+value))
	}
	return os.WriteFile(path, raw, 0o600)
}
