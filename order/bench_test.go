package order_test

import (
	"fmt"
	"testing"

	"github.com/ordo-network/ordo/order"
)

// sized returns a signed bundle of one leg with about that many bytes of 110-byte transactions.
func sized(i, bytes int) *order.Bundle {
	var txs [][]byte
	for left := bytes; left > 0; left -= 110 {
		tx := make([]byte, min(110, left))
		tx[0], tx[len(tx)-1] = byte(i), byte(left)
		txs = append(txs, tx)
	}
	b := &order.Bundle{Expiry: uint64(i) + 1, FeeLimit: 1000, Legs: []order.Leg{{RollupID: rollup(i % 1000), Transactions: txs}}}
	b.Sign(chainID, owner(1), key(byte(i)))
	return b
}

var sizes = []int{250, 100_000}

func BenchmarkDocument(b *testing.B) {
	for _, size := range sizes {
		bundle := sized(1, size)
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(bundle.Size()))
			b.ReportAllocs()
			for b.Loop() {
				bundle.Document(chainID)
			}
		})
	}
}

func BenchmarkDecodeBundle(b *testing.B) {
	for _, size := range sizes {
		raw := sized(1, size).Encode()
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := order.DecodeBundle(raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify reports the cost of one bundle of 250 bytes.
func BenchmarkVerify(b *testing.B) {
	var summaries []order.BundleSummary
	for i := range 1024 {
		summaries = append(summaries, sized(i, 250).Summary())
	}
	for _, n := range []int{1, 8, 64, 1024} {
		b.Run(fmt.Sprintf("batch-%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				order.VerifySummaries(chainID, owner(1), summaries[:n])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/bundle")
		})
	}
}

// BenchmarkBlock is 10,000 legs over 1,000 rollups.
func BenchmarkBlock(b *testing.B) {
	var bundles []*order.Bundle
	for i := range 10_000 {
		bundles = append(bundles, sized(i, 250))
	}
	list := ordered(bundles...)
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			order.NewBlock(1, list, 0, order.Times{})
		}
	})
	blk := order.NewBlock(1, list, 0, order.Times{})
	b.Run("rollup", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			blk.Rollup(rollup(i % 1000))
			i++
		}
	})
	recs, proof := records(b, blk, rollup(0))
	b.Run("verify-namespace", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := blk.Commitment().VerifyNamespace(rollup(0), recs, proof); err != nil {
				b.Fatal(err)
			}
		}
	})
}
