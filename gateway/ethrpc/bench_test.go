package ethrpc_test

import (
	"context"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/ordo-network/ordo/execution/evm"
)

// BenchmarkSendRawTransaction is the door alone, over HTTP, with blocks made
// meanwhile: the clients wait for the hash only.
func BenchmarkSendRawTransaction(b *testing.B) {
	r := start(b)
	r.run()
	txs := make([][]*types.Transaction, len(evm.DevAccounts))
	for i := range b.N {
		account := i % len(txs)
		txs[account] = append(txs[account], transfer(account, uint64(len(txs[account])), func(tx *types.DynamicFeeTx) { tx.GasFeeCap = big.NewInt(5_000_000_000) }))
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	var refused atomic.Int64
	for _, mine := range txs {
		wg.Go(func() {
			client, err := ethclient.Dial("http://" + r.url)
			if err != nil {
				b.Error(err)
				return
			}
			defer client.Close()
			for _, tx := range mine {
				for client.SendTransaction(context.Background(), tx) != nil {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	b.ReportMetric(float64(refused.Load()), "refused")
}
