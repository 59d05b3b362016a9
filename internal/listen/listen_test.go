package listen

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhoNeedsWhat(t *testing.T) {
	t.Parallel()
	first, err := For(t.Context(), "127.0.0.1:0", "metrics endpoint", "metrics.listen")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	address := first.Addr().String()
	_, err = For(t.Context(), address, "metrics endpoint", "metrics.listen in ordo.toml")
	if want := address + " is in use by another program, and the metrics endpoint needs it: stop that program or change metrics.listen in ordo.toml"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if _, err := TCP(t.Context(), address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port in use: %v", err)
	}
	_, err = For(t.Context(), "256.0.0.1:1", "sequencer API", "api.listen")
	if err == nil || !strings.HasPrefix(err.Error(), "256.0.0.1:1 for the sequencer API cannot be listened on (api.listen): ") {
		t.Errorf("no address: %v", err)
	}
}

// What is being replaced has its port a moment longer.
func TestAPortIsWaitedFor(t *testing.T) {
	t.Parallel()
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := time.AfterFunc(100*time.Millisecond, func() { _ = first.Close() })
	defer gone.Stop()
	second, err := TCP(t.Context(), first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the process ends"))
	if _, err := TCP(ctx, second.Addr().String()); err == nil || errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("it waits although the process ends: %v", err)
	}
}
