package ordering_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

const chainID = "ordo-test"

func key(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Append(nil, i))
	return ed25519.NewKeyFromSeed(seed[:])
}

func bundle(payer int, expiry uint64, data string) *order.Bundle {
	b := &order.Bundle{Expiry: expiry, FeeLimit: math.MaxUint64, Legs: []order.Leg{{
		RollupID: order.NewRollupID("alpha"), Transactions: [][]byte{[]byte(data)},
	}}}
	b.Sign(chainID, key(payer))
	return b
}

func rules(balance uint64) *ordering.Rules {
	return &ordering.Rules{
		Height: 10, Params: ordering.DefaultParams(), Verify: ordering.NewVerifier(chainID).Verify,
		Balance: func(order.Payer) uint64 { return balance },
		Fate:    ordering.NewWindow().Fate,
	}
}

func TestRunningTotalPerPayer(t *testing.T) {
	a, b, c := bundle(0, 20, "a"), bundle(0, 20, "large enough to cost more than the others do"), bundle(0, 20, "c")
	r := rules(0)
	r.Params.FeePerKilobyte = 1_000_000
	fee := r.Fee(a)
	r.Balance = func(order.Payer) uint64 { return 2 * fee }
	e, err := r.Evaluate(&order.Batch{Bundles: []*order.Bundle{a, b, c, bundle(1, 20, "d")}})
	require.NoError(t, err)
	require.Equal(t, []ordering.Drop{{Index: 1, ID: b.ID(chainID), Reason: ordering.DropFunds}}, e.Drops)
	require.Len(t, e.Block.Bundles, 3)
	require.EqualValues(t, 1, e.Block.Dropped)
	require.Len(t, e.Charges, 2)
	require.Less(t, string(e.Charges[0].Payer), string(e.Charges[1].Payer), "charged by address")
	owed := map[string]uint64{}
	for _, c := range e.Charges {
		owed[string(c.Payer)] = c.Amount
	}
	require.Equal(t, 2*fee, owed[string(ordering.Address(a.Payer))])
}

func TestFee(t *testing.T) {
	for _, tc := range []struct{ bytes, rate, want uint64 }{
		{0, 1000, 0}, {1, 1000, 1}, {1, 1, 1}, {1000, 1, 1}, {1001, 1, 2}, {999, 0, 0},
		{order.MaxBundleBytes, 1 << 40, 1152921504606847}, // the greatest there is: 2^60 / 1000, rounded up
	} {
		require.Equal(t, tc.want, ordering.Fee(tc.bytes, tc.rate), tc)
	}
}

func TestParams(t *testing.T) {
	require.NoError(t, ordering.ValidateParams(ordering.DefaultParams()))
	for name, edit := range map[string]func(*ordering.Params){
		"fee":          func(p *ordering.Params) { p.FeePerKilobyte = 1<<40 + 1 },
		"no expiry":    func(p *ordering.Params) { p.MaxExpiryBlocks = 0 },
		"long expiry":  func(p *ordering.Params) { p.MaxExpiryBlocks = 1<<20 + 1 },
		"no bundle":    func(p *ordering.Params) { p.MaxBundleBytes = 0 },
		"large bundle": func(p *ordering.Params) { p.MaxBundleBytes = order.MaxBundleBytes + 1 },
		"large batch":  func(p *ordering.Params) { p.MaxBatchBytes = order.MaxBatchBytes + 1 },
		"small batch":  func(p *ordering.Params) { p.MaxBatchBytes = p.MaxBundleBytes },
	} {
		p := ordering.DefaultParams()
		edit(&p)
		require.Error(t, ordering.ValidateParams(p), name)
	}
}

func TestVerifierRemembersOnlyGoodSignatures(t *testing.T) {
	v := ordering.NewVerifier(chainID)
	good, bad := bundle(0, 20, "x"), bundle(0, 20, "y")
	bad.Signature[3] ^= 1
	for range 2 {
		out, err := v.Verify(good)
		require.NoError(t, err)
		require.Equal(t, good.ID(chainID), out[0].ID)
		_, err = v.Verify(good, bad)
		require.ErrorIs(t, err, order.ErrSignature)
	}
	// The signature is part of what is remembered, not only what is signed.
	forged := *good
	forged.Signature[0] ^= 1
	_, err := v.Verify(&forged)
	require.ErrorIs(t, err, order.ErrSignature)
}

