package devnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ordo-network/ordo/internal/replace"
)

// Names in a devnet's directory, beside the homes of its processes.
const (
	manifestName  = "devnet.json"
	lockName      = "devnet.lock"
	endpointsName = "endpoints.json"
	processesName = "processes.json"
	logsName      = "logs"
)

// manifestVersion is raised where a network of an older one cannot go on.
const manifestVersion = 3

// manifest marks a directory as a devnet's and tells what is in it. It is written
// before anything else, and once more, as complete, after everything else: a
// directory whose making was cut short is recognised and made anew.
type manifest struct {
	Version  int   `json:"version"`
	Complete bool  `json:"complete"`
	Shape    Shape `json:"network"`
}

// lock makes sure that one devnet alone works in a directory. The kernel releases
// it when the process ends, however it ends.
func lock(home string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(home, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("a devnet is running in %s already: stop it, or start another with --home and --base-port", home)
		}
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return f, nil
}

// checkHome refuses a directory that holds anything but a devnet: its content
// would be mixed up with a network's, and removed by --fresh.
func checkHome(home string) error {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	entries, err := os.ReadDir(home)
	if err != nil {
		return fmt.Errorf("read the data directory: %w", err)
	}
	foreign := ""
	for _, e := range entries {
		switch name := e.Name(); {
		case name == manifestName:
			return nil
		case name != lockName && !replace.Leftover(name, manifestName):
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("%s holds %s and no devnet: name an empty or a new directory with --home", home, foreign)
	}
	return nil
}

// resolve returns the shape of the network that home is to have, and whether it
// must be made first. It changes nothing.
func (o Options) resolve() (s Shape, missing bool, err error) {
	m, err := readManifest(o.Home)
	switch {
	case o.Fresh, errors.Is(err, fs.ErrNotExist), err == nil && !m.Complete:
		return o.Shape, true, o.Shape.Validate()
	case err != nil:
		return Shape{}, false, err
	}
	s, err = o.match(m.Shape)
	return s, false, err
}

// remake gives home a new network, in place of whatever is there. The caller holds
// the lock.
func remake(home string, s Shape, build func(home string, s Shape) error) error {
	m := manifest{Version: manifestVersion, Shape: s}
	path := filepath.Join(home, manifestName)
	if err := writeJSON(path, m); err != nil {
		return err
	}
	// From here to the second write a crash leaves an incomplete directory.
	if err := wipe(home); err != nil {
		return err
	}
	if err := build(home, s); err != nil {
		return fmt.Errorf("make the network's data: %w", err)
	}
	m.Complete = true
	return writeJSON(path, m)
}

// match returns the shape of the network that is there, unless a setting was typed
// that it does not have.
func (o Options) match(found Shape) (Shape, error) {
	for _, c := range []struct {
		setting    string
		want, have any
	}{
		{"validators", o.Shape.Validators, found.Validators},
		{"rollups", o.Shape.Rollups, found.Rollups},
		{"block-time", o.Shape.BlockTime, found.BlockTime},
		{"base-port", o.Shape.BasePort, found.BasePort},
		{"da", o.Shape.DA.Layers, found.DA.Layers},
		{"da-fallback", o.Shape.DA.Fallback, found.DA.Fallback},
		{"da-endpoint", o.Shape.DA.Endpoints, found.DA.Endpoints},
		{"da-app-id", o.Shape.DA.AppID, found.DA.AppID},
	} {
		if o.Set != nil && o.Set(c.setting) && c.want != c.have {
			return Shape{}, fmt.Errorf("the network in %s was made with --%s %v, not %v: leave the flag out to resume it, or add --fresh to make a new network", o.Home, c.setting, c.have, c.want)
		}
	}
	if o.Set != nil && o.Set("da-token") {
		return Shape{}, fmt.Errorf("the network in %s has the tokens that it was made with, in the settings of its processes: leave out --da-token to resume it, or add --fresh to make a new network", o.Home)
	}
	return found, nil
}

func readManifest(home string) (manifest, error) {
	path := filepath.Join(home, manifestName)
	raw, err := os.ReadFile(path)
	if err != nil {
		return manifest{}, fmt.Errorf("read the data directory: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return manifest{}, fmt.Errorf("%s is damaged (%w): start with --fresh to make a new network", path, err)
	}
	if m.Version != manifestVersion {
		return manifest{}, fmt.Errorf("%s was made by another version of ordo: start with --fresh to make a new network", path)
	}
	if m.Complete {
		if err := m.Shape.Validate(); err != nil {
			return manifest{}, fmt.Errorf("%s is damaged (%w): start with --fresh to make a new network", path, err)
		}
	}
	return m, nil
}

// wipe removes everything but the manifest and the lock.
func wipe(home string) error {
	entries, err := os.ReadDir(home)
	if err != nil {
		return fmt.Errorf("remove the old network: %w", err)
	}
	for _, e := range entries {
		if e.Name() == manifestName || e.Name() == lockName {
			continue
		}
		if err := os.RemoveAll(filepath.Join(home, e.Name())); err != nil {
			return fmt.Errorf("remove the old network: %w", err)
		}
	}
	return nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	if err := replace.File(path, append(raw, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
