package ordering_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

func TestRunningTotalPerPayer(t *testing.T) {
	a, b, c := bundle(0, 20, "a"), bundle(0, 20, "large enough to cost more than the others do"), bundle(0, 20, "c")
	g := newGroup(t, 0)
	r := g.rules(0)
	r.Params.FeePerKilobyte = 1_000_000
	s := a.Summary()
	fee := r.Fee(&s)
	r.Balance = func(order.Payer) uint64 { return 2 * fee }
	// One payer in two lanes: what it owes adds up over all of the block.
	e, err := r.Evaluate([]*order.Certificate{
		g.certify(1, mark(1, 1), 1, a, b), g.certify(0, mark(1, 1), 2, c, bundle(1, 20, "d"), bundle(0, 20, "e")),
	}, nil)
	require.NoError(t, err)
	require.Equal(t, []ordering.Drop{
		{Index: 1, ID: b.ID(chainID), Reason: ordering.DropFunds}, {Index: 4, ID: bundle(0, 20, "e").ID(chainID), Reason: ordering.DropFunds},
	}, e.Drops)
	require.Len(t, e.Block.Bundles, 3)
	require.EqualValues(t, 2, e.Block.Dropped)
	require.Equal(t, order.Times{First: 1, Last: 2}, e.Block.Times)
	require.Len(t, e.Charges, 2)
	require.Less(t, string(e.Charges[0].Payer), string(e.Charges[1].Payer), "charged by address")
	owed := map[string]uint64{}
	for _, c := range e.Charges {
		owed[string(c.Payer)] = c.Amount
	}
	require.Equal(t, 2*fee, owed[string(ordering.Address(a.Payer))])
}

// Whatever a certified bundle lacks makes a drop, and only what the payer has used up
// its word for is remembered.
func TestDrops(t *testing.T) {
	g := newGroup(t, 0)
	r := g.rules(1 << 20)
	fine, ordered, dropped := bundle(0, 20, "fine"), bundle(0, 20, "ordered"), bundle(0, 20, "dropped")
	large, cheap, poor := bundle(0, 20, string(make([]byte, 300<<10))), bundle(0, 20, "cheap"), bundle(7, 20, "poor")
	cheap.FeeLimit = 1
	cheap.Sign(chainID, order.Owner{1}, key(0))
	r.Balance = func(p order.Payer) uint64 {
		if p == poor.Payer {
			return 0
		}
		return 1 << 20
	}
	r.Fate = func(id order.BundleID) (ordering.Fate, bool) {
		switch id {
		case ordered.ID(chainID):
			return ordering.Fate{Height: 4}, true
		case dropped.ID(chainID):
			return ordering.Fate{Height: 5, Reason: ordering.DropFunds}, true
		}
		return ordering.Fate{}, false
	}
	reasons := []struct {
		bundle   *order.Bundle
		reason   ordering.DropReason
		recorded bool
	}{
		{fine, 0, true}, {ordered, ordering.DropDuplicate, false}, {dropped, ordering.DropDuplicate, false},
		{bundle(0, 9, "expired"), ordering.DropExpired, false}, {bundle(0, 10, "just in time"), 0, true},
		{bundle(0, 611, "far"), ordering.DropExpiryTooFar, false}, {bundle(0, math.MaxUint64, "farthest"), ordering.DropExpiryTooFar, false},
		{large, ordering.DropTooLarge, false}, {cheap, ordering.DropFee, false}, {poor, ordering.DropFunds, true},
		{poor, ordering.DropDuplicate, false}, {fine, ordering.DropDuplicate, false},
	}
	var bundles []*order.Bundle
	var drops []ordering.Drop
	var records []ordering.Record
	for i, c := range reasons {
		bundles = append(bundles, c.bundle)
		id := c.bundle.ID(chainID)
		if c.reason != 0 {
			drops = append(drops, ordering.Drop{Index: i, ID: id, Reason: c.reason})
		}
		if c.recorded {
			records = append(records, ordering.Record{ID: id, Reason: c.reason})
		}
	}
	e, err := r.Evaluate([]*order.Certificate{g.certify(0, mark(1, 1), 1, bundles...)}, nil)
	require.NoError(t, err)
	require.Equal(t, drops, e.Drops)
	require.Equal(t, ordering.Carried{Height: 10, Until: 20, Records: records}, e.Carried, "no longer than it could be ordered")
	require.Len(t, e.IDs, len(bundles))
	require.Len(t, e.Block.Bundles, 2)
	require.EqualValues(t, 4, e.Block.Bundles[1].BatchIndex)
}

