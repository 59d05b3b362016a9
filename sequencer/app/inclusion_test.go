package app_test

import (
	"fmt"
	"slices"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// certs makes that many certificates of a validator's lane, from where it stands on.
func (c *chain) certs(owner, n int) []*order.Certificate {
	m := c.lanes.view.Mark(laneOwner(owner))
	if m == (order.Mark{}) {
		m.Session = 1
	}
	var out []*order.Certificate
	for i := range n {
		m.Sequence++
		out = append(out, c.certify(batch{
			owner: owner, at: m, epoch: c.lanes.view.Epoch, clock: uint64(c.time.UnixMilli()) + uint64(10*i+owner),
			bundles: []*order.Bundle{c.bundle(owner%funded, data(fmt.Sprint(owner, m)))},
		}))
	}
	return out
}

func tip(c *order.Certificate) order.Tip {
	return order.Tip{Owner: c.Header.Owner, Mark: c.Header.Mark}
}

// arranged returns the certificates in canonical order.
func (c *chain) arranged(certs ...*order.Certificate) []*order.Certificate {
	r := c.rules()
	placed, _, err := order.Arrange(certs, r.Lane, r.Committee)
	require.NoError(c.t, err)
	out := make([]*order.Certificate, len(placed))
	for i, p := range placed {
		out[i] = p.Certificate
	}
	return out
}

func (c *chain) refused(t *testing.T, txs [][]byte, reason string) {
	t.Helper()
	c.log.Reset()
	require.False(t, c.process(txs))
	require.Contains(t, c.log.String(), reason)
}

func TestLaneCannotBeLeftOut(t *testing.T) {
	c := newChainOf(t, 4)
	a, b := c.certs(0, 2), c.certs(1, 3)
	// Each tip beyond these is of one validator of four, which is not enough.
	c.said[0] = tips(sorted(tip(a[1]), tip(b[2]))...)
	c.said[1] = tips(tip(b[1]))
	c.said[2] = tips(sorted(tip(a[0]), tip(b[0]))...)
	for name, tc := range map[string]struct {
		certs   []*order.Certificate
		reached bool
	}{
		"nothing":            {nil, false},
		"one lane left out":  {a, false},
		"one lane cut short": {[]*order.Certificate{a[0], b[0]}, false},
		"what is required":   {[]*order.Certificate{a[0], b[0], b[1]}, true},
		"more":               {slices.Concat(a, b), true},
	} {
		t.Run(name, func(t *testing.T) {
			txs := c.layout(c.arranged(tc.certs...), nil)
			if tc.reached {
				require.True(t, c.process(txs), c.log.String())
				return
			}
			c.refused(t, txs, "more than a third of the power holds it up to")
		})
	}
	// A proposer that lacks a certificate makes no block that it would refuse itself.
	c.lanes.hold(t, a...)
	c.lanes.hold(t, b[0])
	c.log.Reset()
	require.Less(t, len(c.prepareSized(4<<20)), ordering.OwnTxs)
	require.Contains(t, c.log.String(), "block leaves out certified batches")
	c.lanes.hold(t, b[1])
	out := c.block()
	require.Len(t, out.block.Bundles, 4)
	require.Empty(t, c.block().block.Bundles)
}

// A certificate that others hold already may still be on its way to the proposer.
func TestProposerWaitsForWhatIsRequired(t *testing.T) {
	c := newChainOf(t, 4)
	a := c.certs(1, 1)
	c.said[2], c.said[3] = tips(tip(a[0])), tips(tip(a[0]))
	c.lanes.late = a
	require.Len(t, c.block().block.Bundles, 1)
}

// What does not fit into CometBFT's block waits, as long as it may.
func TestSmallBlock(t *testing.T) {
	c := newChainOf(t, 4)
	a := c.certs(0, 3)
	c.lanes.hold(t, a...)
	for _, want := range []int{2, 1} {
		room := 0
		for _, cert := range a[:2] {
			room += ordering.CertificateSizeInManifest(cert.Size())
		}
		votes := c.votes()
		for i := range c.said { // nobody has seen them yet
			c.said[i] = nil
		}
		txs := c.prepareSized(int64(room + votes.Size() + 600))
		m, err := ordering.DecodeManifest(txs[1])
		require.NoError(t, err)
		require.Len(t, m.Certificates, want)
		c.apply(txs)
	}
}

func sorted(t ...order.Tip) []order.Tip {
	slices.SortFunc(t, func(a, b order.Tip) int { return a.Owner.Compare(b.Owner) })
	return t
}

// A full block leaves lanes short alike.
func TestFullBlockIsFair(t *testing.T) {
	doc := newGenesis(t, 4)
	editOrdering(t, doc, func(g *orderingv1.GenesisState) { g.Params.MaxBlockCertificates = 4 })
	c := start(t, doc, t.TempDir())
	t.Cleanup(func() { _ = c.app.Close() })
	a, b := c.certs(0, 5), c.certs(1, 5)
	for i := range c.said {
		c.said[i] = tips(sorted(tip(a[4]), tip(b[4]))...)
	}
	c.refused(t, c.layout(c.arranged(slices.Concat(a[:3], b[:2])...), nil), "5 certificates")
	c.refused(t, c.layout(c.arranged(slices.Concat(a[:2], b[:1])...), nil), "and there is room")
	c.refused(t, c.layout(c.arranged(slices.Concat(a[:3], b[:1])...), nil), "after 1 batches, lane")
	c.refused(t, c.layout(c.arranged(slices.Concat(a[:1], b[:3])...), nil), "after 1 batches, lane")
	require.True(t, c.process(c.layout(c.arranged(slices.Concat(a[:2], b[:2])...), nil)), c.log.String())

	c.lanes.hold(t, slices.Concat(a, b)...)
	require.Len(t, c.block().block.Bundles, 4)
	require.Len(t, c.block().block.Bundles, 4)
	require.Len(t, c.block().block.Bundles, 2)
}

func TestExtendedCommitIsThatOfTheBlock(t *testing.T) {
	c := newChainOf(t, 4)
	a := c.certs(0, 1)
	for i := range 3 {
		c.said[i] = tips(tip(a[0]))
	}
	c.flags = map[int]cmtproto.BlockIDFlag{3: cmtproto.BlockIDFlagAbsent}
	c.round = 2
	with := func(certs []*order.Certificate, edit func(*abci.ExtendedCommitInfo)) [][]byte {
		votes := c.votes()
		edit(&votes)
		return c.layoutWith(ordering.Manifest{Certificates: certs, Votes: votes}, nil)
	}
	silence := func(v *abci.ExtendedVoteInfo) { v.VoteExtension, v.ExtensionSignature = nil, nil }
	other := tips(order.Tip{Owner: laneOwner(1), Mark: mark(7, 7)})
	for _, tc := range []struct {
		name, reason string
		edit         func(*abci.ExtendedCommitInfo)
	}{
		{"none", "0 votes of round 0", func(v *abci.ExtendedCommitInfo) { *v = abci.ExtendedCommitInfo{} }},
		{"other round", "votes of round 1", func(v *abci.ExtendedCommitInfo) { v.Round = 1 }},
		{"one less", "3 votes", func(v *abci.ExtendedCommitInfo) { v.Votes = v.Votes[:3] }},
		{"one twice", "vote 1 is", func(v *abci.ExtendedCommitInfo) { v.Votes[1] = v.Votes[0] }},
		{"swapped", "vote 0 is", func(v *abci.ExtendedCommitInfo) { v.Votes[0], v.Votes[1] = v.Votes[1], v.Votes[0] }},
		{"other power", "vote 2 is", func(v *abci.ExtendedCommitInfo) { v.Votes[2].Validator.Power++ }},
		{"called absent", "vote 0 is", func(v *abci.ExtendedCommitInfo) {
			v.Votes[0].BlockIdFlag = cmtproto.BlockIDFlagAbsent
			silence(&v.Votes[0])
		}},
		{"called present", "vote 3 is", func(v *abci.ExtendedCommitInfo) { v.Votes[3].BlockIdFlag = cmtproto.BlockIDFlagCommit }},
		{"absent one that says something", "vote 3 has flag", func(v *abci.ExtendedCommitInfo) {
			v.Votes[3].VoteExtension, v.Votes[3].ExtensionSignature = other, c.signExtension(3, other)
		}},
		{"words put into a mouth", "does not verify", func(v *abci.ExtendedCommitInfo) { v.Votes[1].VoteExtension = other }},
		{"words taken away", "does not verify", func(v *abci.ExtendedCommitInfo) { v.Votes[1].VoteExtension = nil }},
		{"signature taken away", "does not verify", func(v *abci.ExtendedCommitInfo) { v.Votes[1].ExtensionSignature = nil }},
		{"signature of another", "does not verify", func(v *abci.ExtendedCommitInfo) { v.Votes[1].ExtensionSignature = v.Votes[0].ExtensionSignature }},
		{"one made silent, so that too few are heard", "power 200 of 400, want more than two thirds", func(v *abci.ExtendedCommitInfo) { silence(&v.Votes[0]) }},
		{"all made silent", "power 0 of 400", func(v *abci.ExtendedCommitInfo) {
			for i := range v.Votes {
				silence(&v.Votes[i])
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) { c.refused(t, with(a, tc.edit), tc.reason) })
	}
	c.refused(t, with(nil, func(*abci.ExtendedCommitInfo) {}), "more than a third of the power holds it")
	require.True(t, c.process(with(a, func(*abci.ExtendedCommitInfo) {})), c.log.String())
	require.False(t, c.processWith(with(a, func(*abci.ExtendedCommitInfo) {}), abci.CommitInfo{}))
	c.flags[3] = cmtproto.BlockIDFlagNil
	c.refused(t, with(a, func(v *abci.ExtendedCommitInfo) { v.Votes[3].BlockIdFlag = cmtproto.BlockIDFlagAbsent }), "vote 3 is")
	require.True(t, c.process(with(a, func(*abci.ExtendedCommitInfo) {})), "a vote for nothing says nothing")

	// With all four, a proposer may be deaf to one of them, and not to two.
	delete(c.flags, 3)
	require.True(t, c.process(with(a, func(v *abci.ExtendedCommitInfo) { silence(&v.Votes[0]) })))
	c.refused(t, with(nil, func(v *abci.ExtendedCommitInfo) { silence(&v.Votes[0]) }), "more than a third of the power holds it")
	c.refused(t, with(a, func(v *abci.ExtendedCommitInfo) { silence(&v.Votes[0]); silence(&v.Votes[3]) }), "power 200 of 400")
	c.lanes.hold(t, a...)
	require.Len(t, c.block().block.Bundles, 1)
}

// CometBFT takes a vote that comes after the commit without asking the application.
// Whatever its validator says, the chain goes on.
func TestLateVoteMaySayAnything(t *testing.T) {
	c := newChainOf(t, 4)
	a := c.certs(0, 1)
	for name, said := range map[string][]byte{
		"junk": []byte("junk"), "no canonical form": append(tips(tip(a[0])), 0x10, 0), "too long": make([]byte, ordering.MaxExtensionBytes+1),
		"zero mark": {0x0a, 0x16, 0x0a, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, c.hear(3, said), "not one that comes in time")
			c.said[3] = said
			txs := c.prepare()
			require.Less(t, len(txs[1]), ordering.MaxExtensionBytes)
			c.apply(txs)
		})
	}
	c.said[3] = make([]byte, ordering.MaxExtensionBytes+1)
	c.refused(t, c.layout(nil, nil), "extension of")
	// So it is where the state knows no key of the validator.
	c.vals[3].Address = ed25519.GenPrivKeyFromSecret([]byte("nobody")).PubKey().Address()
	c.said[3] = nil
	c.refused(t, c.layout(nil, nil), "key of the validator")
	require.True(t, c.process(c.prepare()), c.log.String())
}

