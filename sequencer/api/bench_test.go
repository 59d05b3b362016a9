package api_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// BenchmarkStream reads blocks that are full for one rollup: 32 batches of 1 MiB, each
// rebuilt from shards once.
func BenchmarkStream(b *testing.B) {
	c := newTestChain(b, 4)
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	const blocks = 4
	for range blocks {
		var certs []*order.Certificate
		for range 32 {
			var bundles []*order.Bundle
			for range 4 {
				bundle := &order.Bundle{Expiry: 99, Legs: []order.Leg{{RollupID: alpha}}}
				for range 1024 {
					tx := make([]byte, 250)
					_, _ = rand.Read(tx[:120]) // a signature, a hash, numbers
					bundle.Legs[0].Transactions = append(bundle.Legs[0].Transactions, tx)
				}
				bundle.Sign(chainID, laneOwner, key)
				bundles = append(bundles, bundle)
			}
			certs = append(certs, c.disperse(bundles, &order.Batch{Bundles: bundles}))
		}
		c.commitCertified(certs)
	}
	url, _ := serve(b, c, nil)
	b.ResetTimer()
	bytes := int64(0)
	for range b.N {
		stream, err := client(url).SubscribeRollup(b.Context(), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
		if err != nil {
			b.Fatal(err)
		}
		for range blocks {
			for _, l := range nextBlock(b, stream).Legs {
				bytes += int64(l.Record.Length)
			}
		}
		_ = stream.Close()
	}
	b.SetBytes(bytes / int64(b.N))
}