// A payer may sign one bundle for several lanes. It remains one bundle.
func TestBundleOfSeveralLanes(t *testing.T) {
	g := newGroup(t, 0)
	first := bundle(0, 20, "once")
	second := *first
	second.Sign(chainID, g.Members[1].Owner, key(0))
	require.NotEqual(t, first.Signature, second.Signature)
	e, err := g.rules(1<<20).Evaluate([]*order.Certificate{g.certify(0, mark(1, 1), 1, first), g.certify(1, mark(1, 1), 2, &second)}, nil)
	require.NoError(t, err)
	require.Len(t, e.Block.Bundles, 1)
	require.Equal(t, first.Signature, e.Block.Bundles[0].Summary.Signature)
	require.Equal(t, []ordering.Drop{{Index: 1, ID: first.ID(chainID), Reason: ordering.DropDuplicate}}, e.Drops)
	require.Len(t, e.Charges, 1)
}

func TestCertificatesRefused(t *testing.T) {
	g := newGroup(t, 3)
	old := newGroup(t, 1)
	first, second := g.certify(0, mark(1, 1), 7, bundle(0, 20, "a")), g.certify(0, mark(1, 2), 9, bundle(0, 20, "b"))
	other := g.certify(1, mark(1, 1), 8, bundle(0, 20, "c"))
	forged, moved, signed := *other, *other, *other
	forged.Attestations = slices.Clone(other.Attestations)
	forged.Attestations[2].Signature[0] ^= 1
	moved.Attestations = other.Attestations[:3]
	signed.Signature[0] ^= 1
	for name, tc := range map[string]struct {
		certs    []*order.Certificate
		required []order.Tip
		err      error
	}{
		"out of order":      {[]*order.Certificate{other, first, second}, nil, ordering.ErrCanonical},
		"lane out of order": {[]*order.Certificate{second, first}, nil, ordering.ErrCanonical},
		"skipped":           {[]*order.Certificate{second}, nil, order.ErrLane},
		"twice":             {[]*order.Certificate{first, first}, nil, order.ErrLane},
		"old epoch":         {[]*order.Certificate{old.certify(0, mark(1, 1), 7, bundle(0, 20, "a"))}, nil, order.ErrEpoch},
		"forged":            {[]*order.Certificate{first, &forged}, nil, order.ErrSignature},
		"attestation moved": {[]*order.Certificate{first, &moved}, nil, order.ErrSignature},
		"owner's signature": {[]*order.Certificate{first, &signed}, nil, order.ErrSignature},
		"short":             {[]*order.Certificate{first, other}, []order.Tip{{Owner: first.Header.Owner, Mark: mark(1, 2)}}, order.ErrCensored},
		"none of a lane":    {[]*order.Certificate{first, second}, []order.Tip{{Owner: other.Header.Owner, Mark: mark(1, 1)}}, order.ErrCensored},
	} {
		_, err := g.rules(1<<20).Evaluate(tc.certs, tc.required)
		require.ErrorIs(t, err, tc.err, name)
	}
	r := g.rules(1 << 20)
	r.Limits.Certificates = 2
	_, err := r.Evaluate([]*order.Certificate{first, other, second}, nil)
	require.ErrorIs(t, err, order.ErrLimits)
	e, err := g.rules(1<<20).Evaluate([]*order.Certificate{first, other, second}, []order.Tip{{Owner: first.Header.Owner, Mark: mark(1, 2)}})
	require.NoError(t, err)
	require.Equal(t, []order.LaneEnd{
		{Owner: first.Header.Owner, LaneState: order.LaneState{Mark: mark(1, 2), OrderTime: 9}},
		{Owner: other.Header.Owner, LaneState: order.LaneState{Mark: mark(1, 1), OrderTime: 8}},
	}, e.Lanes)
}