func TestVotesAreHeard(t *testing.T) {
	c := newChainOf(t, 4)
	a := c.certs(0, 2)
	require.True(t, c.hear(2, nil), "nothing to say")
	require.Empty(t, c.lanes.heard[laneOwner(2)])
	require.True(t, c.hear(2, tips(tip(a[1]))))
	require.Equal(t, []order.Tip{tip(a[1])}, c.lanes.heard[laneOwner(2)])
	for _, junk := range [][]byte{[]byte("junk"), make([]byte, ordering.MaxExtensionBytes+1), tips(tip(a[1]), tip(a[0]))} {
		require.False(t, c.hear(2, junk))
	}
	c.lanes.hold(t, a...)
	require.Equal(t, tips(tip(a[1])), c.vote()[0])
	c.block()
	require.Equal(t, tips(tip(a[1])), c.said[0], "what was held when the vote was made")
	require.Empty(t, c.vote()[0])
	require.Empty(t, c.block().block.Bundles, "what is ordered already is reached")
}

// The first block has no votes to carry, and no others.
func TestFirstBlock(t *testing.T) {
	c := newChainOf(t, 2)
	fresh := initiate(t, c.genesis, dbm.NewMemDB(), "")
	t.Cleanup(func() { _ = fresh.app.Close() })
	fresh.lanes.view = c.lanes.view // for the layout
	require.True(t, fresh.process(fresh.layout(nil, nil)), fresh.log.String())
	fresh.refused(t, fresh.layoutWith(ordering.Manifest{Votes: c.votes()}, nil), "2 votes at a height after one without vote extensions")
}

