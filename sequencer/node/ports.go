package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// listener is a port that a node wants.
type listener struct {
	purpose string
	setting string // where its address stands
	address string // host:port
}

// portRelease is how long a port may stay taken by what was stopped a moment ago.
const portRelease = time.Second

// take listens on the address or says who wanted what.
func (l listener) take(ctx context.Context) (net.Listener, error) {
	for deadline := time.Now().Add(portRelease); ; time.Sleep(50 * time.Millisecond) {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err == nil {
			return ln, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("%s for the %s cannot be listened on (%s): %w", l.address, l.purpose, l.setting, err)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s is in use by another program, and the %s needs it: stop that program or change %s", l.address, l.purpose, l.setting)
		}
	}
}

// probe checks that CometBFT, which listens by itself, will be able to.
func (l listener) probe(ctx context.Context) error {
	ln, err := l.take(ctx)
	if err != nil {
		return err
	}
	return ln.Close()
}

// hostPort is the part of CometBFT's "tcp://host:port" that net understands.
func hostPort(address string) (string, error) {
	if !strings.Contains(address, "://") {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" {
		return "", fmt.Errorf("address %q, want tcp://host:port", address)
	}
	return u.Host, nil
}