// What validators said one block ago is required only where it can still be had.
func TestRequired(t *testing.T) {
	g := newGroup(t, 0)
	a, b := g.Members[0].Owner, g.Members[1].Owner
	said := func(tips ...order.Tip) []order.Report { return []order.Report{{Power: 34, Tips: tips}, {Power: 1}} }
	next, later := order.Tip{Owner: a, Mark: mark(2, 9)}, order.Tip{Owner: b, Mark: mark(3, 1)}
	r := g.rules(0)
	r.Lane = func(order.Owner) order.LaneState { return order.LaneState{Mark: mark(2, 4)} }

	require.Equal(t, []order.Tip{next, later}, r.Required(100, said(next, later)))
	require.Empty(t, r.Required(102, said(next, later)), "a third is not enough")
	r.Moved = func(o order.Owner) bool { return o == b }
	require.Equal(t, []order.Tip{next}, r.Required(100, said(next, later)), "the lane may have gone another way into its next session")
	r.Moved = func(order.Owner) bool { return true }
	require.Equal(t, []order.Tip{next}, r.Required(100, said(next, later)), "the session goes on")

	// Who holds the other way into the next session does not vouch for more of this one:
	// what is left are those who may all be at fault.
	forked := []order.Report{{Power: 33, Tips: []order.Tip{{Owner: a, Mark: mark(3, 1)}}}, {Power: 33, Tips: []order.Tip{next}}, {Power: 34}}
	require.Empty(t, r.Required(100, forked))
	r.Moved = func(order.Owner) bool { return false }
	require.Equal(t, []order.Tip{next}, r.Required(100, forked), "which the other way reaches too")

	r.Height = 2*r.Params.EpochBlocks + 1
	require.NotEmpty(t, r.Required(100, said(next, later)), "the first block of an epoch is as any other")
	r.Height = 1
	require.Empty(t, r.Required(0, nil))
}

func TestFee(t *testing.T) {
	for _, tc := range []struct{ bytes, rate, want uint64 }{
		{0, 1000, 0}, {1, 1000, 1}, {1, 1, 1}, {1000, 1, 1}, {1001, 1, 2}, {999, 0, 0},
		{order.MaxBundleBytes, 1 << 40, 1152921504606847}, // the greatest there is: 2^60 / 1000, rounded up
	} {
		require.Equal(t, tc.want, ordering.Fee(tc.bytes, tc.rate), tc)
	}
}

func TestDropsAreCanonical(t *testing.T) {
	drops := []ordering.Drop{{Index: 0, Reason: ordering.DropFunds}, {Index: 7, Reason: ordering.DropDuplicate}}
	raw := ordering.EncodeDrops(drops)
	require.Equal(t, "00000000010000000706", hex.EncodeToString(raw), "the encoding is part of the chain's results")
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
		"unknown reason": {0, 0, 0, 0, 7},
	} {
		_, err := ordering.DecodeDrops(bad, 8)
		require.ErrorIs(t, err, ordering.ErrDrops, name)
	}
	for reason, words := range map[ordering.DropReason]string{
		0: "ordered", ordering.DropFunds: "balance", ordering.DropExpired: "expired", ordering.DropExpiryTooFar: "too far",
		ordering.DropTooLarge: "too large", ordering.DropFee: "fee limit", ordering.DropDuplicate: "before", 99: "unknown reason 99",
	} {
		require.Contains(t, reason.String(), words)
	}
}

