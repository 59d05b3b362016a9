package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
)

// Handler is told what happens on connections. Its methods are called from one
// goroutine for each connection, Connected first; while one runs nothing more is read
// from that peer.
type Handler interface {
	Connected(*Peer)
	// Handle takes over the frame and releases it, then or later. Frames that answer a
	// Request do not come here.
	Handle(*Peer, *Frame)
}

// Limits bound what peers cost. Zero fields get the default.
type Limits struct {
	// PeerBytes bounds the memory of one peer's frames that were received and not yet
	// released; default 16 MiB.
	PeerBytes int
	// BytesPerSecond and MessagesPerSecond bound what is read from one peer, with a
	// second's worth as burst; defaults 256 MiB and 10000.
	BytesPerSecond, MessagesPerSecond float64
	// UrgentBytes and BulkBytes bound what waits to be sent to one peer; defaults 4 and 16 MiB.
	UrgentBytes, BulkBytes int
	// Handshakes bounds connections whose other end has not shown its key; default 64.
	Handshakes       int
	HandshakeTimeout time.Duration // default 5 s
	// PingInterval is after what silence of its own this node says that it is alive,
	// default 5 s; IdleTimeout after what silence a peer is given up, default 15 s.
	PingInterval, IdleTimeout time.Duration
	WriteTimeout              time.Duration // of 128 KiB; default 10 s
	// RetryMin and RetryMax bound the time between two attempts to connect; defaults
	// 100 ms and 5 s.
	RetryMin, RetryMax time.Duration
	// Penalty is for how long a peer stays out that broke the protocol; default 2 s.
	Penalty time.Duration
}

