package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// ErrFrame is returned for bytes that are no frame or no message: whoever sent them
// does not speak this protocol.
var ErrFrame = errors.New("not a message of this protocol")

// Type says what a frame's body is.
type Type uint8

// The types of messages. The bodies of requests and replies begin with 8 bytes that name
// the request.
const (
	TypePing Type = 1 + iota // nothing: the sender is alive
	TypeDisperse
	TypeAttest
	TypeRefuse
	TypeCertificate
	TypeTips
	TypePull         // request
	TypeCertificates // reply
	TypeGetShare     // request
	TypeShare        // reply
	TypeNotFound     // reply
	typeEnd
)

var typeNames = [typeEnd]string{
	TypePing: "ping", TypeDisperse: "disperse", TypeAttest: "attest", TypeRefuse: "refuse", TypeCertificate: "certificate", TypeTips: "tips",
	TypePull: "pull", TypeCertificates: "certificates", TypeGetShare: "get_share", TypeShare: "share", TypeNotFound: "not_found",
}

// String names the type in metrics and logs.
func (t Type) String() string {
	if t < typeEnd && typeNames[t] != "" {
		return typeNames[t]
	}
	return "unknown"
}

// bulk types wait behind urgent ones.
func (t Type) bulk() bool { return t == TypeDisperse || t == TypeShare || t == TypeCertificates }

func (t Type) reply() bool { return t == TypeCertificates || t == TypeShare || t == TypeNotFound }

// MaxCertificatesBytes bounds the certificates of one reply, each counted with the 4
// bytes of its length.
const MaxCertificatesBytes = 1 << 20

const (
	headBytes    = 5 // type, length
	requestBytes = 8
)

// bound is the largest body of the type, given the largest share; false for a type
// that there is not.
func (t Type) bound(maxShare int) (int, bool) {
	switch t {
	case TypePing:
		return 0, true
	case TypeDisperse:
		return 4 + maxSignedBatchBytes + maxShare, true
	case TypeAttest:
		return attestBytes, true
	case TypeRefuse:
		return refuseBytes, true
	case TypeCertificate:
		return order.MaxCertificateBytes, true
	case TypeTips:
		return maxTipsBytes, true
	case TypePull:
		return pullBytes, true
	case TypeCertificates:
		return requestBytes + MaxCertificatesBytes, true
	case TypeGetShare:
		return getShareBytes, true
	case TypeShare:
		return requestBytes + 4 + maxSignedBatchBytes + maxShare, true
	case TypeNotFound:
		return requestBytes, true
	}
	return 0, false
}

// parseHead reads a frame's head and holds its length against the bound.
func parseHead(head [headBytes]byte, maxShare int) (Type, int, error) {
	t, n := Type(head[0]), binary.BigEndian.Uint32(head[1:])
	bound, ok := t.bound(maxShare)
	if !ok {
		return 0, 0, fmt.Errorf("frame of type %d: %w", head[0], ErrFrame)
	}
	if uint64(n) > uint64(bound) {
		return 0, 0, fmt.Errorf("%v of %d bytes, want at most %d: %w", t, n, bound, ErrFrame)
	}
	return t, int(n), nil
}

func appendHead(b []byte, t Type, body int) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(t)), uint32(body))
}

// Frame is a message received. Whoever it is handed to calls Release once, after
// which neither it nor what aliases Body may be used, and Settle before that, if at all.
type Frame struct {
	Type Type
	Body []byte

	buf  []byte
	held *budget
}

// Memory is what the frame takes of it, in bytes.
func (f *Frame) Memory() int { return len(f.buf) }

// Settle gives the peer leave to send more, while the frame's memory is in use for another purpose,
// and bounded by that. Release is still to be called.
func (f *Frame) Settle() {
	if f.held != nil {
		f.held.release(charge(len(f.buf)))
		f.held = nil
	}
}

// Release gives the frame's memory back, and the peer leave to send more.
func (f *Frame) Release() {
	f.Settle()
	f.Body = nil
	if c := class(len(f.buf)); c >= 0 {
		frames[c].Put(f)
	}
}

// Frames are pooled by the power of two of their size.
const (
	minClass = 9
	maxClass = 24
)

var frames [maxClass + 1]sync.Pool

// class is the pool of buffers of that size, or -1.
func class(size int) int {
	c := max(minClass, bits.Len(uint(max(size, 1)-1)))
	if c > maxClass {
		return -1
	}
	return c
}

// rounded is the memory taken for a body of that size.
func rounded(size int) int {
	if c := class(size); c >= 0 {
		return 1 << c
	}
	return size
}

// charge is what a frame of that memory counts in a peer's budget: each costs its
// handling, a goroutine perhaps, beside its bytes.
func charge(size int) int { return max(size, 16<<10) }

func newFrame(t Type, size int) *Frame {
	f := (*Frame)(nil)
	if c := class(size); c >= 0 {
		f, _ = frames[c].Get().(*Frame)
	}
	if f == nil {
		f = &Frame{buf: make([]byte, rounded(size))}
	}
	f.Type, f.Body = t, f.buf[:size:size]
	return f
}

// readFrame reads a body whose head was read.
func readFrame(r io.Reader, t Type, size int, held *budget) (*Frame, error) {
	f := newFrame(t, size)
	f.held = held
	if _, err := io.ReadFull(r, f.Body); err != nil {
		f.Release()
		return nil, err
	}
	return f, nil
}
