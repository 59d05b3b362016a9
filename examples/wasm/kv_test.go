package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/executiontest"
)

func write(key string, version uint64, value string) []byte {
	return fmt.Appendf(nil, `{"key":%q,"version":%d,"value":%q}`, key, version, value)
}

// build builds and compiles the guest.
func build(t testing.TB) *guest {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o", file, "./guest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	g, err := compile(t.Context(), program, wazero.NewCompilationCache())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("compiled in %s", time.Since(begun))
	t.Cleanup(func() { _ = g.runtime.Close(context.Background()) })
	return g
}

func TestConformance(t *testing.T) {
	t.Parallel()
	g := build(t)
	executiontest.Run(t, executiontest.Harness{
		Open: func(t *testing.T, dir string) execution.Client {
			s, err := open(dir, g)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Transaction: func(_ *testing.T, n uint64) []byte { return write("count", n+1, "up") },
		Invalid:     [][]byte{write("other", 0, ""), write("other", 2, ""), []byte(`{"key":1}`), []byte(`null`)},
	})
}

func BenchmarkBlock(b *testing.B) {
	g := build(b)
	s, err := open(b.TempDir(), g)
	if err != nil {
		b.Fatal(err)
	}
	for n := uint64(1); b.Loop(); n++ {
		var txs [][]byte
		for k := range 1000 {
			txs = append(txs, write(fmt.Sprint(k), n, "x"))
		}
		res, err := s.Execute(b.Context(), s.at.Soft.Hash, executiontest.Harness{}.Block(n, txs...))
		if err != nil || len(res.Skipped) > 0 {
			b.Fatal(err, res.Skipped)
		}
	}
}
