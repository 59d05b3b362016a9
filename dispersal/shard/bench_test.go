package shard_test

import (
	"fmt"
	"testing"

	"github.com/ordo-network/ordo/dispersal/shard"
)

// benchmark runs f for the shapes and sizes that matter. MB/s are bytes of the
// batch, whatever its shards add up to.
func benchmark(b *testing.B, f func(b *testing.B, l *shard.Layout, batch []byte)) {
	for _, set := range []struct {
		name    string
		holders []shard.Holder
	}{{"4", equal(4)}, {"7", equal(7)}, {"16", equal(16)}, {"100", equal(100)}, {"zipf100", zipf(100)}} {
		l := layout(b, set.holders)
		for _, size := range []int{128 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", set.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				f(b, l, stream("batch", size))
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	benchmark(b, func(b *testing.B, l *shard.Layout, batch []byte) {
		var c shard.Coded
		for b.Loop() {
			if err := c.Encode(l, batch); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Verify: what all validators together do for one batch.
func BenchmarkVerify(b *testing.B) {
	benchmark(b, func(b *testing.B, l *shard.Layout, batch []byte) {
		c := encode(b, l, batch)
		var shares []*shard.Share
		for _, run := range l.All {
			shares = append(shares, share(b, c, run.First, run.Count))
		}
		for b.Loop() {
			for _, s := range shares {
				if err := l.Verify(c.Root(), len(batch), s); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func benchmarkRebuild(b *testing.B, first func(l *shard.Layout) int) {
	benchmark(b, func(b *testing.B, l *shard.Layout, batch []byte) {
		c := encode(b, l, batch)
		var shares []*shard.Share
		for i := range l.DataShards() {
			shares = append(shares, share(b, c, first(l)+i, 1))
		}
		var r shard.Rebuilder
		for b.Loop() {
			if _, err := rebuild(b, &r, l, c.Root(), len(batch), shares); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Rebuild from data shards alone, nothing to decode; and from parity alone.
func BenchmarkRebuildFromData(b *testing.B) {
	benchmarkRebuild(b, func(*shard.Layout) int { return 0 })
}

func BenchmarkRebuildFromParity(b *testing.B) {
	benchmarkRebuild(b, func(l *shard.Layout) int { return l.TotalShards() - l.DataShards() })
}

func BenchmarkNewLayout(b *testing.B) {
	h := zipf(150)
	for b.Loop() {
		layout(b, h)
	}
}
