package order

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Owner names who a lane belongs to: the account address of a validator's operator.
type Owner [20]byte

// OwnerFromBytes copies 20 bytes into an Owner and refuses any other length.
func OwnerFromBytes(b []byte) (Owner, error) {
	var o Owner
	if len(b) != len(o) {
		return o, fmt.Errorf("owner has %d bytes, want %d", len(b), len(o))
	}
	copy(o[:], b)
	return o, nil
}

// String returns the owner in lower-case hex, without prefix.
func (o Owner) String() string { return hex.EncodeToString(o[:]) }

// Compare orders owners by their bytes.
func (o Owner) Compare(p Owner) int { return bytes.Compare(o[:], p[:]) }

// Mark is a place in a lane. Sessions and sequences count from 1; the zero mark is
// before everything.
type Mark struct{ Session, Sequence uint64 }

// Compare orders marks as the lane goes.
func (m Mark) Compare(n Mark) int {
	return cmp.Or(cmp.Compare(m.Session, n.Session), cmp.Compare(m.Sequence, n.Sequence))
}

// String names the mark for people.
func (m Mark) String() string { return fmt.Sprintf("%d/%d", m.Session, m.Sequence) }

// Position is a place in one of the lanes.
type Position struct {
	Owner Owner
	Mark
}

// Compare orders positions by owner, then as the lane goes.
func (p Position) Compare(q Position) int {
	return cmp.Or(p.Owner.Compare(q.Owner), p.Mark.Compare(q.Mark))
}

// String names the position for people.
func (p Position) String() string { return p.Owner.String() + "/" + p.Mark.String() }

// append writes owner, session and sequence as fields from num on.
func (p Position) append(b []byte, num protowire.Number) []byte {
	b = appendBytes(b, num, p.Owner[:])
	b = appendUint(b, num+1, p.Session)
	return appendUint(b, num+2, p.Sequence)
}

func (f *fields) position(num protowire.Number) Position {
	var p Position
	copy(p.Owner[:], f.bytes(num, len(p.Owner)))
	p.Session, p.Sequence = f.uint(num+1), f.uint(num+2)
	return p
}

func (p Position) validate() error {
	if p.Session == 0 || p.Sequence == 0 {
		return fmt.Errorf("position %s: sessions and sequences count from 1: %w", p, ErrInvalid)
	}
	return nil
}

// LaneState is where a lane stands on the chain: its last batch ordered, and that
// batch's order time.
type LaneState struct {
	Mark
	OrderTime uint64 // in milliseconds since the Unix epoch
}

// Takes reports whether the batch of that header is the lane's next: the next of its
// session, or the first of a later session that goes on from here.
func (m Mark) Takes(h *BatchHeader) bool {
	if h.Session == m.Session {
		return h.Sequence == m.Sequence+1
	}
	return h.Session > m.Session && h.Sequence == 1 && h.After == m
}
