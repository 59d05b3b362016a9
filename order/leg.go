package order

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// RollupID names a rollup: the SHA-256 of its name. Anyone may use one without
// asking. The zero ID is refused everywhere: it is the mark of an unset field.
type RollupID [32]byte

// NewRollupID returns the ID of the rollup of that name.
func NewRollupID(name string) RollupID { return sha256.Sum256([]byte(name)) }

// RollupIDFromBytes copies 32 bytes into a RollupID and refuses any other length, and zero.
func RollupIDFromBytes(b []byte) (RollupID, error) {
	var id RollupID
	if len(b) != len(id) {
		return id, fmt.Errorf("rollup ID has %d bytes, want %d", len(b), len(id))
	}
	copy(id[:], b)
	if id == (RollupID{}) {
		return id, fmt.Errorf("rollup ID is zero")
	}
	return id, nil
}

// String returns the ID in lower-case hex, without prefix.
func (id RollupID) String() string { return hex.EncodeToString(id[:]) }

// Digest is a SHA-256 value: a leg's Merkle root, a block's hash.
type Digest [32]byte

// String returns the digest in lower-case hex, without prefix.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Leg is a list of opaque transactions for one rollup. None is empty.
type Leg struct {
	RollupID     RollupID
	Transactions [][]byte
}

// LegSummary stands for a leg where its data is not at hand. The payer signs it.
type LegSummary struct {
	RollupID RollupID
	Digest   Digest
	Length   uint64 // of the leg's canonical encoding, in bytes: gives the bundle's size without its data
	Count    uint64 // number of transactions
}

// Summary hashes the leg.
func (l Leg) Summary() LegSummary {
	return LegSummary{
		RollupID: l.RollupID, Digest: LegDigest(l.Transactions),
		Length: uint64(l.size()), Count: uint64(len(l.Transactions)),
	}
}

func (l Leg) size() int {
	n := sizeBytes(1, len(l.RollupID))
	for _, tx := range l.Transactions {
		n += sizeBytes(2, len(tx))
	}
	return n
}

func (l Leg) append(b []byte) []byte {
	b = appendBytes(b, 1, l.RollupID[:])
	for _, tx := range l.Transactions {
		b = appendBytes(b, 2, tx)
	}
	return b
}

func decodeLeg(b []byte) (Leg, error) {
	f := fields{buf: b}
	var l Leg
	copy(l.RollupID[:], f.bytes(1, len(l.RollupID)))
	// Counted first, so that the list is allocated once and never past the bound.
	n := f.count(2, MaxLegTransactions)
	if n > MaxLegTransactions {
		return l, fmt.Errorf("more than %d transactions: %w", MaxLegTransactions, ErrInvalid)
	}
	l.Transactions = make([][]byte, n)
	for i := range l.Transactions {
		l.Transactions[i], _ = f.element(2)
	}
	return l, f.end()
}

func (l Leg) validate() error {
	if l.RollupID == (RollupID{}) {
		return fmt.Errorf("rollup ID is zero: %w", ErrInvalid)
	}
	if len(l.Transactions) == 0 {
		return fmt.Errorf("no transactions: %w", ErrInvalid)
	}
	if len(l.Transactions) > MaxLegTransactions {
		return fmt.Errorf("%d transactions, at most %d: %w", len(l.Transactions), MaxLegTransactions, ErrInvalid)
	}
	for i, tx := range l.Transactions {
		if len(tx) == 0 {
			return fmt.Errorf("transaction %d is empty: %w", i, ErrInvalid)
		}
	}
	return nil
}

func (s LegSummary) size() int {
	return sizeBytes(1, len(s.RollupID)) + sizeBytes(2, len(s.Digest)) + sizeUint(3, s.Length) + sizeUint(4, s.Count)
}

func (s LegSummary) append(b []byte) []byte {
	b = appendBytes(b, 1, s.RollupID[:])
	b = appendBytes(b, 2, s.Digest[:])
	b = appendUint(b, 3, s.Length)
	return appendUint(b, 4, s.Count)
}