func TestEpochs(t *testing.T) {
	const epochBlocks = 10
	doc := newGenesis(t, 4)
	editOrdering(t, doc, func(g *orderingv1.GenesisState) { g.Params.EpochBlocks = epochBlocks })
	c := start(t, doc, t.TempDir())
	t.Cleanup(func() { _ = c.app.Close() })
	to := func(height int64) {
		for c.height < height {
			c.apply(c.prepare())
		}
	}
	first, second := c.certs(0, 2), c.certs(1, 1)
	to(epochBlocks) // the next block is of epoch 1
	require.EqualValues(t, 1, c.lanes.view.Epoch)
	c.apply(c.layout(first[:1], nil))
	to(2*epochBlocks - 1)
	require.True(t, c.process(c.layout(second, nil)), "the last block of epoch 1 still takes epoch 0")
	c.apply(c.layout(nil, nil))
	// All hold it, and no block can take it any more: their votes did not tell of it.
	c.refused(t, c.layout(second, nil), "batch is of another epoch")
	c.block()
	now := c.certs(1, 1)
	require.EqualValues(t, 2, now[0].Header.Epoch)
	for i := range c.said {
		c.said[i] = tips(tip(now[0]))
	}
	c.refused(t, c.layout(nil, nil), "more than a third of the power holds it")
	c.lanes.hold(t, now...)
	require.Len(t, c.block().block.Bundles, 1)
}

