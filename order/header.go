package order

import "fmt"

// HeaderVersion is the version of the ordering header that this code reads and writes.
const HeaderVersion = 2

// Header is transaction 0 of each block: small, so that a follower gets from the
// CometBFT header's data hash to the commitment by a short path.
type Header struct {
	Version    uint64
	Height     uint64
	Commitment Commitment
	Bundles    uint64 // ordered
	Legs       uint64 // ordered
	Dropped    uint64 // bundles carried and not ordered
	Bytes      uint64 // canonical bytes of the bundles ordered
	Times      Times
}

// Times are the order times of a block's first and last batch, in milliseconds
// since the Unix epoch. Both are 0 in a block without batches.
type Times struct{ First, Last uint64 }

// Encode returns the canonical encoding.
func (h Header) Encode() []byte {
	b := make([]byte, 0, 160)
	b = appendUint(b, 1, h.Version)
	b = appendUint(b, 2, h.Height)
	b = appendBytes(b, 3, h.Commitment[:])
	b = appendUint(b, 4, h.Bundles)
	b = appendUint(b, 5, h.Legs)
	b = appendUint(b, 6, h.Dropped)
	b = appendUint(b, 7, h.Bytes)
	b = appendUint(b, 8, h.Times.First)
	return appendUint(b, 9, h.Times.Last)
}

// DecodeHeader decodes an ordering header. The version is looked at first: of a
// version that this code does not know it says so, whatever follows.
// Errors: ErrEncoding.
func DecodeHeader(raw []byte) (Header, error) {
	f := fields{buf: raw}
	var h Header
	h.Version = f.uint(1)
	if f.err == nil && h.Version != HeaderVersion {
		return Header{}, fmt.Errorf("ordering header of version %d, this software knows %d: %w", h.Version, HeaderVersion, ErrEncoding)
	}
	h.Height = f.uint(2)
	copy(h.Commitment[:], f.bytes(3, len(h.Commitment)))
	h.Bundles = f.uint(4)
	h.Legs = f.uint(5)
	h.Dropped = f.uint(6)
	h.Bytes = f.uint(7)
	h.Times = Times{First: f.uint(8), Last: f.uint(9)}
	if err := f.end(); err != nil {
		return Header{}, fmt.Errorf("decode ordering header: %w", err)
	}
	return h, nil
}
