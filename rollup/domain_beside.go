package rollup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// DomainBeside looks for the home of another rollup of the domain that o lays out, on the
// same sequencer chain, in the directory that home is in. It returns that home and its
// settings; "" where there is none. Whoever lays out one after the other means the same domain.
func DomainBeside(home string, o InitOptions) (string, Config, error) {
	abs, err := filepath.Abs(home)
	if err != nil {
		return "", Config{}, fmt.Errorf("find %s: %w", home, err)
	}
	chain, err := os.ReadFile(o.SequencerGenesis)
	if err != nil {
		return "", Config{}, fmt.Errorf("read the sequencer chain's genesis: %w", err)
	}
	beside, err := os.ReadDir(filepath.Dir(abs))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", Config{}, fmt.Errorf("look for other homes beside %s: %w", home, err)
	}
	for _, entry := range beside {
		dir := filepath.Join(filepath.Dir(abs), entry.Name())
		cfg, err := LoadConfig(dir)
		if err != nil || cfg.Name == o.Name || !slices.Equal(cfg.Domain.Rollups, o.Domain) {
			continue // of something else
		}
		if theirs, err := os.ReadFile(within(dir)(cfg.SequencerGenesis)); err == nil && bytes.Equal(theirs, chain) {
			return dir, cfg, nil
		}
	}
	return "", Config{}, nil
}
