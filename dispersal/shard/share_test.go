package shard_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ordo-network/ordo/dispersal/shard"
)

// stream returns bytes that look random: SHA-256 of the seed and a counter.
func stream(seed string, n int) []byte {
	var out []byte
	for i := uint64(0); len(out) < n; i++ {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(seed), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func encode(t testing.TB, l *shard.Layout, batch []byte) *shard.Coded {
	t.Helper()
	var c shard.Coded
	if err := c.Encode(l, batch); err != nil {
		t.Fatal(err)
	}
	return &c
}

func share(t testing.TB, c *shard.Coded, first, count int) *shard.Share {
	t.Helper()
	s, err := c.Share(shard.Range{First: first, Count: count})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every run of shards verifies, and travels.
func TestShares(t *testing.T) {
	t.Parallel()
	for _, h := range [][]shard.Holder{equal(1), equal(4), equal(7), whale(4), zipf(7)} {
		l := layout(t, h)
		for _, size := range []int{1, l.DataShards(), l.DataShards() + 1, 1000} {
			c := encode(t, l, stream("batch", size))
			for first := range l.TotalShards() {
				for count := 1; count <= min(l.N(), l.TotalShards()-first); count++ {
					s := share(t, c, first, count)
					raw := s.Append(nil)
					if s.Size() != len(raw) {
						t.Fatalf("size is %d, the encoding has %d bytes", s.Size(), len(raw))
					}
					got, err := shard.DecodeShare(raw)
					if err != nil {
						t.Fatal(err)
					}
					if err := l.Verify(c.Root(), size, got); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestShareRefused(t *testing.T) {
	t.Parallel()
	const size = 1000
	l := layout(t, zipf(7))
	c := encode(t, l, stream("batch", size))
	good := share(t, c, 3, 2)
	other := func(change func(*shard.Share)) *shard.Share {
		s := &shard.Share{First: good.First, Shards: slices.Clone(good.Shards), Proof: slices.Clone(good.Proof)}
		change(s)
		return s
	}
	check := func(name string, l *shard.Layout, root shard.Root, size int, s *shard.Share) {
		t.Helper()
		if err := l.Verify(root, size, s); !errors.Is(err, shard.ErrShare) {
			t.Errorf("%s: %v", name, err)
		}
		var r shard.Rebuilder
		if err := r.Reset(l, root, size); err != nil {
			t.Fatal(err)
		}
		if err := r.Add(s); !errors.Is(err, shard.ErrShare) {
			t.Errorf("%s, to the rebuilder: %v", name, err)
		}
	}
	for i := range good.Shards {
		check("a bit of a shard", l, c.Root(), size, other(func(s *shard.Share) { s.Shards[i] ^= 1 << (i % 8) }))
	}
	for i := range good.Proof {
		check("a bit of the proof", l, c.Root(), size, other(func(s *shard.Share) { s.Proof[i] ^= 1 << (i % 8) }))
	}
	for _, first := range []int{0, 1, 2, 4, 5, l.TotalShards() - 2, l.TotalShards() - 1, l.TotalShards(), -1, math.MaxInt, math.MinInt} {
		check("another index", l, c.Root(), size, other(func(s *shard.Share) { s.First = first }))
	}
	half := len(good.Shards) / 2
	for name, change := range map[string]func(*shard.Share){
		"no shard":       func(s *shard.Share) { s.Shards = nil },
		"one fewer":      func(s *shard.Share) { s.Shards = s.Shards[:half] },
		"cut off":        func(s *shard.Share) { s.Shards = s.Shards[:half+1] },
		"one more":       func(s *shard.Share) { s.Shards = append(s.Shards, s.Shards[:half]...) },
		"swapped":        func(s *shard.Share) { s.Shards = append(s.Shards[half:], s.Shards[:half]...) },
		"more than N":    func(s *shard.Share) { s.First, s.Shards = 0, make([]byte, (l.N()+1)*half) },
		"no proof":       func(s *shard.Share) { s.Proof = nil },
		"cut off proof":  func(s *shard.Share) { s.Proof = s.Proof[:len(s.Proof)-1] },
		"proof of more":  func(s *shard.Share) { s.Proof = append(s.Proof, 0) },
		"one more node":  func(s *shard.Share) { s.Proof = append(s.Proof, s.Proof[:32]...) },
		"one fewer node": func(s *shard.Share) { s.Proof = s.Proof[32:] },
	} {
		check(name, l, c.Root(), size, other(change))
	}

	// The same shards under another shape.
	check("a byte less", l, c.Root(), size-1, good)
	check("another layout of the same shape", layout(t, func() []shard.Holder { h := zipf(7); h[0].Stake++; return h }()), c.Root(), size, good)
	check("another root", l, shard.Root(c.TreeRoot()), size, good)
	if l.ShardSize(size) != l.ShardSize(size-1) {
		t.Error("the shape must not differ in the size of shards alone")
	}
	for _, size := range []int{0, -1, shard.MaxBatchBytes + 1, math.MaxInt, math.MinInt} {
		if err := l.Verify(c.Root(), size, good); !errors.Is(err, shard.ErrLength) {
			t.Errorf("batch of %d bytes: %v", size, err)
		}
	}
}

func TestShareRange(t *testing.T) {
	t.Parallel()
	l := layout(t, zipf(7))
	c := encode(t, l, stream("batch", 100))
	for _, run := range []shard.Range{{}, {0, -1}, {-1, 1}, {0, l.N() + 1}, {l.TotalShards(), 1}, {l.TotalShards() - 1, 2}, {math.MaxInt, 1}, {math.MinInt, 1}} {
		if _, err := c.Share(run); !errors.Is(err, shard.ErrShare) {
			t.Errorf("%+v: %v", run, err)
		}
	}
	if _, err := new(shard.Coded).Share(shard.Range{First: 0, Count: 1}); !errors.Is(err, shard.ErrShare) {
		t.Errorf("of nothing: %v", err)
	}
}

func TestDecodeShareRefuses(t *testing.T) {
	t.Parallel()
	l := layout(t, equal(7))
	c := encode(t, l, stream("batch", 90))
	zero, three := share(t, c, 0, 1).Append(nil), share(t, c, 3, 1).Append(nil)
	for name, raw := range map[string][]byte{
		"empty":            {},
		"index 0 written":  append([]byte{0x08, 0x00}, zero...),
		"long varint":      append([]byte{0x08, 0x83, 0x00}, three[2:]...),
		"index too large":  append(protowire.AppendVarint([]byte{0x08}, shard.MaxShards), three[2:]...),
		"index huge":       append(protowire.AppendVarint([]byte{0x08}, math.MaxUint64), three[2:]...),
		"index alone":      {0x08, 0x03},
		"tag alone":        {0x08},
		"no shards":        {0x12, 0x00},
		"shards cut off":   three[:20],
		"shards of 2^63":   append([]byte{0x12}, protowire.AppendVarint(nil, 1<<63)...),
		"proof of 0 bytes": {0x12, 0x01, 0x01, 0x1a, 0x00},
		"proof of 31":      append([]byte{0x12, 0x01, 0x01, 0x1a, 31}, make([]byte, 31)...),
		"proof too long":   protowire.AppendBytes([]byte{0x12, 0x01, 0x01, 0x1a}, make([]byte, 21*32)),
		"unknown field":    append(slices.Clone(three), 0x20, 0x01),
		"fields swapped":   append(slices.Clone(three[2:]), three[:2]...),
		"wrong type":       {0x0a, 0x01, 0x01},
		"too large":        make([]byte, shard.MaxShareBytes+1),
	} {
		if _, err := shard.DecodeShare(raw); !errors.Is(err, shard.ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The largest share that a validator can hold is within the bound.
func TestMaxShareBytes(t *testing.T) {
	t.Parallel()
	batch := stream("largest", shard.MaxBatchBytes)
	for name, h := range map[string][]shard.Holder{"alone": equal(1), "three": equal(3), "whale of 4": whale(4), "whale of 150": whale(150)} {
		l := layout(t, h)
		c := encode(t, l, batch)
		for v, run := range l.All {
			raw := share(t, c, run.First, run.Count).Append(nil)
			s, err := shard.DecodeShare(raw)
			if err != nil {
				t.Fatalf("%s, %s, %d bytes: %v", name, v.Key, len(raw), err)
			}
			if err := l.Verify(c.Root(), len(batch), s); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func FuzzDecodeShare(f *testing.F) {
	l := layout(f, zipf(7))
	c := encode(f, l, stream("batch", 333))
	for _, run := range [][2]int{{0, 1}, {3, 2}, {l.TotalShards() - 1, 1}} {
		f.Add(share(f, c, run[0], run[1]).Append(nil))
	}
	f.Add([]byte{0x12, 0x01, 0x01})
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add(bytes.Repeat([]byte{0x12, 0x01, 0x00}, 50))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := shard.DecodeShare(raw)
		if err != nil {
			if !errors.Is(err, shard.ErrEncoding) {
				t.Fatalf("not classified: %v", err)
			}
			return
		}
		if again := s.Append(nil); !bytes.Equal(again, raw) {
			t.Fatalf("took %x, writes %x", raw, again)
		}
		if err := l.Verify(c.Root(), 333, s); err == nil {
			if size := l.ShardSize(333); !bytes.Equal(s.Shards[:size], c.Shard(s.First)) {
				t.Fatalf("a share that was never made: %x", raw)
			}
		} else if !errors.Is(err, shard.ErrShare) {
			t.Fatalf("not classified: %v", err)
		}
	})
}