// An owner at fault ends a session in two ways. Whichever the chain takes, it goes on.
func TestForkedSessionDoesNotStopTheChain(t *testing.T) {
	c := newChainOf(t, 4)
	first := c.certs(0, 2)
	c.apply(c.layout(first[:1], nil))
	next := c.certify(batch{at: mark(2, 1), after: mark(1, 1), clock: uint64(c.time.UnixMilli()), bundles: honest0(c)})
	c.apply(c.layout(nil, nil))
	for i := range c.said {
		c.said[i] = tips(tip(next))
	}
	c.refused(t, c.layout(nil, nil), "more than a third of the power holds it")
	c.apply(c.layout([]*order.Certificate{next}, nil))

	// The same, but the block goes on in the old session while validators hold the new one.
	c = newChainOf(t, 4)
	c.apply(c.layout(first[:1], nil))
	c.apply(c.layout(first[1:], nil))
	for i := range c.said {
		c.said[i] = tips(tip(next))
	}
	c.refused(t, c.layout([]*order.Certificate{next}, nil), "batch is not the next of its lane")
	require.Empty(t, c.block().block.Bundles)
	third := c.certify(batch{at: mark(2, 1), after: mark(1, 2), clock: uint64(c.time.UnixMilli()), bundles: honest0(c)})
	c.lanes.hold(t, third)
	require.Len(t, c.block().block.Bundles, 1, "the owner goes on from where its lane stands")
}

