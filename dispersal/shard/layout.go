package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/reedsolomon"
)

const (
	// MaxHolders bounds the validators that hold shards.
	MaxHolders = 200
	// MaxShards bounds the shards of one batch.
	MaxShards = 1024
	// MaxKeyBytes bounds the key of a validator.
	MaxKeyBytes = 64
	// MaxBatchBytes bounds a batch.
	MaxBatchBytes = 2 << 20

	// maxMatrixShards is where the code changes. Multiplying by a matrix over
	// GF(2^8) costs time in proportion to the number of parity shards: for few it
	// runs at the speed of memory, at 128 it takes as long as hashing the shards.
	// Leopard over GF(2^16) hardly depends on the number, but its decoder and its
	// tables cost half a millisecond and 75 MB, which small networks need not pay.
	maxMatrixShards = 128
	// leopardUnit is what Leopard needs the size of a shard to be a multiple of.
	leopardUnit = 64
	// totalCost is the number of shards that is as bad as doubling the overhead.
	// More shards fit unequal stakes better, but each costs hashing and a proof.
	totalCost = 3072
)

// ErrHolders is returned for a validator set that no layout can be made from.
var ErrHolders = errors.New("not a valid set of shard holders")

// Holder is a validator that holds shards, as NewLayout takes it.
type Holder struct {
	// Key names the validator for as long as the layout is used: 1 to MaxKeyBytes
	// bytes, no two alike.
	Key []byte
	// Stake of 0 means no shards, as if the validator were not there.
	Stake int64
}

// Range is a run of shard indexes.
type Range struct {
	First, Count int
}

// Layout says how batches are coded and who holds which shard. It is computed
// once for each epoch's validator set and does not change; many goroutines may
// use one.
type Layout struct {
	n       int // the N of the package comment
	data    int // k
	total   int // T
	holders []Holder
	ranges  []Range // of holders
	digest  Hash
	code    reedsolomon.Encoder
}

// NewLayout assigns shards by stake. The order of the holders does not matter.
// Stakes must not be negative, and their sum must be in 1 .. 2^63-1.
// Errors: ErrHolders.
func NewLayout(holders []Holder) (*Layout, error) {
	holders, stake, err := canonical(holders)
	if err != nil {
		return nil, err
	}
	l := &Layout{holders: holders, ranges: make([]Range, len(holders))}
	l.n, l.data = choose(holders, stake)
	for i, h := range holders {
		l.ranges[i] = Range{First: l.total, Count: portion(l.n, h.Stake, stake)}
		l.total += l.ranges[i].Count
	}
	l.digest = l.hash()
	// One goroutine for each batch: validators code many batches side by side. The
	// cache of inverted matrices is off for it grows with each set of shards seen,
	// and peers choose which these are.
	options := []reedsolomon.Option{
		reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false), reedsolomon.WithLeopardGF16(l.leopard()),
	}
	if l.code, err = reedsolomon.New(l.data, l.total-l.data, options...); err != nil {
		return nil, fmt.Errorf("make code of %d shards from %d: %w", l.total, l.data, err)
	}
	return l, nil
}

// canonical returns the holders that have stake, by key, and the sum of their stakes.
func canonical(in []Holder) ([]Holder, uint64, error) {
	var holders []Holder
	var stake uint64
	for _, h := range in {
		switch {
		case len(h.Key) == 0 || len(h.Key) > MaxKeyBytes:
			return nil, 0, fmt.Errorf("key of %d bytes, want 1 to %d: %w", len(h.Key), MaxKeyBytes, ErrHolders)
		case h.Stake < 0:
			return nil, 0, fmt.Errorf("validator %x has a stake of %d, want 0 or more: %w", h.Key, h.Stake, ErrHolders)
		case h.Stake == 0:
			continue
		}
		if stake += uint64(h.Stake); stake > math.MaxInt64 {
			return nil, 0, fmt.Errorf("stakes add up to more than %d: %w", math.MaxInt64, ErrHolders)
		}
		holders = append(holders, Holder{Key: bytes.Clone(h.Key), Stake: h.Stake})
	}
	if len(holders) == 0 || len(holders) > MaxHolders {
		return nil, 0, fmt.Errorf("%d validators with stake, want 1 to %d: %w", len(holders), MaxHolders, ErrHolders)
	}
	slices.SortFunc(holders, func(a, b Holder) int { return bytes.Compare(a.Key, b.Key) })
	for i := range holders[1:] {
		if bytes.Equal(holders[i].Key, holders[i+1].Key) {
			return nil, 0, fmt.Errorf("validator %x is named twice: %w", holders[i].Key, ErrHolders)
		}
	}
	return holders, stake, nil
}

