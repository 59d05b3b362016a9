package shard

import (
	"math/rand/v2"
	"testing"

	"lukechampine.com/blake3"
)

// TestLeaf compares a leaf with the library's own hash at all lengths around those at which BLAKE3's
// tree changes its shape: of a block, of a chunk, of a group, of whatever power of two groups.
func TestLeaf(t *testing.T) {
	t.Parallel()
	b := make([]byte, 2*MaxBatchBytes)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	check := func(from, n int) {
		if got, want := leaf(b[from:from+n]), Hash(blake3.Sum256(b[from:from+n])); got != want {
			t.Fatalf("leaf of %d bytes is %x, want %x", n, got, want)
		}
	}
	for _, unit := range []int{64, 1 << 10, 4 << 10, 16 << 10, 32 << 10, 48 << 10, 64 << 10, 80 << 10, 512 << 10, MaxBatchBytes} {
		for n := unit - 2; n <= unit+2; n++ {
			check(unit%7, n)
		}
	}
	for range 200 {
		check(rng.IntN(100), 1+rng.IntN(300<<10))
	}
	// The empty input, from the BLAKE3 team's test vectors.
	if got := leaf(nil); got[0] != 0xaf || got[31] != 0x62 {
		t.Fatalf("leaf of nothing is %x", got)
	}
}

func BenchmarkLeaf(b *testing.B) {
	shard := make([]byte, 512<<10)
	b.SetBytes(int64(len(shard)))
	for b.Loop() {
		leaf(shard)
	}
}
