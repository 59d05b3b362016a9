package gateway

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/ordo-network/ordo/order"
)

// errRecord is returned for bytes that this code did not write.
var errRecord = errors.New("malformed record")

// bundleRecord is a live bundle on disk. Its bytes are rebuilt from those of its
// transactions, so that nothing is written twice, and signed anew for each sending.
type bundleRecord struct {
	seq      uint64
	id       order.BundleID
	payer    order.Payer
	expiry   uint64
	feeLimit uint64
	txs      []uint64
}

func encodeTx(e *entry) []byte {
	b := make([]byte, 0, 32+8+8+2+len(e.Sender)+len(e.Raw))
	b = append(b, e.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, millis(e.received))
	b = binary.BigEndian.AppendUint64(b, e.Nonce)
	b = appendString(b, e.Sender)
	return append(b, e.Raw...)
}

func decodeTx(v []byte) (*entry, error) {
	r := reader{buf: v}
	e := new(entry)
	copy(e.Hash[:], r.take(32))
	e.received = r.time()
	e.Nonce = r.uint()
	e.Sender = r.string()
	e.Raw = slices.Clone(r.buf)
	if r.bad || len(e.Raw) == 0 {
		return nil, errRecord
	}
	return e, nil
}

func encodeBundle(x *bundle) []byte {
	b := make([]byte, 0, 32+32+8+8+8*len(x.txs))
	b = append(b, x.id[:]...)
	b = append(b, x.payer[:]...)
	b = binary.BigEndian.AppendUint64(b, x.expiry)
	b = binary.BigEndian.AppendUint64(b, x.feeLimit)
	for _, e := range x.txs {
		b = binary.BigEndian.AppendUint64(b, e.seq)
	}
	return b
}

func decodeBundle(v []byte) (bundleRecord, error) {
	r := reader{buf: v}
	var b bundleRecord
	copy(b.id[:], r.take(32))
	copy(b.payer[:], r.take(32))
	b.expiry = r.uint()
	b.feeLimit = r.uint()
	for len(r.buf) > 0 && !r.bad {
		b.txs = append(b.txs, r.uint())
	}
	if r.bad {
		return b, errRecord
	}
	return b, nil
}

func encodeEnded(x *ended) []byte {
	b := make([]byte, 0, 32+1+32+8+8+8+2+len(x.Reason))
	b = append(b, x.hash[:]...)
	b = append(b, byte(x.Phase))
	b = append(b, x.Bundle[:]...)
	b = binary.BigEndian.AppendUint64(b, x.Height)
	b = binary.BigEndian.AppendUint64(b, millis(x.Received))
	b = binary.BigEndian.AppendUint64(b, millis(x.Ended))
	return appendString(b, x.Reason)
}

func decodeEnded(v []byte) (*ended, error) {
	r := reader{buf: v}
	x := new(ended)
	copy(x.hash[:], r.take(32))
	if p := r.take(1); !r.bad {
		x.Phase = Phase(p[0])
	}
	copy(x.Bundle[:], r.take(32))
	x.Height = r.uint()
	x.Received = r.time()
	x.Ended = r.time()
	x.Reason = r.string()
	if r.bad || len(r.buf) > 0 || x.Phase != PhaseDropped {
		return nil, errRecord
	}
	return x, nil
}

func encodeHeight(h uint64) []byte { return binary.BigEndian.AppendUint64(nil, h) }

func decodeHeight(v []byte) (uint64, error) {
	if len(v) != 8 {
		return 0, errRecord
	}
	return binary.BigEndian.Uint64(v), nil
}

func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

// appendString writes at most 65,535 bytes of the string, its length first.
func appendString(b []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// reader reads fixed-size fields; after a short read it only returns zeros.
type reader struct {
	buf []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.buf) < n {
		r.bad = true
		return nil
	}
	b := r.buf[:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) uint() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) time() time.Time {
	ms := r.uint()
	if ms > math.MaxInt64 {
		r.bad = true
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

func (r *reader) string() string {
	n := r.take(2)
	if n == nil {
		return ""
	}
	return string(r.take(int(binary.BigEndian.Uint16(n))))
}
