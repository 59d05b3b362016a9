package ordorpc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"
)

const (
	// maxPassing bounds the messages of one connection that wait for the client.
	maxPassing   = 16
	pingInterval = 30 * time.Second
	pongTimeout  = 60 * time.Second
	pushTimeout  = 10 * time.Second
)

// socket is a WebSocket whose messages are answered by the door's own server, or by the
// rollup's client. To the server it is a stream of its messages alone.
type socket struct {
	conn *websocket.Conn
	in   *io.PipeReader

	mu sync.Mutex // one writes at a time
}

// Read, Write, SetWriteDeadline, RemoteAddr and Close make it an rpc.Conn.
func (s *socket) Read(p []byte) (int, error) { return s.in.Read(p) }

// Write sends one message.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(pushTimeout)) // it fails with the write
	if err := s.conn.WriteMessage(websocket.TextMessage, bytes.TrimSuffix(p, []byte("\n"))); err != nil {
		_ = s.conn.Close() // it did not read for too long, or is gone
		return 0, err
	}
	return len(p), nil
}

func (s *socket) SetWriteDeadline(time.Time) error { return nil }

func (s *socket) RemoteAddr() string { return s.conn.RemoteAddr().String() }

func (s *socket) Close() error { return s.conn.Close() }

// sockets serves WebSockets whose messages may be for the client.
func (p *passer) sockets(own *rpc.Server, origins []string) http.Handler {
	upgrader := websocket.Upgrader{CheckOrigin: func(r *http.Request) bool {
		origin := r.Header.Get("Origin")
		return origin == "" || allowed(origins, origin)
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the client has the answer
		}
		in, out := io.Pipe()
		s := &socket{conn: conn, in: in}
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		var wg sync.WaitGroup
		wg.Go(func() {
			own.ServeCodec(rpc.NewCodec(s), 0)
			// The server has ended, or was handed no JSON: nobody reads on.
			_ = conn.Close()
			_ = in.Close()
		})
		wg.Go(func() { s.ping(ctx) })
		p.read(ctx, s, out, &wg)
		cancel()
		_ = conn.Close() // its reading side has ended
		_ = out.Close()  // cannot fail
		wg.Wait()
	})
}

// read hands messages on until the connection ends.
func (p *passer) read(ctx context.Context, s *socket, own *io.PipeWriter, passing *sync.WaitGroup) {
	alive := func(string) error { return s.conn.SetReadDeadline(time.Now().Add(pongTimeout)) }
	s.conn.SetReadLimit(MaxBody)
	s.conn.SetPongHandler(alive)
	_ = alive("") // it fails with the read
	slots := make(chan struct{}, maxPassing)
	for {
		_, raw, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		_ = alive("")
		if !json.Valid(raw) {
			// The server reads a stream: it would wait for the end of what has begun, and
			// gather all that comes until then.
			_, _ = s.Write([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`)) // the connection ends
			return
		}
		calls, batch, ours := p.parse(raw)
		if ours {
			// A number goes on until something else comes.
			if _, err := own.Write(append(raw, '\n')); err != nil {
				return
			}
			continue
		}
		slots <- struct{}{}
		passing.Go(func() {
			defer func() { <-slots }()
			if reply, err := p.answer(ctx, calls, batch); err == nil && reply != nil {
				_, _ = s.Write(reply) // it closes the connection where it fails
			}
		})
	}
}

func (s *socket) ping(ctx context.Context) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(pushTimeout)) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
