package eigenda

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ordo-network/ordo/internal/gobuild"
)

func TestBuildIDIsThatOfTheModule(t *testing.T) {
	if err := gobuild.CheckSum("../../test/eigenda", buildID); err != nil {
		t.Error(err)
	}
}

func TestBinaryThatIsNotBuiltSaysHow(t *testing.T) {
	t.Setenv(EnvBinary, "")
	t.Setenv(gobuild.EnvCache, t.TempDir())
	_, err := Binary(t.Context())
	if !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "make eigenda-bin") {
		t.Errorf("the error is %v", err)
	}
	// A binary without its points is none.
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(EnvBinary, path)
	if _, err := Binary(t.Context()); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("the error is %v", err)
	}
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := Binary(t.Context())
	if errors.Is(err, ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// buffer is a log that the test may read while the proxy writes.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestProxyStoresUntilItStops(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {V2: true, MaxBlobBytes: 1 << 20}} {
		o.Binary, o.Dir, o.Log = binary(t), filepath.Join(t.TempDir(), "proxy"), &buffer{}
		name := "V1"
		if o.V2 {
			name = "V2"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			p, err := Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Stop() })
			t.Logf("started in %v", time.Since(began))
			resp, err := http.Post(p.Endpoint()+"/put?commitment_mode=standard", "application/octet-stream", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			certificate, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK || len(certificate) == 0 {
				t.Fatalf("put: %s, %d bytes, %v", resp.Status, len(certificate), err)
			}
			if v2 := certificate[0] == 1; v2 != o.V2 {
				t.Errorf("the certificate begins with %d", certificate[0])
			}
			if err := p.Stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
			if _, err := http.Get(p.Endpoint() + "/health"); err == nil {
				t.Error("it answers after Stop")
			}
			if log := o.Log.(*buffer).String(); !strings.Contains(log, "Started EigenDA proxy server") {
				t.Errorf("the log is %q", log)
			}
		})
	}
}

// Not parallel: a fork elsewhere while the script is written would hold it open, and an
// open file cannot be executed.
func TestProxyThatDiesSaysWhy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho no points\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Binary: path, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: no points") {
		t.Errorf("the error is %v", err)
	}
}

// Not parallel: a fork elsewhere while the script is written would hold it open, and an
// open file cannot be executed.
func TestStartEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Options{Binary: path, Dir: t.TempDir()}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestArgsWantAPowerOfTwo(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 1, 3 << 20, 32 << 20} {
		if _, err := Args(Options{MaxBlobBytes: n}); err == nil {
			t.Errorf("%d passes", n)
		}
	}
}