func TestOutcome(t *testing.T) {
	a, b := bundle(0, 20, "a"), bundle(1, 20, "b")
	g := newGroup(t, 0)
	r := g.rules(0)
	rich := b.Payer
	r.Balance = func(p order.Payer) uint64 {
		if p == rich {
			return math.MaxUint64
		}
		return 0
	}
	m := &ordering.Manifest{Certificates: []*order.Certificate{
		g.certify(2, mark(1, 1), 5, a, b), g.certify(1, mark(1, 1), 6, bundle(1, 20, "c"), b),
	}}
	e, err := r.Evaluate(m.Certificates, nil)
	require.NoError(t, err)
	txs := [][]byte{e.Block.Header().Encode(), encode(t, m), []byte("an ordinary one")}
	results := []*abci.ExecTxResult{{}, {Data: ordering.EncodeDrops(e.Drops)}, {}}
	block, drops, err := ordering.Outcome(chainID, 10, txs, results)
	require.NoError(t, err)
	require.Equal(t, e.Drops, drops)
	require.Equal(t, e.Block, block)
	require.Equal(t, b.ID(chainID), block.Bundles[0].ID)
	require.Equal(t, m.Certificates[1].Header.ID(chainID), block.Bundles[1].Batch)

	header := e.Block.Header()
	header.Commitment[95] ^= 1
	for name, bad := range map[string]struct {
		chain   string
		height  uint64
		txs     [][]byte
		results []*abci.ExecTxResult
	}{
		"no results":      {chainID, 10, txs, nil},
		"no manifest":     {chainID, 10, txs[:1], results},
		"other height":    {chainID, 11, txs, results},
		"other chain":     {"other", 10, txs, results},
		"other drops":     {chainID, 10, txs, []*abci.ExecTxResult{{}, {}}},
		"other header":    {chainID, 10, [][]byte{header.Encode(), txs[1]}, results},
		"broken header":   {chainID, 10, [][]byte{{1}, txs[1]}, results},
		"broken manifest": {chainID, 10, [][]byte{txs[0], {9}}, results},
	} {
		_, _, err := ordering.Outcome(bad.chain, bad.height, bad.txs, bad.results)
		require.Error(t, err, name)
	}
}

// Evaluation does not depend on who evaluates, orders what each payer can pay for and
// nothing twice, and is what the API reads from the block.
func TestEvaluationIsPure(t *testing.T) {
	g := newGroup(t, 0)
	rapid.Check(t, func(t *rapid.T) {
		var certs []*order.Certificate
		carried := 0
		for i := range rapid.IntRange(0, 4).Draw(t, "lanes") {
			for n := range rapid.IntRange(0, 3).Draw(t, "batches") {
				var bundles []*order.Bundle
				for range rapid.IntRange(1, 5).Draw(t, "bundles") {
					bundles = append(bundles, bundle(rapid.IntRange(0, 3).Draw(t, "payer"), rapid.Uint64Range(8, 612).Draw(t, "expiry"), fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "data"))))
				}
				carried += len(bundles)
				certs = append(certs, g.certify(i, mark(1, uint64(n+1)), rapid.Uint64Range(0, 5).Draw(t, "clock"), bundles...))
			}
		}
		balance := rapid.Uint64Range(0, 1000).Draw(t, "balance")
		r := g.rules(balance)
		placed, _, err := order.Arrange(certs, r.Lane, r.Committee)
		require.NoError(t, err)
		for i, p := range placed {
			certs[i] = p.Certificate
		}
		e, err := r.Evaluate(certs, nil)
		require.NoError(t, err)
		again, err := g.rules(balance).Evaluate(certs, nil)
		require.NoError(t, err)
		require.Equal(t, e, again)
		require.Equal(t, carried, len(e.Block.Bundles)+len(e.Drops))
		var paid, owed uint64
		for _, c := range e.Charges {
			require.LessOrEqual(t, c.Amount, balance)
			paid += c.Amount
		}
		seen := map[order.BundleID]bool{}
		for _, o := range e.Block.Bundles {
			require.False(t, seen[o.ID])
			seen[o.ID] = true
			owed += r.Fee(o.Summary)
		}
		require.Equal(t, owed, paid)
		known := map[order.BundleID]bool{}
		for _, rec := range e.Carried.Records {
			require.False(t, known[rec.ID], "one fate for each")
			known[rec.ID] = true
			require.Equal(t, seen[rec.ID], rec.Reason == 0)
		}
		block, drops, err := ordering.Outcome(chainID, 10,
			[][]byte{e.Block.Header().Encode(), encode(t, &ordering.Manifest{Certificates: certs})}, []*abci.ExecTxResult{{}, {Data: ordering.EncodeDrops(e.Drops)}})
		require.NoError(t, err)
		require.Equal(t, e.Block.Header(), block.Header())
		require.Equal(t, e.Drops, drops)
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