func (l *Limits) complete() {
	for _, d := range []struct {
		field *int
		value int
	}{{&l.PeerBytes, 16 << 20}, {&l.UrgentBytes, 4 << 20}, {&l.BulkBytes, 16 << 20}, {&l.Handshakes, 64}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&l.HandshakeTimeout, 5 * time.Second}, {&l.PingInterval, 5 * time.Second}, {&l.IdleTimeout, 15 * time.Second},
		{&l.WriteTimeout, 10 * time.Second}, {&l.RetryMin, 100 * time.Millisecond}, {&l.RetryMax, 5 * time.Second}, {&l.Penalty, 2 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.BytesPerSecond == 0 {
		l.BytesPerSecond = 256 << 20
	}
	if l.MessagesPerSecond == 0 {
		l.MessagesPerSecond = 10000
	}
}

// Options are what a mesh works with.
type Options struct {
	ChainID  string
	Self     order.Owner
	Listener net.Listener // nil: only connects to others
	// Dial connects to an address; nil is a net.Dialer's DialContext.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	Handler Handler
	Limits  Limits
	// Now measures rates, Jitter picks from [0, n); nil are time.Now and rand.Int64N.
	Now        func() time.Time
	Jitter     func(n int64) int64
	Logger     *slog.Logger          // may be nil
	Registerer prometheus.Registerer // may be nil
}

// Members says who may connect, and as whom this node does.
type Members struct {
	Key       ed25519.PrivateKey     // of this node; nil: it connects to nobody and nobody to it
	Allowed   map[Key]order.Owner    // by attestation key, of all committees that count
	Addresses map[order.Owner]string // host:port
	MaxShare  int                    // bytes of the largest encoded share that anybody holds
}

// Mesh holds the connections to all peers.
type Mesh struct {
	opts    Options
	metrics *metrics
	tls     *tls.Config
	changed chan struct{} // holds a token after SetMembers
	running sync.WaitGroup

	mu      sync.RWMutex
	ctx     context.Context // of Run; nil before it
	members *Members
	shown   *tls.Certificate // of members.Key
	peers   map[order.Owner]*Peer
	out     map[order.Owner]time.Time // until when, of those who broke the protocol
	closed  bool
}

// New makes a mesh without members, which does nothing until Run.
func New(opts Options) (*Mesh, error) {
	opts.Limits.complete()
	if opts.Handler == nil {
		return nil, errors.New("transport without a handler")
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Jitter == nil {
		opts.Jitter = rand.Int64N
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Mesh{opts: opts, changed: make(chan struct{}, 1), members: new(Members), peers: make(map[order.Owner]*Peer), out: make(map[order.Owner]time.Time)}
	m.tls = m.config()
	var err error
	m.metrics, err = newMetrics(opts.Registerer, m)
	return m, err
}

func (m *Mesh) current() *Members {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.members
}

func (m *Mesh) certificate() (*tls.Certificate, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.shown == nil {
		return nil, errors.New("this node has no attestation key that a committee lists")
	}
	return m.shown, nil
}

// SetMembers replaces who may connect, and this node's own key. Connections of keys
// that are no longer allowed are closed. The caller does not change what it gave.
func (m *Mesh) SetMembers(members *Members) error {
	var shown *tls.Certificate
	if members.Key != nil {
		m.mu.RLock()
		same := m.shown != nil && members.Key.Equal(m.members.Key)
		shown = m.shown
		m.mu.RUnlock()
		if !same {
			made, err := certify(members.Key)
			if err != nil {
				return err
			}
			shown = &made
		}
	}
	m.mu.Lock()
	m.members, m.shown = members, shown
	var strangers []*Peer
	for _, p := range m.peers {
		if owner, ok := members.Allowed[p.key]; !ok || owner != p.Owner || shown == nil {
			strangers = append(strangers, p)
		}
	}
	m.mu.Unlock()
	for _, p := range strangers {
		p.close(ErrStranger)
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
	return nil
}

// Run accepts and makes connections until the context ends. It closes the listener.
func (m *Mesh) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	m.mu.Lock()
	m.ctx = ctx
	m.mu.Unlock()
	var err error
	if m.opts.Listener != nil {
		m.running.Go(func() {
			if failed := m.accept(ctx); failed != nil {
				cancel(failed)
			}
		})
	}
	m.dialAll(ctx)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		err = cause
	}
	cancel(nil)
	if m.opts.Listener != nil {
		_ = m.opts.Listener.Close() // accept reports what matters of it
	}
	m.mu.Lock()
	m.closed = true
	peers := slices.Collect(maps.Values(m.peers))
	m.mu.Unlock()
	for _, p := range peers {
		p.close(errDone)
	}
	m.running.Wait()
	return err
}

// Peer returns the connection to the owner, or nil.
func (m *Mesh) Peer(owner order.Owner) *Peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.peers[owner]
}

// Peers returns all connections, by owner.
func (m *Mesh) Peers() []*Peer {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.SortedFunc(maps.Values(m.peers), func(a, b *Peer) int { return a.Owner.Compare(b.Owner) })
}

// Send queues the message for the owner. It never blocks. Errors: ErrFull,
// ErrDisconnected.
func (m *Mesh) Send(owner order.Owner, o Outgoing) error {
	if p := m.Peer(owner); p != nil {
		return p.Send(o)
	}
	o.done()
	return fmt.Errorf("send %v to %v: %w", o.Type, owner, ErrDisconnected)
}

// Request asks the owner, see Peer.Request.
func (m *Mesh) Request(ctx context.Context, owner order.Owner, o Outgoing) (*Frame, error) {
	if p := m.Peer(owner); p != nil {
		return p.Request(ctx, o)
	}
	o.done()
	return nil, fmt.Errorf("send %v to %v: %w", o.Type, owner, ErrDisconnected)
}

// admit makes a peer of a connection whose other end has shown its key, in the place
// of an older connection: the older one may be dead without anyone knowing. Where both
// ends connect at the same time, both keep the connection that the lesser owner made.
func (m *Mesh) admit(w *wire, conn *tls.Conn, dialed bool) (*Peer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errDone
	}
	// The list may have changed since the handshake.
	owner, key, err := m.members.identify(m.opts.ChainID, conn.ConnectionState())
	if err != nil {
		return nil, err
	}
	if until, ok := m.out[owner]; ok {
		if time.Now().Before(until) {
			return nil, errPenalty
		}
		delete(m.out, owner)
	}
	lesser := dialed == (m.opts.Self.Compare(owner) < 0)
	old := m.peers[owner]
	if old != nil && old.lesser && !lesser && time.Since(old.since) < m.opts.Limits.HandshakeTimeout {
		return nil, errTwice
	}
	p := &Peer{
		Owner: owner, Address: w.RemoteAddr().String(), mesh: m, key: key, wire: w, tls: conn, lesser: lesser,
		queue: newQueue(m.opts.Limits.UrgentBytes, m.opts.Limits.BulkBytes), done: make(chan struct{}),
		since: time.Now(), requests: make(map[uint64]chan *Frame),
	}
	p.ctx, p.cancel = context.WithCancelCause(m.ctx)
	if old != nil {
		old.close(errReplaced)
	}
	m.peers[owner] = p
	w.start()
	m.running.Go(func() {
		p.serve()
		m.mu.Lock()
		if m.peers[owner] == p {
			delete(m.peers, owner)
		}
		m.mu.Unlock()
		m.opts.Logger.Info("lane peer disconnected", "owner", owner.String(), "address", p.Address, "reason", context.Cause(p.ctx))
		close(p.done)
	})
	m.opts.Logger.Info("lane peer connected", "owner", owner.String(), "address", p.Address)
	return p, nil
}
