// Package listen opens the ports that a role was told to listen on. In go an address and
// what for; out comes a listener, or an error by which a person finds the other program or
// the setting.
//
// What always holds: a port that a process has given back a moment ago, because it was
// killed or is being replaced, is waited for.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/internal/pause"
)

// release is how long a port may stay taken by what was stopped a moment ago.
const release = time.Second

// TCP listens on an address, host:port. Where another program keeps the port the error
// wraps syscall.EADDRINUSE.
func TCP(ctx context.Context, address string) (net.Listener, error) {
	for deadline := time.Now().Add(release); ; {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return l, err
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// For listens on an address that a setting gives for a purpose, and says so where it
// cannot.
func For(ctx context.Context, address, purpose, setting string) (net.Listener, error) {
	l, err := TCP(ctx, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program, and the %s needs it: stop that program or change %s", address, purpose, setting)
	case err != nil:
		return nil, fmt.Errorf("%s for the %s cannot be listened on (%s): %w", address, purpose, setting, err)
	}
	return l, nil
}
