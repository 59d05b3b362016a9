package devnet

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var errBuild = errors.New("disk is full")

// open does what Run does with a directory, with a build that leaves one file.
func open(t *testing.T, o Options, build error) (s Shape, made bool, err error) {
	t.Helper()
	if err := checkHome(o.Home); err != nil {
		return Shape{}, false, err
	}
	s, missing, err := o.resolve()
	if err != nil || !missing {
		return s, false, err
	}
	return s, true, remake(o.Home, s, func(home string, _ Shape) error {
		if err := os.WriteFile(filepath.Join(home, "data"), []byte(t.Name()), 0o600); err != nil {
			return err
		}
		return build
	})
}

func TestNetworkIsKeptFromStartToStart(t *testing.T) {
	t.Parallel()
	o := Options{Home: filepath.Join(t.TempDir(), "net"), Shape: DefaultShape()}
	o.Shape.Validators = 7
	if _, made, err := open(t, o, nil); err != nil || !made {
		t.Fatalf("first start: made %v, %v", made, err)
	}
	o.Shape.Validators = 4 // the default, not typed
	s, made, err := open(t, o, nil)
	if err != nil || made {
		t.Fatalf("second start: made %v, %v", made, err)
	}
	if s.Validators != 7 {
		t.Errorf("the network has %d validators, was made with 7", s.Validators)
	}
	o.Set = func(name string) bool { return name == "validators" }
	if _, _, err := open(t, o, nil); err == nil || !strings.Contains(err.Error(), "--validators 7, not 4") {
		t.Errorf("error is %v, want one that names both numbers", err)
	}
}

func TestFreshRemovesTheOldNetwork(t *testing.T) {
	t.Parallel()
	o := Options{Home: t.TempDir(), Shape: DefaultShape()}
	if _, _, err := open(t, o, nil); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(o.Home, "rollup-alpha", "chaindata")
	if err := os.MkdirAll(old, 0o755); err != nil {
		t.Fatal(err)
	}
	o.Fresh = true
	if _, made, err := open(t, o, nil); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old data is there: %v", err)
	}
}

func TestHalfMadeDirectoryIsMadeAnew(t *testing.T) {
	t.Parallel()
	o := Options{Home: t.TempDir(), Shape: DefaultShape()}
	if _, _, err := open(t, o, errBuild); !errors.Is(err, errBuild) {
		t.Fatalf("error is %v, want %v", err, errBuild)
	}
	half := filepath.Join(o.Home, "half")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, made, err := open(t, o, nil); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was half made is there: %v", err)
	}
}

// --fresh in the wrong place must not remove somebody's files.
// Killed while it writes its first file, a devnet leaves a directory without a manifest.
func TestKilledBeforeTheManifest(t *testing.T) {
	t.Parallel()
	o := Options{Home: t.TempDir(), Shape: DefaultShape()}
	for _, name := range []string{lockName, "." + manifestName + "-4711"} {
		if err := os.WriteFile(filepath.Join(o.Home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, made, err := open(t, o, nil); err != nil || !made {
		t.Errorf("it is not made anew: made %v, %v", made, err)
	}
}

func TestForeignDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	o := Options{Home: t.TempDir(), Shape: DefaultShape(), Fresh: true}
	photo := filepath.Join(o.Home, "photo.jpg")
	if err := os.WriteFile(photo, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, o, nil); err == nil || !strings.Contains(err.Error(), "photo.jpg") {
		t.Errorf("error is %v, want one that names the foreign file", err)
	}
	if _, err := os.Stat(photo); err != nil {
		t.Error(err)
	}
}

func TestOneDevnetPerDirectory(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	held, err := lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(home); err == nil || !strings.Contains(err.Error(), "running in "+home) {
		t.Errorf("error is %v, want one that names the directory", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	held, err = lock(home)
	if err != nil {
		t.Fatal(err)
	}
	_ = held.Close()
}

func TestDamagedManifestIsNotGuessedAt(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"cut":           `{"version":1,"compl`,
		"other version": `{"version":99,"complete":true}`,
		"no network":    `{"version":1,"complete":true}`,
	} {
		o := Options{Home: t.TempDir(), Shape: DefaultShape()}
		if err := os.WriteFile(filepath.Join(o.Home, manifestName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := open(t, o, nil); err == nil || !strings.Contains(err.Error(), "--fresh") {
			t.Errorf("%s: error is %v, want one that says what to do", name, err)
		}
		o.Fresh = true
		if _, made, err := open(t, o, nil); err != nil || !made {
			t.Errorf("%s with --fresh: made %v, %v", name, made, err)
		}
	}
}
