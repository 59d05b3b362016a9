package shard_test

import (
	"bytes"
	"testing"

	"github.com/ordo-network/ordo/dispersal/shard"
)

// field is GF(2^m) by the book: carry-less multiplication modulo a polynomial.
type field struct {
	bits, polynomial uint
}

func (f field) mul(a, b uint) (p uint) {
	for ; b > 0; b >>= 1 {
		if b&1 == 1 {
			p ^= a
		}
		if a <<= 1; a>>f.bits == 1 {
			a ^= f.polynomial
		}
	}
	return p
}

// inverse is a^(2^m-2).
func (f field) inverse(a uint) uint {
	p := uint(1)
	for range f.bits - 1 {
		a = f.mul(a, a)
		p = f.mul(p, a)
	}
	return p
}

// weights returns w with P(x) = sum of w[i]*P(at[i]) for polynomials P of degree
// below len(at): Lagrange's formula.
func (f field) weights(at []uint, x uint) []uint {
	w := make([]uint, len(at))
	for i := range at {
		num, den := uint(1), uint(1)
		for j := range at {
			if j != i {
				num, den = f.mul(num, x^at[j]), f.mul(den, at[i]^at[j])
			}
		}
		w[i] = f.mul(num, f.inverse(den))
	}
	return w
}

// The codes are what the specification says in two sentences: written here
// without tables, matrices or transforms, they give the same parity.
func TestMatrixCodeIsInterpolation(t *testing.T) {
	t.Parallel()
	f := field{bits: 8, polynomial: 0x11d}
	for _, h := range [][]shard.Holder{equal(2), equal(3), equal(4), equal(7), equal(16), zipf(16), equal(100)} {
		l := layout(t, h)
		c := encode(t, l, stream("batch", 10*l.DataShards()-3))
		at := make([]uint, l.DataShards())
		for i := range at {
			at[i] = uint(i)
		}
		for j := l.DataShards(); j < l.TotalShards(); j++ {
			want := make([]byte, len(c.Shard(j)))
			for i, w := range f.weights(at, uint(j)) {
				for b := range want {
					want[b] ^= byte(f.mul(w, uint(c.Shard(i)[b])))
				}
			}
			if !bytes.Equal(want, c.Shard(j)) {
				t.Fatalf("%d shards from %d: shard %d is %x, want %x", l.TotalShards(), l.DataShards(), j, c.Shard(j), want)
			}
		}
	}
}

func TestLeopardCodeIsInterpolation(t *testing.T) {
	t.Parallel()
	f := field{bits: 16, polynomial: 0x1002d}
	basis := []uint{
		0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
		0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
	}
	// element is the field's element for a symbol, symbol the way back.
	element := func(symbol uint) (e uint) {
		for i, b := range basis {
			if symbol>>i&1 == 1 {
				e ^= b
			}
		}
		return e
	}
	symbols := make([]uint, 1<<16)
	for s := range uint(1 << 16) {
		symbols[element(s)] = s
	}
	read := func(shard []byte, unit, i int) uint { return uint(shard[64*unit+i]) | uint(shard[64*unit+32+i])<<8 }

	for _, h := range [][]shard.Holder{equal(129), zipf(31), zipf(50)} {
		l := layout(t, h)
		k, parity := l.DataShards(), l.TotalShards()-l.DataShards()
		if l.TotalShards() <= 128 {
			t.Fatalf("only %d shards", l.TotalShards())
		}
		c := encode(t, l, stream("batch", 70*k)) // two units in each shard
		m := 1
		for m < parity {
			m *= 2
		}
		at := make([]uint, m)
		for i := range at {
			at[i] = element(uint(m + i))
		}
		for _, j := range []int{0, 1, 2, parity / 2, parity - 1} {
			weights := f.weights(at, element(uint(j)))
			for unit := range 2 {
				for _, i := range []int{0, 7, 31} {
					want := uint(0)
					for d := range k {
						want ^= f.mul(weights[d], element(read(c.Shard(d), unit, i)))
					}
					if got := read(c.Shard(k+j), unit, i); got != symbols[want] {
						t.Fatalf("%d shards from %d: symbol %d of parity shard %d is %04x, want %04x", l.TotalShards(), k, i, j, got, symbols[want])
					}
				}
			}
		}
	}
}
