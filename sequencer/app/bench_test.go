package app_test

import (
	"fmt"
	"testing"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
)

// BenchmarkBlock makes blocks as a proposer does: prepare, check, execute, commit.
func BenchmarkBlock(b *testing.B) {
	for _, bundles := range []int{0, 100, 1000} {
		b.Run(fmt.Sprintf("bundles=%d", bundles), func(b *testing.B) {
			db, err := dbm.NewGoLevelDB("application", b.TempDir(), nil)
			require.NoError(b, err)
			c := startOn(b, newGenesis(b, 4), db, "")
			b.Cleanup(func() { _ = c.app.Close() })
			n := 0
			for b.Loop() {
				b.StopTimer()
				for range bundles {
					n++
					c.submit(c.bundle(n%funded, func(x *order.Bundle) {
						x.Legs[0].Transactions = [][]byte{fmt.Appendf(make([]byte, 110), "%d", n)}
					}))
				}
				c.disperse()
				b.StartTimer()
				require.Len(b, c.block().block.Bundles, bundles)
			}
		})
	}
}
