package app_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/types/tx"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// CometBFT's connections are not locked against each other: while blocks are made,
// bundles and transactions come in and clients ask.
func TestConnectionsDoNotDisturbEachOther(t *testing.T) {
	c := newChain(t)
	ctx := context.Background()
	var bundles [][]byte
	for i := range 120 {
		bundles = append(bundles, c.bundle(i%funded, func(b *order.Bundle) {
			b.Expiry, b.Legs[0].Transactions = 100, [][]byte{fmt.Append(nil, i)}
		}).Encode())
	}
	send := c.transfer(1, payerAddress(2), 7)
	simulate, err := proto.Marshal(&tx.SimulateRequest{TxBytes: send})
	require.NoError(t, err)
	balance, err := proto.Marshal(&banktypes.QueryBalanceRequest{Address: payerAddress(0).String(), Denom: ordering.Denom})
	require.NoError(t, err)

	done := make(chan struct{})
	var wg sync.WaitGroup
	loop := func(f func(i int)) {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					f(i)
				}
			}
		})
	}
	loop(func(i int) { _, _ = c.app.Pool().Submit(ctx, bundles[i%len(bundles)]) })
	loop(func(i int) {
		// Bundles do not come from peers.
		res, err := c.abci.InsertTx(ctx, &abci.RequestInsertTx{Tx: append([]byte{1}, bundles[i%len(bundles)]...)})
		if err != nil || res.Code == abci.CodeTypeOK || res.Code == abci.CodeTypeRetry {
			t.Error(err, res)
		}
	})
	loop(func(int) { _, _ = c.abci.CheckTx(ctx, &abci.RequestCheckTx{Tx: send}) })
	loop(func(int) { _, _ = c.abci.ReapTxs(ctx, &abci.RequestReapTxs{MaxBytes: 10_000}) })
	loop(func(int) {
		res, err := c.abci.Query(ctx, &abci.RequestQuery{Path: "/cosmos.bank.v1beta1.Query/Balance", Data: balance})
		if err != nil || res.Code != 0 {
			t.Error(err, res)
		}
	})
	loop(func(int) {
		// It fails from the block on that has the transaction: its sequence number is used up.
		_, _ = c.abci.Query(ctx, &abci.RequestQuery{Path: "/cosmos.tx.v1beta1.Service/Simulate", Data: simulate})
	})
	ordered := 0
	for c.height < 40 || ordered < len(bundles) {
		ordered += len(c.block().block.Bundles)
		require.Less(t, c.height, int64(100))
	}
	close(done)
	wg.Wait()
	require.Equal(t, len(bundles), ordered)
}
