package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ordo-network/ordo/order"
)

var (
	errReplaced = errors.New("replaced by a newer connection of the same peer")
	errTwice    = errors.New("the peer has connected at the same time")
	errPenalty  = errors.New("the peer broke the protocol a moment ago")
	errDone     = errors.New("the node is shutting down")
)

// Peer is a connection to another validator.
type Peer struct {
	Owner   order.Owner
	Address string // of the other end

	mesh   *Mesh
	key    Key
	wire   *wire
	tls    *tls.Conn
	queue  *queue
	ctx    context.Context // ends with the connection, its cause says why
	cancel context.CancelCauseFunc
	done   chan struct{} // everything has ended
	since  time.Time
	lesser bool // the one with the lesser owner made the connection

	mu       sync.Mutex
	last     uint64 // request
	requests map[uint64]chan *Frame
}

// Context ends with the connection.
func (p *Peer) Context() context.Context { return p.ctx }

// Send queues the message. It never blocks. Errors: ErrFull, ErrDisconnected.
func (p *Peer) Send(o Outgoing) error {
	if err := p.queue.add(o); err != nil {
		if errors.Is(err, ErrFull) {
			p.mesh.metrics.full.Inc()
		}
		o.done()
		return fmt.Errorf("send %v to %v: %w", o.Type, p.Owner, err)
	}
	return nil
}

// Room tells whether Send would take a message with that many bytes now: who is to make
// a large one asks first.
func (p *Peer) Room(t Type, bytes int) bool { return p.queue.room(t, bytes) }

// maxRequests bounds the replies that one peer owes.
const maxRequests = 1024

// Request sends the message, whose Head begins with requestBytes that are filled in
// here, and waits for the reply, which the caller releases. Errors: ErrFull,
// ErrDisconnected, the context's.
func (p *Peer) Request(ctx context.Context, o Outgoing) (*Frame, error) {
	reply := make(chan *Frame, 1)
	p.mu.Lock()
	if len(p.requests) >= maxRequests {
		p.mu.Unlock()
		o.done()
		return nil, fmt.Errorf("send %v to %v: %w", o.Type, p.Owner, ErrFull)
	}
	p.last++
	id := p.last
	p.requests[id] = reply
	p.mu.Unlock()
	binary.BigEndian.PutUint64(o.Head, id)
	err := p.Send(o)
	if err == nil {
		select {
		case f := <-reply:
			return f, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-p.ctx.Done():
			err = ErrDisconnected
		}
		err = fmt.Errorf("ask %v: %w", p.Owner, err)
	}
	p.mu.Lock()
	delete(p.requests, id)
	p.mu.Unlock()
	select {
	case f := <-reply: // it came while we gave up
		f.Release()
	default:
	}
	return nil, err
}

