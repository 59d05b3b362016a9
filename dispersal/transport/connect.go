package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ordo-network/ordo/order"
)

// pending are the accepted connections whose other end has not shown its key. A new one
// takes the place of the oldest: a handshake takes milliseconds, so whoever is honest is
// through before strangers have pushed it out.
type pending struct {
	mu    sync.Mutex
	conns []net.Conn // oldest first
}

func (p *pending) add(c net.Conn, limit int) (pushed net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) >= limit {
		pushed = p.conns[0]
		p.conns = slices.Delete(p.conns, 0, 1)
	}
	p.conns = append(p.conns, c)
	return pushed
}

func (p *pending) remove(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.conns, c); i >= 0 {
		p.conns = slices.Delete(p.conns, i, i+1)
	}
}

// accept takes connections until the context ends.
func (m *Mesh) accept(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = m.opts.Listener.Close() })
	defer stop()
	var waiting pending
	for retry := 5 * time.Millisecond; ; {
		c, err := m.opts.Listener.Accept()
		if ctx.Err() != nil {
			if c != nil {
				_ = c.Close()
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept lane peers: %w", err)
		}
		if err != nil { // too many files open, or the other end gave up: neither is for ever
			m.opts.Logger.Warn("accept lane peer", "error", err)
			if err := pause(ctx, retry); err != nil {
				return nil
			}
			retry = min(2*retry, time.Second)
			continue
		}
		retry = 5 * time.Millisecond
		if pushed := waiting.add(c, m.opts.Limits.Handshakes); pushed != nil {
			_ = pushed.Close()
		}
		m.running.Go(func() {
			defer waiting.remove(c)
			if _, err := m.shake(ctx, c, true, order.Owner{}); err != nil {
				m.metrics.refused.Inc()
				m.opts.Logger.Debug("refused a lane connection", "address", c.RemoteAddr().String(), "error", err)
			}
		})
	}
}

// shake proves to the other end who this node is, has it prove the same, and makes a
// peer of it. What fails is closed.
func (m *Mesh) shake(ctx context.Context, c net.Conn, server bool, want order.Owner) (*Peer, error) {
	w := newWire(c, m.opts.Limits.WriteTimeout)
	conn := tls.Client(w, m.tls)
	if server {
		conn = tls.Server(w, m.tls)
	}
	p, err := m.prove(ctx, w, conn, server, want)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return p, nil
}

func (m *Mesh) prove(ctx context.Context, w *wire, conn *tls.Conn, server bool, want order.Owner) (*Peer, error) {
	if err := w.SetDeadline(time.Now().Add(m.opts.Limits.HandshakeTimeout)); err != nil {
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("shake hands: %w", err)
	}
	owner, _, err := m.current().identify(m.opts.ChainID, conn.ConnectionState())
	if err != nil {
		return nil, err
	}
	if owner == m.opts.Self {
		return nil, fmt.Errorf("key of this node itself: %w", ErrStranger)
	}
	if !server && owner != want {
		return nil, fmt.Errorf("validator %v answers where %v is listed: %w", owner, want, ErrStranger)
	}
	// In TLS 1.3 a client is done before the server has looked at its key. The server's
	// ping says that it has; without it a node would take itself for connected.
	var ping [headBytes]byte
	if server {
		_, err = conn.Write(appendHead(ping[:0], TypePing, 0))
	} else {
		_, err = io.ReadFull(conn, ping[:])
	}
	if err != nil {
		return nil, fmt.Errorf("wait to be let in: %w", err)
	}
	if t, _, err := parseHead(ping, 0); err != nil || t != TypePing {
		return nil, fmt.Errorf("first frame of type %d: %w", ping[0], ErrFrame)
	}
	if err := w.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("clear deadline: %w", err)
	}
	return m.admit(w, conn, !server)
}

// dialAll keeps a dialer for each member that has an address.
func (m *Mesh) dialAll(ctx context.Context) {
	dialers := make(map[order.Owner]context.CancelFunc)
	for {
		select {
		case <-m.changed:
		case <-ctx.Done():
			return
		}
		members := m.current()
		wanted := make(map[order.Owner]bool)
		if members.Key != nil {
			for _, owner := range members.Allowed {
				wanted[owner] = owner != m.opts.Self && members.Addresses[owner] != ""
			}
		}
		for owner, cancel := range dialers {
			if !wanted[owner] {
				cancel()
				delete(dialers, owner)
			}
		}
		for owner, dial := range wanted {
			if _, ok := dialers[owner]; dial && !ok {
				child, cancel := context.WithCancel(ctx)
				dialers[owner] = cancel
				m.running.Go(func() { m.dial(child, owner) })
			}
		}
	}
}

// dial keeps a connection to the owner: whenever there is none it makes one. After a
// loss the one with the lesser owner goes first, as the other's would not be kept.
func (m *Mesh) dial(ctx context.Context, owner order.Owner) {
	limits := &m.opts.Limits
	wait := time.Duration(0)
	for {
		if p := m.Peer(owner); p != nil {
			select {
			case <-p.done:
			case <-ctx.Done():
				return
			}
			wait = max(wait, limits.RetryMin)
			if time.Since(p.since) > limits.RetryMax {
				wait = limits.RetryMin
			}
			if owner.Compare(m.opts.Self) < 0 {
				wait = max(wait, limits.RetryMax/2)
			}
		}
		if pause(ctx, m.jitter(wait)) != nil {
			return
		}
		if m.Peer(owner) != nil {
			continue
		}
		if err := m.connect(ctx, owner); err != nil {
			if ctx.Err() != nil {
				return
			}
			m.metrics.failed.Inc()
			m.opts.Logger.Debug("connect to lane peer", "owner", owner.String(), "error", err)
		}
		wait = min(max(2*wait, limits.RetryMin), limits.RetryMax)
	}
}

func (m *Mesh) connect(ctx context.Context, owner order.Owner) error {
	address := m.current().Addresses[owner]
	ctx, cancel := context.WithTimeout(ctx, m.opts.Limits.HandshakeTimeout)
	defer cancel()
	c, err := m.opts.Dial(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	if _, err := m.shake(ctx, c, false, owner); err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	return nil
}

// jitter spreads out those that wait as long: from three quarters of it to five.
func (m *Mesh) jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d - d/4 + time.Duration(m.opts.Jitter(int64(d/2)))
}