func TestDropsAreCanonical(t *testing.T) {
	drops := []ordering.Drop{{Index: 0, Reason: ordering.DropFunds}, {Index: 7, Reason: ordering.DropFunds}}
	raw := ordering.EncodeDrops(drops)
	require.Equal(t, "00000000010000000701", hex.EncodeToString(raw), "the encoding is part of the chain's results")
	got, err := ordering.DecodeDrops(raw, 8)
	require.NoError(t, err)
	require.Equal(t, drops, got)
	none, err := ordering.DecodeDrops(nil, 0)
	require.NoError(t, err)
	require.Empty(t, none)
	for name, bad := range map[string][]byte{
		"cut off":        raw[:7],
		"out of range":   ordering.EncodeDrops([]ordering.Drop{{Index: 8, Reason: ordering.DropFunds}}),
		"twice":          append(raw[:5:5], raw[:5]...),
		"out of order":   append(raw[5:10:10], raw[:5]...),
		"no reason":      {0, 0, 0, 0, 0},
		"unknown reason": {0, 0, 0, 0, 9},
	} {
		_, err := ordering.DecodeDrops(bad, 8)
		require.ErrorIs(t, err, ordering.ErrDrops, name)
	}
	require.Equal(t, "the payer's balance does not cover the fee", ordering.DropFunds.String())
}

func TestOutcome(t *testing.T) {
	a, b := bundle(0, 20, "a"), bundle(1, 20, "b")
	r := rules(0)
	rich := b.Payer
	r.Balance = func(p order.Payer) uint64 {
		if p == rich {
			return math.MaxUint64
		}
		return 0
	}
	batch := &order.Batch{Bundles: []*order.Bundle{a, b}}
	e, err := r.Evaluate(batch)
	require.NoError(t, err)
	txs := [][]byte{e.Block.Header().Encode(), ordering.EncodeInline(batch), []byte("an ordinary one")}
	results := []*abci.ExecTxResult{{}, {Data: ordering.EncodeDrops(e.Drops)}, {}}
	block, drops, err := ordering.Outcome(chainID, 10, txs, results)
	require.NoError(t, err)
	require.Equal(t, e.Drops, drops)
	require.Equal(t, e.Block.Commitment(), block.Commitment())
	require.Equal(t, b.ID(chainID), block.Bundles[0].ID)

	for name, bad := range map[string]struct {
		chain   string
		height  uint64
		txs     [][]byte
		results []*abci.ExecTxResult
	}{
		"no results":    {chainID, 10, txs, nil},
		"no batch":      {chainID, 10, txs[:1], results},
		"other height":  {chainID, 11, txs, results},
		"other chain":   {"other", 10, txs, results},
		"other drops":   {chainID, 10, txs, []*abci.ExecTxResult{{}, {}}},
		"broken header": {chainID, 10, [][]byte{{1}, txs[1]}, results},
		"broken batch":  {chainID, 10, [][]byte{txs[0], {9}}, results},
	} {
		_, _, err := ordering.Outcome(bad.chain, bad.height, bad.txs, bad.results)
		require.Error(t, err, name)
	}
}

// Evaluation does not depend on who evaluates, and never orders more than is paid for.
func TestEvaluationIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var batch order.Batch
		for i := range rapid.IntRange(0, 20).Draw(t, "bundles") {
			batch.Bundles = append(batch.Bundles, bundle(rapid.IntRange(0, 3).Draw(t, "payer"), rapid.Uint64Range(10, 610).Draw(t, "expiry"), fmt.Sprint(i)))
		}
		balance := rapid.Uint64Range(0, 1000).Draw(t, "balance")
		e, err := rules(balance).Evaluate(&batch)
		require.NoError(t, err)
		again, err := rules(balance).Evaluate(&batch)
		require.NoError(t, err)
		require.Equal(t, e.Block.Header(), again.Block.Header())
		require.Equal(t, e.Drops, again.Drops)
		require.Equal(t, e.Charges, again.Charges)
		require.Equal(t, len(batch.Bundles), len(e.Block.Bundles)+len(e.Drops))
		var paid, owed uint64
		for _, c := range e.Charges {
			require.LessOrEqual(t, c.Amount, balance)
			paid += c.Amount
		}
		for _, o := range e.Block.Bundles {
			owed += rules(0).Fee(o.Bundle)
		}
		require.Equal(t, owed, paid)
	})
}

func FuzzDecodeInline(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{ordering.KindInline})
	f.Add(ordering.EncodeInline(&order.Batch{Bundles: []*order.Bundle{bundle(0, 20, "a"), bundle(1, 20, "b")}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		batch, err := ordering.DecodeInline(raw)
		if err == nil {
			require.Equal(t, raw, ordering.EncodeInline(batch), "one encoding for each batch")
		}
	})
}

func FuzzDecodeDrops(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(ordering.EncodeDrops([]ordering.Drop{{Index: 3, Reason: ordering.DropFunds}}), 4)
	f.Fuzz(func(t *testing.T, raw []byte, bundles int) {
		drops, err := ordering.DecodeDrops(raw, bundles)
		if err == nil {
			require.Equal(t, string(raw), string(ordering.EncodeDrops(drops)))
		}
	})
}
