package ordorpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

// Bounds on what clients send and get, at every door.
const (
	MaxBody          = 5 << 20
	MaxBatch         = 1000
	MaxBatchResponse = 25 << 20
	readTimeout      = 30 * time.Second
	headerTimeout    = 10 * time.Second
	writeTimeout     = 30 * time.Second
	idleTimeout      = 2 * time.Minute
)

// NewRPC returns a JSON-RPC server within these bounds.
func NewRPC() *rpc.Server {
	s := rpc.NewServer()
	s.SetBatchLimits(MaxBatch, MaxBatchResponse)
	s.SetHTTPBodyLimit(MaxBody)
	s.SetWebsocketReadLimit(MaxBody)
	return s
}

// Port is where a door is reached, over HTTP and WebSocket: a bounded number of
// connections, each of which can be closed by its client's address.
type Port struct {
	http  *http.Server
	conns *conns
	max   int
}

// NewPort returns a port for the handler.
func NewPort(handler http.Handler, maxConnections int, log *slog.Logger) *Port {
	return &Port{
		conns: &conns{open: make(map[string]net.Conn)}, max: maxConnections,
		http: &http.Server{
			Handler: handler, MaxHeaderBytes: 64 << 10,
			ReadTimeout: readTimeout, ReadHeaderTimeout: headerTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}
}

// Serve answers on the listener, which it closes, until ctx ends, which is no error.
func (p *Port) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = p.http.Close() })
	defer stop()
	err := p.http.Serve(newLimitListener(ln, p.max, p.conns))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve JSON-RPC: %w", err)
}

// Kick closes the connection of the client at the address; it reports whether there
// was one.
func (p *Port) Kick(remote string) bool { return p.conns.kick(remote) }

// Close ends all connections but those of WebSockets, which end with their server.
// Idempotent.
func (p *Port) Close() { _ = p.http.Close() }

// conns knows the open connections by the client's address.
type conns struct {
	mu   sync.Mutex
	open map[string]net.Conn
}

// kick closes the connection of the client at the address; it reports whether there
// was one.
func (c *conns) kick(remote string) bool {
	c.mu.Lock()
	conn := c.open[remote]
	delete(c.open, remote)
	c.mu.Unlock()
	if conn == nil {
		return false
	}
	// What the client did not read is dropped with it: the kernel would hold it for
	// as long as the client likes.
	if c, ok := conn.(*limitedConn); ok {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	_ = conn.Close() // it is being given up
	return true
}

func (c *conns) add(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[conn.RemoteAddr().String()] = conn
}

func (c *conns) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if remote := conn.RemoteAddr().String(); c.open[remote] == conn {
		delete(c.open, remote)
	}
}

// limitListener leaves connections over the bound waiting in the kernel's queue.
type limitListener struct {
	net.Listener
	conns  *conns
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitListener(ln net.Listener, n int, c *conns) net.Listener {
	return &limitListener{Listener: ln, conns: c, slots: make(chan struct{}, max(n, 1)), closed: make(chan struct{})}
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	c := &limitedConn{Conn: conn}
	c.release = sync.OnceFunc(func() { l.conns.remove(c); <-l.slots })
	l.conns.add(c)
	return c, nil
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
