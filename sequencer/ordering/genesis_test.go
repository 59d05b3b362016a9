package ordering

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// grown returns a network with something of everything in its state, in epoch 3.
func grown(t *testing.T) *network {
	n := newNetwork(t, 3, 2)
	require.NoError(t, n.register(registration(0, attestationKey(0, 1))))
	require.NoError(t, n.keeper.SetLane(n.ctx, owner(0), order.LaneState{Mark: order.Mark{Session: 2, Sequence: 3}, OrderTime: 4}))
	require.NoError(t, n.keeper.SetLane(n.ctx, owner(2), order.LaneState{Mark: order.Mark{Session: 1, Sequence: 1}}))
	n.toEpoch(1)
	n.unbond(1, 5)
	n.toEpoch(3)
	return n
}

// A chain goes on from its export as if nothing had happened.
func TestExportAndImport(t *testing.T) {
	n := grown(t)
	out, err := n.keeper.ExportGenesis(n.ctx)
	require.NoError(t, err)
	require.NoError(t, ValidateGenesis(out))
	require.Len(t, out.Lanes, 2)
	require.Len(t, out.Attesters, 2)
	require.Len(t, out.Keys, 3)
	require.Len(t, out.Committees, 3)
	require.EqualValues(t, 3, out.Epoch)

	to := emptyNetwork(t)
	for i := range 3 {
		to.join(i)
	}
	to.endStaking()
	to.unbond(2, 50) // in the middle of an epoch: no concern of this one
	to.endStaking()
	to.at(35)
	to.module.InitGenesis(to.ctx, to.enc.Codec, n.module.ExportGenesis(n.ctx, n.enc.Codec))
	again, err := to.keeper.ExportGenesis(to.ctx)
	require.NoError(t, err)
	require.Equal(t, out, again)
	for epoch := range uint64(4) {
		require.Equal(t, n.committee(epoch), to.committee(epoch))
	}
	to.toEpoch(4)
	require.EqualValues(t, 3*stakeEach-50, to.committee(4).Stake)
	require.Equal(t, n.committee(3), to.committee(3))
	require.ErrorIs(t, to.keeper.register(to.ctx, networkID, registration(1, attestationKey(0, 0))), ErrKeyTaken)
}

// An export is of no use at another height than the next: epochs would not fit.
func TestImportAtAnotherHeightRefused(t *testing.T) {
	n := grown(t)
	raw := n.module.ExportGenesis(n.ctx, n.enc.Codec)
	for _, height := range []int64{0, 20, 60} {
		to := emptyNetwork(t)
		to.join(0)
		to.endStaking()
		to.at(height)
		require.Panics(t, func() { to.module.InitGenesis(to.ctx, to.enc.Codec, raw) }, height)
	}
}

func TestFirstEpoch(t *testing.T) {
	n := emptyNetwork(t)
	require.Panics(t, func() { n.module.InitGenesis(n.ctx, n.enc.Codec, n.module.DefaultGenesis(n.enc.Codec)) }, "no validators")

	n = emptyNetwork(t)
	n.join(0)
	n.endStaking()
	n.at(25)
	n.module.InitGenesis(n.ctx, n.enc.Codec, n.enc.Codec.MustMarshalJSON(n.genesis()))
	require.EqualValues(t, stakeEach, n.committee(2).Stake, "a chain may begin at any height")
	_, err := n.keeper.Committee(n.ctx, 1)
	require.ErrorIs(t, err, ErrNoCommittee)
	v, err := n.keeper.View(n.ctx, 24)
	require.NoError(t, err)
	require.Nil(t, v.Committees[1])
}