// A validator's word counts by its power in the height before, whether or not it is in
// the committee; and it is verified by the key that it had then.
func TestVotersComeAndChangeKeys(t *testing.T) {
	c := newChainOf(t, 2)
	join, err := stakingtypes.NewMsgCreateValidator(sdk.ValAddress(payerAddress(3)).String(), consensusKey(2).PubKey(), app.Coin(5*genesisStake),
		stakingtypes.NewDescription("late", "", "", "", ""),
		stakingtypes.NewCommissionRates(sdkmath.LegacyZeroDec(), sdkmath.LegacyZeroDec(), sdkmath.LegacyZeroDec()), sdkmath.OneInt())
	require.NoError(t, err)
	c.broadcast(c.tx(sdkKey(3), 500_000, 0, join))
	out := c.block()
	require.Zero(t, out.res.TxResults[2].Code, out.res.TxResults[2].Log)
	require.Len(t, out.res.ValidatorUpdates, 1)
	c.block()
	c.vals = append(c.vals, abci.Validator{Address: consensusKey(2).PubKey().Address(), Power: out.res.ValidatorUpdates[0].Power})
	c.said = append(c.said, nil)
	require.Len(t, c.lanes.view.Committees[0].Members, 2)
	require.True(t, c.hear(2, nil))
	require.Contains(t, c.lanes.heard, order.Owner(payerAddress(3)))

	// 500 of 700 is enough alone, and the other two together are not enough without it.
	c.vals, c.said = c.vals[:3], c.said[:3]
	a := c.certs2(0)
	c.said[2] = tips(tip(a))
	c.refused(t, c.layout(nil, nil), "more than a third of the power holds it")
	silent := c.votes()
	silent.Votes[2].VoteExtension, silent.Votes[2].ExtensionSignature = nil, nil
	c.refused(t, c.layoutWith(ordering.Manifest{Votes: silent}, nil), "power 200 of 700")
	c.apply(c.layout([]*order.Certificate{a}, nil))

	rotate, err := stakingtypes.NewMsgRotateConsPubKey(sdk.ValAddress(operatorAddress(1)).String(), consensusKey(9).PubKey())
	require.NoError(t, err)
	c.broadcast(c.tx(operator(1), 500_000, 0, rotate))
	out = c.block()
	require.Zero(t, out.res.TxResults[2].Code, out.res.TxResults[2].Log)
	c.block() // has the votes for the block of the change
	c.block() // and for the one after it, which were signed with the old key as well
	c.keys = map[int]*ed25519.PrivKey{1: consensusKey(9)}
	c.vals[1].Address = consensusKey(9).PubKey().Address()
	require.True(t, c.hear(1, nil))
	for range 3 {
		for _, v := range c.votes().Votes {
			require.NotEmpty(t, v.ExtensionSignature)
		}
		txs := c.prepare()
		m, err := ordering.DecodeManifest(txs[1])
		require.NoError(t, err)
		require.Equal(t, c.votes(), m.Votes, "nobody is left out")
		c.apply(txs)
	}
}

// certs2 is one certificate attested by the first two validators, who are the committee.
func (c *chain) certs2(owner int) *order.Certificate {
	all := c.vals
	c.vals = all[:2]
	defer func() { c.vals = all }()
	return c.certs(owner, 1)[0]
}
