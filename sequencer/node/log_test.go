package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestCometLogger(t *testing.T) {
	var out bytes.Buffer
	var failed error
	l := newCometLogger(slog.New(slog.NewTextHandler(&out, nil)), func(err error) { failed = err })
	for range 5 {
		l.With("module", "p2p").Error("Stopping peer for error", "err", "EOF")
	}
	l.Info("finalized block")
	if got := strings.Count(out.String(), "\n"); got != 1 {
		t.Fatalf("five equal complaints and a detail make %d lines, want 1:\n%s", got, &out)
	}
	if !strings.Contains(out.String(), "level=WARN") {
		t.Fatalf("a lost peer is not a warning: %s", &out)
	}
	if failed != nil {
		t.Fatalf("a lost peer stops the node: %v", failed)
	}
	l.voice.stop()
	l.With("module", "consensus").Error(consensusFailure, "err", "wrong app hash", "stack", "...")
	if failed == nil || !strings.Contains(failed.Error(), "wrong app hash") {
		t.Fatalf("consensus failed and the node is told %v", failed)
	}
}