// portion is ceil(n*stake/all). stake is at most all, so the quotient fits.
func portion(n int, stake int64, all uint64) int {
	hi, lo := bits.Mul64(uint64(n), uint64(stake))
	q, r := bits.Div64(hi, lo, all)
	if r > 0 {
		q++
	}
	return int(q)
}

// choose returns N and k such that T/k * (totalCost+T) is least; among equals the
// smallest T, then the largest N, which makes N the number of validators where
// all have the same stake. N = 1 always fits: it gives everyone one shard.
func choose(holders []Holder, stake uint64) (n, data int) {
	var total int
	for next := 1; ; next++ {
		sum := 0
		for _, h := range holders {
			sum += portion(next, h.Stake, stake)
		}
		if sum > MaxShards {
			return n, data // T never falls as N rises
		}
		k := next/3 + 1
		ours, best := sum*(totalCost+sum)*data, total*(totalCost+total)*k
		if n == 0 || ours < best || ours == best && sum == total {
			n, data, total = next, k, sum
		}
	}
}

const layoutDomain = "ordo/shard-layout/v1\x00"

func (l *Layout) hash() Hash {
	b := append([]byte(nil), layoutDomain...)
	b = l.appendShape(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.holders)))
	for i, h := range l.holders {
		b = append(b, byte(len(h.Key)))
		b = append(b, h.Key...)
		b = binary.BigEndian.AppendUint64(b, uint64(h.Stake))
		b = binary.BigEndian.AppendUint32(b, uint32(l.ranges[i].First))
		b = binary.BigEndian.AppendUint32(b, uint32(l.ranges[i].Count))
	}
	return sha256.Sum256(b)
}

func (l *Layout) appendShape(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(l.n))
	b = binary.BigEndian.AppendUint32(b, uint32(l.data))
	return binary.BigEndian.AppendUint32(b, uint32(l.total))
}

// N is the number that each validator has its part of, rounded up.
func (l *Layout) N() int { return l.n }

// DataShards is k, the number of shards that rebuild a batch.
func (l *Layout) DataShards() int { return l.data }

// TotalShards is T, the number of shards of a batch.
func (l *Layout) TotalShards() int { return l.total }

// Digest names the layout: two differ in it if they differ in anything.
func (l *Layout) Digest() Hash { return l.digest }

// Range returns the shards that the validator with that key holds. A validator
// without stake, or one that is not known, holds none: its Count is 0.
func (l *Layout) Range(key []byte) Range {
	i, ok := slices.BinarySearchFunc(l.holders, key, func(h Holder, key []byte) int { return bytes.Compare(h.Key, key) })
	if !ok {
		return Range{}
	}
	return l.ranges[i]
}

// All calls yield with each holder, by key, and the shards that it holds: together
// all of them, in ascending order. Neither may be changed.
func (l *Layout) All(yield func(Holder, Range) bool) {
	for i, h := range l.holders {
		if !yield(h, l.ranges[i]) {
			return
		}
	}
}

// ShardSize returns the length in bytes of each shard of a batch of that many
// bytes, which must be in 1 .. MaxBatchBytes.
func (l *Layout) ShardSize(batchBytes int) int {
	size := (batchBytes + l.data - 1) / l.data
	if l.leopard() {
		size = (size + leopardUnit - 1) / leopardUnit * leopardUnit
	}
	return size
}

func (l *Layout) leopard() bool { return l.total > maxMatrixShards }
