package follower

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
)

// BenchmarkNext measures verified blocks per second, from encoded bytes on.
func BenchmarkNext(b *testing.B) {
	for _, bc := range []struct{ validators, transactions int }{{4, 0}, {4, 200}, {100, 200}} {
		b.Run(fmt.Sprintf("validators=%d/transactions=%d", bc.validators, bc.transactions), func(b *testing.B) {
			c := newTestChain(testValidators(0, bc.validators))
			const height = 50
			var raw [height][]byte
			for h := range height {
				var bundles []*order.Bundle
				if bc.transactions > 0 {
					data := make([][]byte, bc.transactions)
					for i := range data {
						data[i] = noise(110)
					}
					bundles = []*order.Bundle{bundle(h, data, alpha), bundle(h, txs(h, 1), gamma)}
				}
				var err error
				if raw[h], err = proto.Marshal(c.append(bundles).rollupBlock(alpha)); err != nil {
					b.Fatal(err)
				}
			}
			now, trust := c.now(), c.trust(b)
			b.ResetTimer()
			for i := 0; i < b.N; {
				v := NewVerifier(alpha, trust, Options{})
				for h := 0; h < height && i < b.N; h, i = h+1, i+1 {
					rb, err := DecodeBlock(raw[h])
					if err != nil {
						b.Fatal(err)
					}
					if _, err := v.Next(rb, now); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}

// BenchmarkBlob measures packing and unpacking of 50 blocks with 200 transactions each.
func BenchmarkBlob(b *testing.B) {
	c := newTestChain(testValidators(0, 4))
	for h := range 50 {
		data := make([][]byte, 200)
		for i := range data {
			data[i] = append(noise(70), make([]byte, 40)...)
		}
		c.append([]*order.Bundle{bundle(h, data, alpha)})
	}
	packed := c.blob(b, 1, 50)
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			c.blob(b, 1, 50)
		}
		b.ReportMetric(float64(len(packed)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := unpack(packed, DefaultBlobLimits); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkFollower measures catching up over HTTP, the serving side included.
func BenchmarkFollower(b *testing.B) {
	c := newTestChain(testValidators(0, 4))
	c.grow(500)
	n := c.serve(b)
	f := newFollower(b, c.config(b, n))
	b.ResetTimer()
	for range b.N {
		follow(b, f, c, 1, 500)
	}
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "blocks/s")
}

// BenchmarkFirmReader measures catching up from a DA layer in memory: blocks of a rollup in
// blobs of 50, between blobs of garbage.
func BenchmarkFirmReader(b *testing.B) {
	for _, bc := range []struct{ validators, transactions int }{{4, 0}, {4, 200}, {100, 200}} {
		b.Run(fmt.Sprintf("validators=%d/transactions=%d", bc.validators, bc.transactions), func(b *testing.B) {
			c := newTestChain(testValidators(0, bc.validators))
			const height, each = 500, 50
			l := newTestLayer()
			size := 0
			for h := 1; h <= height; h++ {
				bundles := []*order.Bundle{bundle(h, txs(h, 1), gamma)}
				if bc.transactions > 0 {
					data := make([][]byte, bc.transactions)
					all := randomBytes(byte(h), 110*len(data))
					for i := range data {
						data[i] = append(all[110*i:110*i+70:110*i+70], make([]byte, 40)...)
					}
					bundles = append(bundles, bundle(h, data, alpha))
				}
				c.append(bundles)
				if h%each == 0 {
					raw := c.blob(b, h-each+1, h)
					size += len(raw)
					l.add(raw, []byte("garbage"))
				}
			}
			b.SetBytes(int64(size))
			b.ResetTimer()
			for range b.N {
				readFirm(b, newFirmReader(b, c.firmConfig(b, l)), c, Cursor{}, 1, height)
			}
			b.ReportMetric(float64(height*b.N)/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}

// BenchmarkCheckBlob measures what a claim costs a validator: 50 blocks with 200 transactions each.
func BenchmarkCheckBlob(b *testing.B) {
	c := newTestChain(testValidators(0, 4))
	for h := range 50 {
		data := make([][]byte, 200)
		all := randomBytes(byte(h), 110*len(data))
		for i := range data {
			data[i] = all[110*i : 110*(i+1)]
		}
		c.append([]*order.Bundle{bundle(h, data, alpha)})
	}
	raw := c.blob(b, 1, 50)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckBlob([][]byte{raw}, alpha, 1, 50, own(c)); err != nil {
			b.Fatal(err)
		}
	}
}
