package astria_test

import (
	"testing"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// BenchmarkExecute is a block of ten transfers, by the embedded EVM alone and by one in
// another process.
func BenchmarkExecute(b *testing.B) {
	run := func(b *testing.B, c execution.Client) {
		s, err := c.Open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		var blocks []execution.Block
		for i := range b.N {
			block := sequencerBlock(uint64(i + 1))
			for n := range 10 {
				block.Transactions = append(block.Transactions, transfer(b, 0, uint64(10*i+n)))
			}
			blocks = append(blocks, block)
		}
		parent := s.Soft.Hash
		b.ResetTimer()
		for _, block := range blocks {
			res, err := c.Execute(b.Context(), parent, block)
			if err != nil {
				b.Fatal(err)
			}
			parent = res.Head.Hash
		}
	}
	b.Run("here", func(b *testing.B) {
		c, err := evm.New(evm.Config{DataDir: b.TempDir(), Genesis: evm.DevGenesis(chainID, nil), CacheMB: 16})
		if err != nil {
			b.Fatal(err)
		}
		run(b, c)
		if err := c.Close(); err != nil {
			b.Error(err)
		}
	})
	b.Run("elsewhere", func(b *testing.B) {
		run(b, dial(b, newHost(b, b.TempDir()).config()))
	})
}
