package scaffold

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/examples"
)

func project(t *testing.T, template string) Project {
	t.Helper()
	source, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return Project{
		Dir: filepath.Join(t.TempDir(), "deep", "mine"), Name: "mine", Template: template,
		Command: []string{"/opt/ordo"}, Source: source, Genesis: []byte("{}"),
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Each template makes a project of its own name, which holds nothing but what it shows.
func TestEveryTemplate(t *testing.T) {
	t.Parallel()
	for _, template := range Templates() {
		t.Run(template, func(t *testing.T) {
			t.Parallel()
			p := project(t, template)
			if err := New(p); err != nil {
				t.Fatal(err)
			}
			makefile, readme := read(t, p.Dir, "Makefile"), read(t, p.Dir, "README.md")
			for _, want := range []string{"ORDO   ?= /opt/ordo\n", "--name mine ", "start:", "tx:", "get:", "clean:"} {
				if !strings.Contains(makefile, want) {
					t.Errorf("the Makefile lacks %q:\n%s", want, makefile)
				}
			}
			if !strings.HasPrefix(readme, "# mine\n\n") || strings.Contains(readme, "<no value>") || strings.Contains(readme, "\n\n\n") {
				t.Errorf("the README is\n%s", readme)
			}
			beside, err := os.ReadDir(filepath.Dir(p.Dir))
			if err != nil || len(beside) != 1 {
				t.Errorf("beside the project are %v, %v", beside, err)
			}
		})
	}
}

// A project's code is the example's.
func TestTheCodeIsTheExamples(t *testing.T) {
	t.Parallel()
	for template, file := range map[string]string{"go": "kv.go", "ts": "kv.ts", "wasm": "guest/main.go"} {
		p := project(t, template)
		if err := New(p); err != nil {
			t.Fatal(err)
		}
		want, err := fs.ReadFile(examples.Files, template+"/"+file)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, p.Dir, file); got != string(want) {
			t.Errorf("%s differs from the example", file)
		}
		if template != "ts" && !strings.Contains(read(t, p.Dir, "kv_test.go"), "_ execution.Recaller = (*kv)(nil)") {
			t.Errorf("%s: what a crash leaves is not told again", template)
		}
	}
}

func TestWhatExistsIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := project(t, "evm")
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := New(p); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error is %v", err)
	}
	if found, err := os.ReadDir(p.Dir); err != nil || len(found) != 0 {
		t.Errorf("the directory holds %v, %v", found, err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Project)
		want   error
	}{
		"template":       {func(p *Project) { p.Template = "cobol" }, ErrTemplate},
		"no template":    {func(p *Project) { p.Template = "" }, ErrTemplate},
		"no name":        {func(p *Project) { p.Name = "" }, ErrName},
		"make's sign":    {func(p *Project) { p.Name = "a$b" }, ErrName},
		"an option":      {func(p *Project) { p.Name = "-a" }, ErrName},
		"no source":      {func(p *Project) { p.Source = "" }, ErrSource},
		"another source": {func(p *Project) { p.Source = filepath.Dir(p.Dir) }, ErrSource},
	} {
		p := project(t, "go")
		c.change(&p)
		if err := New(p); !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", name, err, c.want)
		}
		if _, err := os.Lstat(p.Dir); err == nil {
			t.Errorf("%s: a directory was made", name)
		}
	}
}

// Modules are resolved as in Ordo, whatever the path of its source code looks like.
func TestModule(t *testing.T) {
	t.Parallel()
	p := project(t, "go")
	own := filepath.Join(t.TempDir(), `a "path"`)
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(own, file), []byte(read(t, p.Source, file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.Source = own
	if err := New(p); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(read(t, own, "go.mod"), "module github.com/ordo-network/ordo\n")
	got := read(t, p.Dir, "go.mod")
	if !strings.HasPrefix(got, "module mine\n"+want) {
		t.Errorf("go.mod is\n%s", got)
	}
	if !strings.Contains(got, `a \"path\"`) {
		t.Errorf("go.mod ends in\n%s", got[len(got)-200:])
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for want, list := range map[string][]string{
		"go -C /src run ./cmd/ordo": {"go", "-C", "/src", "run", "./cmd/ordo"},
		`'/my dir/or'\''do'`:        {"/my dir/or'do"},
		`'/a$$b\#c'`:                {"/a$b#c"},
		"''":                        {""},
	} {
		if got := words(list); got != want {
			t.Errorf("%q: got %s, want %s", list, got, want)
		}
	}
}

func TestChainIDsDiffer(t *testing.T) {
	t.Parallel()
	ids := []uint64{ChainID("a"), ChainID("b"), ChainID("ab")}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 3 || ids[0] < 1<<40 || ids[2] >= 1<<53 {
		t.Errorf("IDs are %v: want three, which JavaScript holds exactly", ids)
	}
}
