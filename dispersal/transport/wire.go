package transport

import (
	"bufio"
	"net"
	"sync"
	"time"
)

const (
	gatherBytes = 128 << 10
	readBytes   = 64 << 10
)

// wire lies between TLS and TCP. TLS writes a record of 16 KiB at a time and reads
// about as much; wire makes of many one system call.
type wire struct {
	net.Conn
	timeout time.Duration // of one write
	in      *bufio.Reader

	mu     sync.Mutex // TLS writes from the reading side, too
	gather bool       // hold writes back until flush
	out    []byte
}

func newWire(c net.Conn, timeout time.Duration) *wire {
	return &wire{Conn: c, timeout: timeout, in: bufio.NewReaderSize(c, readBytes)}
}

func (w *wire) Read(b []byte) (int, error) { return w.in.Read(b) }

func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.gather {
		return w.Conn.Write(b)
	}
	if len(w.out)+len(b) > gatherBytes {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	w.out = append(w.out, b...)
	return len(b), nil
}

// start begins to hold writes back: the handshake is over.
func (w *wire) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gather, w.out = true, make([]byte, 0, gatherBytes)
}

func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.send()
}

func (w *wire) send() error {
	if len(w.out) == 0 {
		return nil
	}
	if err := w.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	_, err := w.Conn.Write(w.out)
	w.out = w.out[:0]
	return err
}
