// Package config reads and writes the TOML file of a role. In comes a struct
// whose fields carry `toml` and `comment` tags and hold the defaults; out goes the
// struct as the file says. A key that the struct does not know is an error: a
// misspelt setting must not pass for a default.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/ordo-network/ordo/internal/replace"
)

// Load reads the file over the defaults that cfg holds.
func Load(path string, cfg any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	dec := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields()
	if err := dec.Decode(cfg); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return fmt.Errorf("%s has settings that do not exist here:\n%s", path, strict.String())
		}
		var syntax *toml.DecodeError
		if errors.As(err, &syntax) {
			row, col := syntax.Position()
			return fmt.Errorf("%s, line %d, column %d: %w", path, row, col, err)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Write stores cfg with its comments. A crash leaves the old file or the new one.
func Write(path string, cfg any) error {
	raw, err := toml.Marshal(cfg)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	if err := replace.File(path, raw, 0o600); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

// Duration is a time.Duration written as "100ms".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}
