package celestia

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/internal/gobuild"
)

func TestBuildIDIsThatOfTheModule(t *testing.T) {
	t.Parallel()
	id, err := moduleID("../../test/celestia")
	if err != nil {
		t.Fatal(err)
	}
	if id != buildID {
		t.Errorf("the module has changed: buildID is %q, and should be %q", buildID, id)
	}
}

func TestBinariesThatAreNotBuiltSayHow(t *testing.T) {
	t.Setenv(EnvApp, "")
	t.Setenv(EnvNode, "")
	t.Setenv(gobuild.EnvCache, t.TempDir())
	_, _, err := Binaries(t.Context())
	if !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "make celestia-bin") {
		t.Errorf("the error is %v", err)
	}
}

func TestBinariesThatAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvApp, path)
	t.Setenv(EnvNode, path)
	if app, node, err := Binaries(t.Context()); err != nil || app != path || node != path {
		t.Errorf("%s and %s: %v", app, node, err)
	}
	// A name that leads nowhere is a mistake, and no reason to build or to skip.
	t.Setenv(EnvNode, path+"-gone")
	if _, _, err := Binaries(t.Context()); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrNotBuilt) {
		t.Errorf("the error is %v", err)
	}
}
