package app_test

import (
	"context"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cosmos/gogoproto/proto"
	"github.com/stretchr/testify/require"

	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// query asks the application as a client does.
func query[R proto.Message](c *chain, path string, req proto.Message, res R) R {
	c.t.Helper()
	raw, err := proto.Marshal(req)
	require.NoError(c.t, err)
	answer, err := c.abci.Query(context.Background(), &abci.RequestQuery{Path: path, Data: raw})
	require.NoError(c.t, err)
	require.Zero(c.t, answer.Code, answer.Log)
	require.NoError(c.t, proto.Unmarshal(answer.Value, res))
	return res
}

func (c *chain) balance(addr sdk.AccAddress) uint64 {
	res := query(c, "/cosmos.bank.v1beta1.Query/Balance",
		&banktypes.QueryBalanceRequest{Address: addr.String(), Denom: ordering.Denom}, new(banktypes.QueryBalanceResponse))
	return res.Balance.Amount.Uint64()
}

// tx signs messages with the key as the next transaction of its account.
func (c *chain) tx(key cryptotypes.PrivKey, gas uint64, ahead int, msgs ...sdk.Msg) []byte {
	addr := sdk.AccAddress(key.PubKey().Address())
	info := query(c, "/cosmos.auth.v1beta1.Query/AccountInfo",
		&authtypes.QueryAccountInfoRequest{Address: addr.String()}, new(authtypes.QueryAccountInfoResponse)).Info
	enc := c.app.Encoding()
	b := enc.TxConfig.NewTxBuilder()
	require.NoError(c.t, b.SetMsgs(msgs...))
	b.SetGasLimit(gas)
	b.SetFeeAmount(sdk.NewCoins(app.Coin(1000)))
	require.NoError(c.t, app.SignTx(enc, b, chainID, key, info.AccountNumber, info.Sequence+uint64(ahead)))
	raw, err := enc.TxConfig.TxEncoder()(b.GetTx())
	require.NoError(c.t, err)
	return raw
}

func sdkKey(i int) *ed25519.PrivKey { return &ed25519.PrivKey{Key: payer(i)} }

func (c *chain) transferGas(from int, to sdk.AccAddress, uordo, gas uint64) []byte {
	return c.tx(sdkKey(from), gas, 0, banktypes.NewMsgSend(payerAddress(from), to, sdk.NewCoins(app.Coin(uordo))))
}

func (c *chain) transfer(from int, to sdk.AccAddress, uordo uint64) []byte {
	return c.transferGas(from, to, uordo, 200_000)
}

func (c *chain) broadcast(raw []byte) {
	c.t.Helper()
	res, err := c.abci.CheckTx(context.Background(), &abci.RequestCheckTx{Tx: raw})
	require.NoError(c.t, err)
	require.Zero(c.t, res.Code, res.Log)
}

func TestFeesReachValidators(t *testing.T) {
	c := newChain(t)
	b := c.bundle(0, func(b *order.Bundle) {
		b.Legs[0].Transactions, b.FeeLimit = [][]byte{make([]byte, 100_000)}, funds
	})
	fee := ordering.Fee(uint64(b.Size()), ordering.DefaultParams().FeePerKilobyte)
	c.submit(b)
	c.submit(c.bundle(0, data("second")))
	c.submit(c.bundle(1, data("third")))
	small := ordering.Fee(uint64(c.bundle(0, data("second")).Size()), ordering.DefaultParams().FeePerKilobyte)
	out := c.block()
	require.Len(t, out.block.Bundles, 3)
	require.EqualValues(t, funds-fee-small, c.balance(payerAddress(0)))
	require.Less(t, c.balance(payerAddress(1)), uint64(funds))
	c.block()
	rewards := query(c, "/cosmos.distribution.v1beta1.Query/ValidatorOutstandingRewards",
		&distrtypes.QueryValidatorOutstandingRewardsRequest{ValidatorAddress: sdk.ValAddress(operator(0).PubKey().Address()).String()},
		new(distrtypes.QueryValidatorOutstandingRewardsResponse))
	got := rewards.Rewards.Rewards.AmountOf(ordering.Denom).TruncateInt().Uint64()
	require.Greater(t, got, fee*4/10, "half of the validators get about half of the fees")
}

func TestPayerTakesItsMoneyBack(t *testing.T) {
	c := newChain(t)
	home := sdk.AccAddress(operator(0).PubKey().Address())
	before := c.balance(home)
	c.broadcast(c.transfer(0, home, funds/2))
	out := c.block()
	require.Len(t, out.txs, 3)
	require.Zero(t, out.res.TxResults[2].Code, out.res.TxResults[2].Log)
	require.Equal(t, before+funds/2, c.balance(home))
	require.EqualValues(t, funds/2-1000, c.balance(payerAddress(0)))
}

// The transaction is executed after the bundles of the same block, and only the
// next block sees that the payer has become poor.
func TestPayerThatCannotPayIsDropped(t *testing.T) {
	c := newChain(t)
	first, second := c.bundle(0, data("first")), c.bundle(0, data("second"))
	fee := ordering.Fee(uint64(first.Size()), ordering.DefaultParams().FeePerKilobyte)
	// Two batches of one payer, of which its balance covers one bundle.
	c.broadcast(c.transfer(0, payerAddress(1), funds-1000-fee))
	c.block()
	require.Equal(t, fee, c.balance(payerAddress(0)))
	out := c.apply(c.batchOf([]*order.Bundle{first, second}, []int{1}))
	require.Len(t, out.block.Bundles, 1)
	require.Equal(t, []ordering.Drop{{Index: 1, ID: second.ID(chainID), Reason: ordering.DropFunds}}, out.drops)
	require.Zero(t, c.balance(payerAddress(0)))

	// Dropped is for good, though the payer has money again.
	c.broadcast(c.transfer(1, payerAddress(0), 10*fee))
	c.block()
	require.Equal(t, 10*fee, c.balance(payerAddress(0)))
	out = c.apply(c.batchOf([]*order.Bundle{second}, []int{0}))
	require.Equal(t, []ordering.Drop{{Index: 0, ID: second.ID(chainID), Reason: ordering.DropDuplicate}}, out.drops)
	require.Equal(t, 10*fee, c.balance(payerAddress(0)))
	_, err := c.app.Pool().Submit(context.Background(), second.Encode())
	require.ErrorIs(t, err, ordering.ErrDropped)
	_, err = c.app.Pool().Submit(context.Background(), first.Encode())
	require.ErrorIs(t, err, ordering.ErrAlreadyOrdered)
}

// What was certified before the payer's money went away is dropped in public, and the
// bundles beside it are ordered.
func TestUnpaidBundleIsDroppedInPublic(t *testing.T) {
	c := newChain(t)
	id := c.submit(c.bundle(0, data("mine")))
	other := c.submit(c.bundle(1, data("other")))
	c.disperse()
	c.apply(c.layout(nil, nil, c.transfer(0, payerAddress(1), funds-1000)))
	require.True(t, c.app.Pool().Has(id))
	out := c.block()
	require.Len(t, out.block.Bundles, 1)
	require.Equal(t, other, out.block.Bundles[0].ID)
	require.Equal(t, []ordering.Drop{{Index: 0, ID: id, Reason: ordering.DropFunds}}, out.drops)
	require.False(t, c.app.Pool().Has(id))
}

// What was not yet certified then does not go into a batch.
func TestUnpaidBundleStaysOut(t *testing.T) {
	c := newChain(t)
	id := c.submit(c.bundle(0, data("mine")))
	other := c.submit(c.bundle(1, data("other")))
	c.apply(c.layout(nil, nil, c.transfer(0, payerAddress(1), funds-1000)))
	out := c.block()
	require.Len(t, out.block.Bundles, 1)
	require.Equal(t, other, out.block.Bundles[0].ID)
	require.Empty(t, out.drops)
	require.True(t, c.app.Pool().Has(id))
	c.broadcast(c.transfer(1, payerAddress(0), 10_000))
	require.Empty(t, c.block().block.Bundles, "the money comes with this block")
	require.Equal(t, id, c.block().block.Bundles[0].ID)
}

// Attesters do not take in what the last committed state does not pay for.
func TestAfford(t *testing.T) {
	c := newChain(t)
	summary := func(b *order.Bundle) []order.BundleSummary { return []order.BundleSummary{b.Summary()} }
	c.block()
	require.NoError(t, c.app.Afford(summary(c.bundle(0, nil))))
	err := c.app.Afford(summary(c.bundle(funded, nil)))
	require.ErrorIs(t, err, ordering.ErrUnpaid)
	require.NotErrorIs(t, err, lane.ErrBundles, "somebody may send it money")
	for _, edit := range []func(*order.Bundle){
		func(b *order.Bundle) { b.FeeLimit = 1 }, func(b *order.Bundle) { b.Expiry = uint64(c.height) },
		func(b *order.Bundle) { b.FeeLimit, b.Legs[0].Transactions = funds, [][]byte{make([]byte, 300<<10)} },
	} {
		require.ErrorIs(t, c.app.Afford(summary(c.bundle(0, edit))), lane.ErrBundles)
	}
	c.broadcast(c.transfer(0, payerAddress(funded), 10_000))
	c.block()
	require.NoError(t, c.app.Afford(summary(c.bundle(funded, nil))))
}

func TestTransactionsOfOneBlock(t *testing.T) {
	c := newChain(t)
	send := banktypes.NewMsgSend(payerAddress(0), payerAddress(1), sdk.NewCoins(app.Coin(1)))
	for i := range 3 {
		c.broadcast(c.tx(sdkKey(0), 100_000, i, send))
	}
	again := c.tx(sdkKey(0), 100_000, 0, send)
	res, err := c.abci.CheckTx(context.Background(), &abci.RequestCheckTx{Tx: append(again, 0)})
	require.NoError(t, err)
	require.NotZero(t, res.Code)
	out := c.block()
	require.Len(t, out.txs, 5)
	for _, r := range out.res.TxResults {
		require.Zero(t, r.Code, r.Log)
	}
	require.True(t, c.app.Pool().Empty())
}

// A transaction that waits leaves the pool when a block makes it fail.
func TestTransactionsAreCheckedAgain(t *testing.T) {
	c := newChain(t)
	c.broadcast(c.transfer(0, payerAddress(1), 1))
	c.apply(c.layout(nil, nil, c.transfer(0, payerAddress(1), 2))) // same sequence number
	require.True(t, c.app.Pool().Empty())
}

func TestGovernanceChangesParams(t *testing.T) {
	c := newChain(t)
	params := ordering.DefaultParams()
	params.FeePerKilobyte = 7777
	gov := authtypes.NewModuleAddress(govtypes.ModuleName)

	// Nobody else may.
	direct := &orderingv1.MsgUpdateParams{Authority: payerAddress(0).String(), Params: &params}
	out := c.apply(c.layout(nil, nil, c.tx(sdkKey(0), 200_000, 0, direct)))
	require.NotZero(t, out.res.TxResults[2].Code)

	update := &orderingv1.MsgUpdateParams{Authority: gov.String(), Params: &params}
	proposal, err := govv1.NewMsgSubmitProposal([]sdk.Msg{update}, sdk.NewCoins(app.Coin(50_000_000)), payerAddress(0).String(), "", "fee", "raise the fee", true)
	require.NoError(t, err)
	c.broadcast(c.tx(sdkKey(0), 500_000, 0, proposal))
	out = c.block()
	require.Zero(t, out.res.TxResults[2].Code, out.res.TxResults[2].Log)
	for i := range 2 {
		c.broadcast(c.tx(operator(i), 500_000, 0, govv1.NewMsgVote(sdk.AccAddress(operator(i).PubKey().Address()), 1, govv1.OptionYes, "")))
	}
	out = c.block()
	require.Zero(t, out.res.TxResults[2].Code, out.res.TxResults[2].Log)
	c.time = c.time.Add(3 * 60 * 1e9)
	c.block()
	res := query(c, "/ordo.ordering.v1.Query/Params", &orderingv1.QueryParamsRequest{}, new(orderingv1.QueryParamsResponse))
	require.Equal(t, params, *res.Params)
	fee := query(c, "/ordo.ordering.v1.Query/Fee", &orderingv1.QueryFeeRequest{Bytes: 1001}, new(orderingv1.QueryFeeResponse))
	require.EqualValues(t, 7785, fee.Fee) // 1001 * 7777 / 1000, rounded up
	c.submit(c.bundle(0, func(b *order.Bundle) { b.FeeLimit = funds }))
	require.Len(t, c.block().block.Bundles, 1)
}
