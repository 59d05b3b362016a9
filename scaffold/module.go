package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// modulePath is Ordo's.
const modulePath = "github.com/ordo-network/ordo"

// module returns the go.mod of a project: Ordo's own, so that every module is resolved to
// the version that Ordo is tested with, and Ordo itself, which is in no registry, from its
// source code.
func (p Project) module() ([]byte, error) {
	const next = "clone it and name its directory with --ordo-source"
	if p.Source == "" {
		return nil, fmt.Errorf("%w, for a project in Go is compiled together with it: %s", ErrSource, next)
	}
	raw, err := os.ReadFile(filepath.Join(p.Source, "go.mod"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read ordo's go.mod: %w", err)
	}
	rest, ok := bytes.CutPrefix(raw, []byte("module "+modulePath+"\n"))
	if !ok {
		return nil, fmt.Errorf("%w, and %s does not hold it: %s", ErrSource, p.Source, next)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "module %s\n", p.Name)
	out.Write(rest)
	fmt.Fprintf(&out, `
// Ordo is in no registry: it is compiled from its source code on this machine.
require %[1]s v0.0.0

replace %[1]s => %[2]s
`, modulePath, strconv.Quote(p.Source))
	return out.Bytes(), nil
}
