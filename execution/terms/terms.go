// Package terms is what the first transaction of a leg may be, in place of one for the
// rollup: conditions under which the leg is applied. In comes the transaction, out come
// the conditions. The order knows nothing of them: to it they are opaque bytes like any
// other, covered by the leg's digest, so nobody can take them off or put them on.
//
// A leg with terms is applied as one: all its transactions are, and none reverts but
// those that may; else it leaves no trace. What always holds: one value has one encoding,
// and no transaction of Ethereum begins as terms do (EIP-2718 keeps 0xff free).
package terms

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	// magic begins terms of every version: a rollup node that does not know a version
	// applies nothing of the leg, for the user asked for conditions.
	magic   = "\xffordo"
	version = 1

	hashLen  = 32
	fixedLen = len(magic) + 1 + 1 + 4*8 // version, flags, four numbers

	allOrNothing = 1 // flag
)

const (
	// MaxMayRevert bounds the transactions that may revert.
	MaxMayRevert = 256
	// MaxBytes bounds an encoding.
	MaxBytes = fixedLen + MaxMayRevert*hashLen
)

// ErrInvalid is wrapped by every refusal of terms.
var ErrInvalid = errors.New("terms are not valid")

// Terms are the conditions. The zero value asks only that the leg is applied as one.
type Terms struct {
	// AllOrNothing hangs the leg on the other legs of its bundle: all are applied or none.
	AllOrNothing bool
	// MinBlock and MaxBlock bound the number of the rollup's block; 0 is no bound.
	MinBlock, MaxBlock uint64
	// MinTime and MaxTime bound the time of the rollup's block, in Unix seconds; 0 is no
	// bound.
	MinTime, MaxTime uint64
	// MayRevert are the hashes of transactions of the leg that may revert, as the rollup
	// hashes transactions; at most MaxMayRevert. Their order means nothing.
	MayRevert [][hashLen]byte
}

// Check reports terms that Decode would refuse, for whoever makes some. Errors: ErrInvalid.
func (t Terms) Check() error {
	switch {
	case t.MaxBlock != 0 && t.MinBlock > t.MaxBlock:
		return fmt.Errorf("%w: the first block allowed, %d, is after the last, %d", ErrInvalid, t.MinBlock, t.MaxBlock)
	case t.MaxTime != 0 && t.MinTime > t.MaxTime:
		return fmt.Errorf("%w: the first second allowed, %d, is after the last, %d", ErrInvalid, t.MinTime, t.MaxTime)
	case len(t.MayRevert) > MaxMayRevert:
		return fmt.Errorf("%w: %d transactions may revert, at most %d", ErrInvalid, len(t.MayRevert), MaxMayRevert)
	}
	return nil
}

// Encode returns the terms as a transaction.
func (t Terms) Encode() []byte {
	hashes := slices.Clone(t.MayRevert)
	slices.SortFunc(hashes, compare)
	hashes = slices.Compact(hashes)

	out := make([]byte, 0, fixedLen+len(hashes)*hashLen)
	out = append(out, magic...)
	var flags byte
	if t.AllOrNothing {
		flags |= allOrNothing
	}
	out = append(out, version, flags)
	for _, n := range []uint64{t.MinBlock, t.MaxBlock, t.MinTime, t.MaxTime} {
		out = binary.BigEndian.AppendUint64(out, n)
	}
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

// Decode reads a transaction. It is none of terms where is is false. What begins as terms
// do and is not well formed is terms with an error: the leg must not be applied.
// MayRevert comes sorted. Errors: ErrInvalid.
func Decode(tx []byte) (t Terms, is bool, err error) {
	if !Is(tx) {
		return Terms{}, false, nil
	}
	t, err = decode(tx)
	return t, true, err
}

// Is reports whether a transaction begins as terms do.
func Is(tx []byte) bool { return bytes.HasPrefix(tx, []byte(magic)) }

func decode(tx []byte) (t Terms, err error) {
	refuse := func(format string, args ...any) (Terms, error) {
		return Terms{}, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
	rest := tx[len(magic):]
	switch {
	case len(rest) == 0 || rest[0] != version:
		return refuse("of another version than %d", version)
	case len(tx) < fixedLen || (len(tx)-fixedLen)%hashLen != 0 || len(tx) > MaxBytes:
		return refuse("%d bytes, want %d and %d for each of at most %d transactions that may revert", len(tx), fixedLen, hashLen, MaxMayRevert)
	case rest[1]&^allOrNothing != 0:
		return refuse("unknown flags %#x", rest[1])
	}
	t.AllOrNothing = rest[1] == allOrNothing
	rest = rest[2:]
	for _, n := range []*uint64{&t.MinBlock, &t.MaxBlock, &t.MinTime, &t.MaxTime} {
		*n, rest = binary.BigEndian.Uint64(rest), rest[8:]
	}
	for ; len(rest) > 0; rest = rest[hashLen:] {
		h := [hashLen]byte(rest)
		if n := len(t.MayRevert); n > 0 && compare(t.MayRevert[n-1], h) >= 0 {
			return refuse("the transactions that may revert do not rise")
		}
		t.MayRevert = append(t.MayRevert, h)
	}
	if err := t.Check(); err != nil {
		return Terms{}, err
	}
	return t, nil
}

// Allow reports why a leg under these terms must not be in a rollup block of that number
// and time in Unix seconds; nil where it may.
func (t Terms) Allow(block, time uint64) error {
	switch {
	case block < t.MinBlock:
		return fmt.Errorf("block %d is before the first, %d", block, t.MinBlock)
	case t.MaxBlock != 0 && block > t.MaxBlock:
		return fmt.Errorf("block %d is after the last, %d", block, t.MaxBlock)
	case time < t.MinTime:
		return fmt.Errorf("second %d is before the first, %d", time, t.MinTime)
	case t.MaxTime != 0 && time > t.MaxTime:
		return fmt.Errorf("second %d is after the last, %d", time, t.MaxTime)
	}
	return nil
}

// Tolerates reports whether a transaction may revert. MayRevert must be sorted, as
// Decode returns it.
func (t Terms) Tolerates(tx [hashLen]byte) bool {
	_, ok := slices.BinarySearchFunc(t.MayRevert, tx, compare)
	return ok
}

func compare(a, b [hashLen]byte) int { return bytes.Compare(a[:], b[:]) }