func TestGenesisRefused(t *testing.T) {
	o, p := owner(0), owner(1)
	key := public(attestationKey(0, 0))
	member := func(o order.Owner, key []byte) *orderingv1.Member {
		return &orderingv1.Member{Owner: o[:], Key: key, Stake: 1}
	}
	low, high := o, p
	if low.Compare(high) > 0 {
		low, high = high, low
	}
	for name, edit := range map[string]func(*orderingv1.GenesisState){
		"no params":  func(g *orderingv1.GenesisState) { g.Params = nil },
		"bad params": func(g *orderingv1.GenesisState) { g.Params.EpochBlocks = 0 },
		"lane's owner": func(g *orderingv1.GenesisState) {
			g.Lanes = []*orderingv1.Lane{{Owner: o[1:], Session: 1, Sequence: 1}}
		},
		"lane's mark": func(g *orderingv1.GenesisState) { g.Lanes = []*orderingv1.Lane{{Owner: o[:], Session: 1}} },
		"lane twice": func(g *orderingv1.GenesisState) {
			l := &orderingv1.Lane{Owner: o[:], Session: 1, Sequence: 1}
			g.Lanes = []*orderingv1.Lane{l, l}
		},
		"attester malformed": func(g *orderingv1.GenesisState) { g.Attesters = []*orderingv1.Attester{{}} },
		"attester twice":     func(g *orderingv1.GenesisState) { g.Attesters = []*orderingv1.Attester{attester(0), attester(0)} },
		"one key of two": func(g *orderingv1.GenesisState) {
			a := attester(1)
			a.Key = attester(0).Key
			g.Attesters = []*orderingv1.Attester{attester(0), a}
		},
		"key of another": func(g *orderingv1.GenesisState) {
			g.Attesters, g.Keys = []*orderingv1.Attester{attester(0)}, []*orderingv1.KeyOwner{{Key: key, Owner: p[:]}}
		},
		"key twice": func(g *orderingv1.GenesisState) {
			g.Keys = []*orderingv1.KeyOwner{{Key: key, Owner: o[:]}, {Key: key, Owner: o[:]}}
		},
		"key cut off":     func(g *orderingv1.GenesisState) { g.Keys = []*orderingv1.KeyOwner{{Key: key[1:], Owner: o[:]}} },
		"key's owner":     func(g *orderingv1.GenesisState) { g.Keys = []*orderingv1.KeyOwner{{Key: key, Owner: o[1:]}} },
		"only an epoch":   func(g *orderingv1.GenesisState) { g.Epoch = 1 },
		"committee empty": func(g *orderingv1.GenesisState) { g.Committees = []*orderingv1.Committee{{}} },
		"committee to come": func(g *orderingv1.GenesisState) {
			g.Committees = []*orderingv1.Committee{{Epoch: 1, Members: []*orderingv1.Member{member(o, nil)}}}
		},
		"committees out of order": func(g *orderingv1.GenesisState) {
			c := &orderingv1.Committee{Epoch: 1, Members: []*orderingv1.Member{member(o, nil)}}
			g.Committees, g.Epoch = []*orderingv1.Committee{c, c}, 1
		},
		"members out of order": func(g *orderingv1.GenesisState) {
			g.Committees = []*orderingv1.Committee{{Members: []*orderingv1.Member{member(high, nil), member(low, nil)}}}
		},
		"member's key": func(g *orderingv1.GenesisState) {
			g.Committees = []*orderingv1.Committee{{Members: []*orderingv1.Member{member(low, key[1:])}}}
		},
		"members with one key": func(g *orderingv1.GenesisState) {
			g.Committees = []*orderingv1.Committee{{Members: []*orderingv1.Member{member(low, key), member(high, key)}}}
		},
	} {
		g := DefaultGenesis()
		edit(g)
		require.Error(t, ValidateGenesis(g), name)
	}
	g := DefaultGenesis()
	g.Attesters, g.Keys = []*orderingv1.Attester{attester(0)}, []*orderingv1.KeyOwner{{Key: key, Owner: o[:]}}
	g.Committees = []*orderingv1.Committee{{Members: []*orderingv1.Member{member(low, key), member(high, nil)}}}
	require.NoError(t, ValidateGenesis(g))
}