// answer hands a reply to who waits for it. A late one is dropped.
func (p *Peer) answer(f *Frame) error {
	if len(f.Body) < requestBytes {
		defer f.Release()
		return fmt.Errorf("%v of %d bytes, want at least %d: %w", f.Type, len(f.Body), requestBytes, ErrFrame)
	}
	id := binary.BigEndian.Uint64(f.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	reply, ok := p.requests[id]
	if !ok {
		f.Release()
		return nil
	}
	delete(p.requests, id)
	reply <- f // has room for it
	return nil
}

// Punish ends the connection to a peer that does not keep to the protocol, and leaves it
// out for a while: each of its messages costs checking. It does not wait.
func (p *Peer) Punish(why error) {
	p.mesh.mu.Lock()
	p.mesh.out[p.Owner] = time.Now().Add(p.mesh.opts.Limits.Penalty)
	p.mesh.mu.Unlock()
	p.close(why)
}

// close ends the connection. It does not wait.
func (p *Peer) close(why error) {
	p.cancel(why)
	// Frames say where they end, so TLS need not: its close would wait for the peer.
	_ = p.wire.Close()
}

// serve runs the connection until it ends.
func (p *Peer) serve() {
	var running sync.WaitGroup
	running.Go(func() { p.close(p.write()) })
	p.mesh.opts.Handler.Connected(p)
	if err := p.read(); errors.Is(err, ErrFrame) {
		p.Punish(err)
	} else {
		p.close(err)
	}
	p.queue.close()
	running.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, reply := range p.requests {
		delete(p.requests, id)
		select {
		case f := <-reply:
			f.Release()
		default:
		}
	}
}

// read hands frames to the handler, in order.
func (p *Peer) read() error {
	m, limits := p.mesh, p.mesh.opts.Limits
	held := newBudget(limits.PeerBytes)
	bytes, messages := newBucket(limits.BytesPerSecond, m.opts.Now), newBucket(limits.MessagesPerSecond, m.opts.Now)
	in := bufio.NewReaderSize(p.tls, 16<<10)
	for {
		var head [headBytes]byte
		if err := p.await(in, head[:]); err != nil {
			return err
		}
		t, size, err := parseHead(head, m.current().MaxShare)
		if err != nil {
			return err
		}
		m.metrics.received.WithLabelValues(t.String()).Add(float64(headBytes + size))
		// A peer above its rate is read more slowly, until its own queue is full.
		if err := pause(p.ctx, max(messages.take(1), bytes.take(float64(headBytes+size)))); err != nil {
			return err
		}
		if t == TypePing {
			continue
		}
		if err := held.acquire(p.ctx, charge(rounded(size))); err != nil {
			return err
		}
		if err := p.wire.SetReadDeadline(time.Now().Add(limits.IdleTimeout)); err != nil {
			return err
		}
		f, err := readFrame(in, t, size, held)
		if err != nil {
			return fmt.Errorf("read %v: %w", t, err)
		}
		if t.reply() {
			if err := p.answer(f); err != nil {
				return err
			}
			continue
		}
		m.opts.Handler.Handle(p, f)
	}
}

// await reads a frame's head, which may take as long as a peer may be silent.
func (p *Peer) await(in io.Reader, head []byte) error {
	if err := p.wire.SetReadDeadline(time.Now().Add(p.mesh.opts.Limits.IdleTimeout)); err != nil {
		return err
	}
	if _, err := io.ReadFull(in, head); err != nil {
		return fmt.Errorf("wait for a frame: %w", err)
	}
	return nil
}

// write sends what is queued, and a ping where nothing is.
func (p *Peer) write() error {
	// Small messages share a TLS record; what is larger than one goes past the buffer.
	out := bufio.NewWriterSize(p.tls, 16<<10)
	idle := time.NewTimer(p.mesh.opts.Limits.PingInterval)
	defer idle.Stop()
	var batch []Outgoing
	for {
		batch = p.queue.take(batch[:0])
		if len(batch) == 0 {
			if err := p.flush(out); err != nil {
				return err
			}
			idle.Reset(p.mesh.opts.Limits.PingInterval)
			select {
			case <-p.queue.wake:
			case <-idle.C:
				if err := writeMessage(out, &Outgoing{Type: TypePing}); err != nil {
					return fmt.Errorf("write ping: %w", err)
				}
			case <-p.ctx.Done():
				return context.Cause(p.ctx)
			}
			continue
		}
		var err error
		for i := range batch {
			if err == nil {
				if err = writeMessage(out, &batch[i]); err == nil {
					p.mesh.metrics.sent.WithLabelValues(batch[i].Type.String()).Add(float64(batch[i].size()))
				}
			}
			batch[i].done()
		}
		clear(batch)
		if err != nil {
			return fmt.Errorf("write messages: %w", err)
		}
	}
}

func (p *Peer) flush(out *bufio.Writer) error {
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write messages: %w", err)
	}
	if err := p.wire.flush(); err != nil {
		return fmt.Errorf("write messages: %w", err)
	}
	return nil
}

func writeMessage(out *bufio.Writer, o *Outgoing) error {
	var scratch [headBytes]byte
	if _, err := out.Write(appendHead(scratch[:0], o.Type, len(o.Head)+len(o.Body))); err != nil {
		return err
	}
	if _, err := out.Write(o.Head); err != nil {
		return err
	}
	_, err := out.Write(o.Body)
	return err
}
