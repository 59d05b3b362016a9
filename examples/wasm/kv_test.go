package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/executiontest"
)

var _ execution.Recaller = (*kv)(nil)

func write(key string, version uint64, value string) []byte {
	return fmt.Appendf(nil, `{"key":%q,"version":%d,"value":%q}`, key, version, value)
}

// build builds and compiles a guest.
func build(t testing.TB, dir string) *guest {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o", file, dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the guest: %v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := compile(t.Context(), program, wazero.NewCompilationCache())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.runtime.Close(context.Background()) })
	return g
}

func TestConformance(t *testing.T) {
	t.Parallel()
	g := build(t, "./guest")
	executiontest.Run(t, executiontest.Harness{
		Open: func(t *testing.T, dir string) execution.Client {
			return reopened(t, dir, g)
		},
		Transaction: func(_ *testing.T, n uint64) []byte { return write("count", n+1, "up") },
		Invalid:     [][]byte{write("other", 0, ""), write("other", 2, ""), []byte(`{"key":1}`), []byte(`null`)},
	})
}

func fresh(t testing.TB, g *guest) *kv { return reopened(t, t.TempDir(), g) }

func reopened(t testing.TB, dir string, g *guest) *kv {
	t.Helper()
	s, err := open(dir, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Whatever a guest does, the host goes on, and nothing is left of a transaction that failed.
func TestHostile(t *testing.T) {
	t.Parallel()
	g := build(t, "./testdata/hostile")
	execute := func(t *testing.T, s *kv, txs ...string) execution.Result {
		t.Helper()
		b := executiontest.Harness{}.Block(s.at.Soft.Height + 1)
		for _, tx := range txs {
			b.Transactions = append(b.Transactions, []byte(tx))
		}
		res, err := s.Execute(t.Context(), s.at.Soft.Hash, b)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for tx, why := range map[string]string{
		"panics": "trapped", "r": "no", "f": "refused by the guest", "calls without end": "more than 16 calls",
		"memory": "trapped", "big value": "at most", "outside": "out of bounds",
		strings.Repeat("long", 300): "longer than",
	} {
		t.Run(tx[:1], func(t *testing.T) {
			t.Parallel()
			s := fresh(t, g)
			res := execute(t, s, "good", tx, "sound")
			execute(t, s, "d") // and goes on
			if len(res.Skipped) != 1 || res.Skipped[0].Index != 1 || !strings.Contains(res.Skipped[0].Reason, why) || res.Skipped[0].Retry {
				t.Errorf("skipped %+v, want the second one because of %q", res.Skipped, why)
			}
			if res := execute(t, s, tx); len(res.Skipped) != 1 {
				t.Errorf("skipped %+v, want it again", res.Skipped)
			}
			if got, err := s.read([]byte("written")); string(got) != "d" || err != nil {
				t.Errorf("written is %q, %v: what failed left a trace", got, err)
			}
		})
	}
	t.Run("no clock, dice or memory differs", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s, other := fresh(t, g), reopened(t, dir, g)
		for range 3 { // one node runs through, the other begins again
			want, got := execute(t, s, "draws", "panics", "draws"), execute(t, other, "draws", "panics", "draws")
			if want.Head.Hash != got.Head.Hash {
				t.Errorf("block %d: %x and %x", want.Head.Number, want.Head.Hash, got.Head.Hash)
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
			other = reopened(t, dir, g)
		}
		if drawn, err := s.read([]byte("drawn")); !strings.HasPrefix(string(drawn), "1 ") || err != nil {
			t.Errorf("drawn is %q, %v: the guest's memory is older than its trap", drawn, err)
		}
	})
	t.Run("a block is full", func(t *testing.T) {
		t.Parallel()
		s := fresh(t, g)
		txs := make([]string, 150)
		for i := range txs {
			txs[i] = "panics"
		}
		res := execute(t, s, txs...)
		last := res.Skipped[len(res.Skipped)-1]
		if len(res.Skipped) != 150 || !last.Retry || res.Skipped[90].Retry {
			t.Errorf("%d skipped, the last %+v: want a full block after some hundred traps", len(res.Skipped), last)
		}
	})
	t.Run("a guest that hangs ends with the context", func(t *testing.T) {
		t.Parallel()
		s := fresh(t, g)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := s.Execute(ctx, execution.Hash{}, executiontest.Harness{}.Block(1, []byte("good"), []byte("hang"))); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want the context's", err)
		}
		if got, _ := s.read([]byte("written")); got != nil || s.at.Soft.Number != 0 {
			t.Errorf("a block that was not made left %q, head %+v", got, s.at.Soft)
		}
		execute(t, s, "good")
	})
	t.Run("another guest is refused", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := reopened(t, dir, g).Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := open(dir, &guest{}); err == nil || !strings.Contains(err.Error(), "was begun with the guest") {
			t.Errorf("got error %v", err)
		}
	})
}

func BenchmarkBlock(b *testing.B) {
	g := build(b, "./guest")
	s := fresh(b, g)
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
