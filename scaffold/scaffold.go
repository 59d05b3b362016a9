package scaffold

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/ordo-network/ordo/examples"
	"github.com/ordo-network/ordo/execution/astria/proto"
)

// Project is what a directory is made from.
type Project struct {
	Dir      string // of the project; it must not exist
	Name     string // of the rollup
	Template string // one of Templates
	// Command starts ordo: a program and its first arguments. The program's path is absolute,
	// or found by the shell.
	Command []string
	// Source is the directory of Ordo's own source code, absolute. Projects in Go need it.
	Source string
	// Genesis is the geth genesis file of a rollup of the template evm.
	Genesis []byte
}

// Errors that New wraps.
var (
	ErrTemplate = errors.New("no such template")
	ErrName     = errors.New("no name for a project")
	ErrSource   = errors.New("ordo's source code is needed")
)

// part is a folder of a file system that goes to a folder of the project.
type part struct {
	files    fs.FS
	from, to string
}

// templates are what each one is made of, beside Makefile and README.
var templates = map[string][]part{
	"evm":  nil,
	"go":   {{examples.Files, "go", "."}},
	"ts":   {{examples.Files, "ts", "."}, {proto.Files, ".", "proto"}},
	"wasm": {{examples.Files, "wasm", "."}},
}

// Go tells whether the project is a program in Go, compiled together with Ordo.
func (p Project) Go() bool { return p.Template == "go" || p.Template == "wasm" }

// Templates are the names of the templates, sorted.
func Templates() []string {
	var names []string
	for name := range templates {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// names of projects stand in makefiles, modules and paths without quotes.
var names = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Check says what is wrong with a project before anything is made of it. Errors:
// ErrTemplate, ErrName, ErrSource, fs.ErrExist.
func (p Project) Check() error {
	if _, ok := templates[p.Template]; !ok {
		return fmt.Errorf("%w as %q: choose one of %s", ErrTemplate, p.Template, strings.Join(Templates(), ", "))
	}
	if !names.MatchString(p.Name) {
		return fmt.Errorf("%q is %w: it takes 1 to 63 small letters, digits and hyphens, such as my-rollup", p.Name, ErrName)
	}
	if _, err := os.Lstat(p.Dir); err == nil {
		return fmt.Errorf("%s exists (%w): choose another name, or remove it", p.Dir, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for %s: %w", p.Dir, err)
	}
	if p.Go() {
		if _, err := p.module(); err != nil {
			return err
		}
	}
	return nil
}

// New makes the project. Errors: those of Check.
func New(p Project) (err error) {
	if err := p.Check(); err != nil {
		return err
	}
	parent := filepath.Dir(p.Dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make the directory for the project: %w", err)
	}
	// It is made beside its place and then moved there, so that whatever ends this half-way
	// leaves no half of a project behind, under its name.
	made, err := os.MkdirTemp(parent, "."+p.Name+"-")
	if err != nil {
		return fmt.Errorf("make the project: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	files, err := p.files()
	if err != nil {
		return err
	}
	for name, content := range files {
		file := filepath.Join(made, filepath.FromSlash(name))
		err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, content, 0o644))
		if err != nil {
			return fmt.Errorf("write the project: %w", err)
		}
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return fmt.Errorf("write the project: %w", err)
	}
	if err := os.Rename(made, p.Dir); err != nil {
		return fmt.Errorf("move the project to its place: %w", err)
	}
	return nil
}

// files are the project's, by their paths in it.
func (p Project) files() (map[string][]byte, error) {
	out := map[string][]byte{".gitignore": []byte("/node/\n/bin/\nnode_modules/\n")}
	for _, part := range templates[p.Template] {
		err := fs.WalkDir(part.files, part.from, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(part.files, name)
			out[path.Join(part.to, strings.TrimPrefix(name, part.from))] = content
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the template %s: %w", p.Template, err)
		}
	}
	if p.Template == "evm" {
		out["genesis.json"] = append(slices.Clone(p.Genesis), '\n')
	}
	if p.Go() {
		module, err := p.module()
		if err != nil {
			return nil, err
		}
		out["go.mod"] = module
		if out["go.sum"], err = os.ReadFile(filepath.Join(p.Source, "go.sum")); err != nil {
			return nil, fmt.Errorf("read ordo's go.sum: %w", err)
		}
	}
	for _, name := range []string{"Makefile", "README.md"} {
		var page bytes.Buffer
		if err := pages.ExecuteTemplate(&page, name, p); err != nil {
			return nil, fmt.Errorf("write %s of the template %s: %w", name, p.Template, err)
		}
		out[name] = page.Bytes()
	}
	return out, nil
}

//go:embed template
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"words": words}).ParseFS(pageFiles, "template/*"))

// plain are arguments that a shell and make take as they are.
var plain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)

// words writes a command's words into a makefile, quoted where the shell or make would
// take them for something else.
func words(list []string) string {
	var out []string
	for _, w := range list {
		if !plain.MatchString(w) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
			w = strings.NewReplacer("$", "$$", "#", `\#`).Replace(w)
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// ChainID is the chain ID of an EVM rollup that was given none: that of its name, above
// those that are in use today, so that a transaction for one rollup is none for another.
func ChainID(name string) uint64 {
	sum := sha256.Sum256([]byte(name))
	return 1<<40 + uint64(binary.BigEndian.Uint32(sum[:]))
}
