package ordering

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

func TestEpoch(t *testing.T) {
	p := Params{EpochBlocks: 10}
	for height, epoch := range map[uint64]uint64{1: 0, 10: 0, 11: 1, 20: 1, 21: 2} {
		require.Equal(t, epoch, Epoch(height, p), height)
	}
}

// Stakes and keys are those of the last block before the epoch, for all of it.
func TestCommitteesOverEpochs(t *testing.T) {
	n := newNetwork(t, 3, 2)
	first := n.committee(0)
	require.EqualValues(t, 3*stakeEach, first.Stake)
	for i := range 3 {
		at, ok := first.Index(owner(i))
		require.True(t, ok)
		require.EqualValues(t, stakeEach, first.Members[at].Stake)
		if i < 2 {
			require.Equal(t, public(attestationKey(i, 0)), first.Members[at].Key[:])
		} else {
			require.Zero(t, first.Members[at].Key)
		}
	}
	_, err := n.keeper.Committee(n.ctx, 1)
	require.ErrorIs(t, err, ErrNoCommittee, "the next epoch has not begun")

	n.unbond(0, 40)
	n.join(3)
	n.toEpoch(1)
	require.Equal(t, first, n.committee(0), "what comes later changes nothing")
	second := n.committee(1)
	require.EqualValues(t, 4*stakeEach-40, second.Stake)
	require.Len(t, second.Members, 4)

	require.NoError(t, n.staking.Jail(n.ctx, consensusAddress(1)))
	require.Equal(t, second, n.committee(1), "who is jailed stays to the end of the epoch")
	n.toEpoch(2)
	_, ok := n.committee(2).Index(owner(1))
	require.False(t, ok)
}

// crowd are bonded validators, in place of those that the staking module has.
type crowd struct {
	Staking
	validators []stakingtypes.Validator
}

func (c crowd) GetBondedValidatorsByPower(context.Context) ([]stakingtypes.Validator, error) {
	return c.validators, nil
}

func TestCommitteeTakesTheStrongest(t *testing.T) {
	n := newNetwork(t, 1, 1)
	var c crowd
	add := func(operator []byte, power int64) {
		c.validators = append(c.validators, stakingtypes.Validator{
			OperatorAddress: sdk.ValAddress(operator).String(), Status: stakingtypes.Bonded, Tokens: sdkmath.NewInt(power * 1_000_000),
		})
	}
	add(bytes.Repeat([]byte{1}, 32), 10_000) // an address that owns no lane
	for i := range order.MaxMembers + 2 {
		add(account(i), int64(1000-i))
	}
	k := n.keeper
	k.staking = c
	require.NoError(t, k.BeginEpoch(n.ctx, 1))
	got := n.committee(1)
	require.Len(t, got.Members, order.MaxMembers)
	for i := range order.MaxMembers + 2 {
		at, ok := got.Index(owner(i))
		require.Equal(t, i < order.MaxMembers, ok)
		if ok {
			require.EqualValues(t, 1000-i, got.Members[at].Stake)
		}
	}
	// Where nobody is left, the committee stays: there is no block in which it would matter.
	k.staking = crowd{}
	require.NoError(t, k.BeginEpoch(n.ctx, 2))
	require.Equal(t, got.Members, n.committee(2).Members)
	require.NoError(t, k.BeginEpoch(n.ctx, 2), "it has begun already")
	require.Error(t, k.BeginEpoch(n.ctx, 4))
	require.Error(t, k.BeginEpoch(n.ctx, 1))
}

// A committee that does not change is stored once, and old ones are looked up for as
// long as the parameters say.
func TestCommitteesAreKeptAndPruned(t *testing.T) {
	n := newNetwork(t, 2, 2)
	stored := func() (since []uint64) {
		require.NoError(t, n.keeper.each(n.ctx, committeePrefix, func(_, raw []byte) error {
			var c orderingv1.Committee
			require.NoError(t, c.Unmarshal(raw))
			since = append(since, c.Epoch)
			return nil
		}))
		return since
	}
	n.toEpoch(2)
	require.Equal(t, []uint64{0}, stored())
	n.unbond(0, 1)
	n.toEpoch(3)
	n.unbond(0, 1)
	n.toEpoch(4)
	require.Equal(t, []uint64{0, 3, 4}, stored())
	for epoch, stake := range map[uint64]uint64{0: 200, 1: 200, 2: 200, 3: 199, 4: 198} {
		c := n.committee(epoch)
		require.Equal(t, stake, c.Stake, epoch)
		require.Equal(t, epoch, c.Epoch)
	}
	n.toEpoch(6) // four are kept before this one
	require.Equal(t, []uint64{0, 3, 4}, stored(), "epoch 2 has the committee of epoch 0")
	require.EqualValues(t, 200, n.committee(2).Stake)
	_, err := n.keeper.Committee(n.ctx, 1)
	require.ErrorIs(t, err, ErrNoCommittee)
	n.toEpoch(7)
	require.Equal(t, []uint64{3, 4}, stored())
	n.toEpoch(20)
	require.Equal(t, []uint64{4}, stored())
	require.EqualValues(t, 198, n.committee(20).Stake)
	require.EqualValues(t, 198, n.committee(16).Stake)

	// Governance may keep fewer from now on.
	p, err := n.keeper.Params(n.ctx)
	require.NoError(t, err)
	p.RetainEpochs = 1
	require.NoError(t, n.keeper.SetParams(n.ctx, p))
	_, err = n.keeper.Committee(n.ctx, 18)
	require.ErrorIs(t, err, ErrNoCommittee)
}

func TestLanes(t *testing.T) {
	n := newNetwork(t, 3, 3)
	at := func(session, sequence, time uint64) order.LaneState {
		return order.LaneState{Mark: order.Mark{Session: session, Sequence: sequence}, OrderTime: time}
	}
	none, err := n.keeper.Lane(n.ctx, owner(0))
	require.NoError(t, err)
	require.Zero(t, none)
	var want []order.LaneEnd
	for i := range 3 {
		require.NoError(t, n.keeper.SetLane(n.ctx, owner(i), at(1, uint64(i)+1, 5)))
		require.NoError(t, n.keeper.SetLane(n.ctx, owner(i), at(2, uint64(i)+1, 6)))
		got, err := n.keeper.Lane(n.ctx, owner(i))
		require.NoError(t, err)
		require.Equal(t, at(2, uint64(i)+1, 6), got)
		want = append(want, order.LaneEnd{Owner: owner(i), LaneState: got})
	}
	lanes, err := n.keeper.Lanes(n.ctx)
	require.NoError(t, err)
	require.ElementsMatch(t, want, lanes)
	for i := 1; i < len(lanes); i++ {
		require.Negative(t, lanes[i-1].Owner.Compare(lanes[i].Owner))
	}

	// Who has left may still have batches of the epoch before ordered, and no others.
	require.NoError(t, n.staking.Jail(n.ctx, consensusAddress(0)))
	n.toEpoch(1)
	lanes, err = n.keeper.Lanes(n.ctx)
	require.NoError(t, err)
	require.Len(t, lanes, 3)
	n.toEpoch(2)
	lanes, err = n.keeper.Lanes(n.ctx)
	require.NoError(t, err)
	require.Len(t, lanes, 2)
	none, err = n.keeper.Lane(n.ctx, owner(0))
	require.NoError(t, err)
	require.Zero(t, none)
}

func TestView(t *testing.T) {
	n := newNetwork(t, 3, 2)
	v, err := n.keeper.View(n.ctx, 3)
	require.NoError(t, err)
	require.Equal(t, networkID, v.ChainID)
	require.EqualValues(t, 3, v.Height)
	require.Equal(t, n.committee(0), v.Committees[0])
	require.Nil(t, v.Committees[1])

	state := order.LaneState{Mark: order.Mark{Session: 1, Sequence: 9}, OrderTime: 4}
	require.NoError(t, n.keeper.SetLane(n.ctx, owner(1), state))
	n.unbond(0, 1)
	n.toEpoch(1)
	v, err = n.keeper.View(n.ctx, 10)
	require.NoError(t, err)
	require.EqualValues(t, 1, v.Epoch, "of the next block")
	require.Equal(t, n.committee(1), v.Committees[0])
	require.Equal(t, n.committee(0), v.Committees[1])
	require.Equal(t, map[order.Owner]order.LaneState{owner(1): state}, v.Lanes)
	require.Len(t, v.Contacts, 2)
	require.Equal(t, "v1.example:7000", v.Contacts[owner(1)].Address)
	require.Equal(t, "http://v1.example:8080", v.Contacts[owner(1)].API)
	p := n.genesis().Params
	require.Equal(t, p.MaxBatchBytes, v.Params.MaxBatchBytes)
	require.Equal(t, p.LaneQuotaBytes, v.Params.LaneQuotaBytes)
	require.Equal(t, p.RetainEpochs, v.Params.RetainEpochs)
}

func TestQueries(t *testing.T) {
	n := newNetwork(t, 2, 1)
	n.unbond(0, 1)
	n.toEpoch(1)
	require.NoError(t, n.keeper.SetLane(n.ctx, owner(0), order.LaneState{Mark: order.Mark{Session: 1, Sequence: 2}, OrderTime: 3}))
	s := n.server()
	lanes, err := s.Lanes(n.ctx, &orderingv1.QueryLanesRequest{})
	require.NoError(t, err)
	o := owner(0)
	require.Equal(t, []*orderingv1.Lane{{Owner: o[:], Session: 1, Sequence: 2, OrderTime: 3}}, lanes.Lanes)
	attesters, err := s.Attesters(n.ctx, &orderingv1.QueryAttestersRequest{})
	require.NoError(t, err)
	require.Equal(t, []*orderingv1.Attester{attester(0)}, attesters.Attesters)
	for _, q := range []*orderingv1.QueryCommitteeRequest{{Epoch: 1}, {Current: true}} {
		c, err := s.Committee(n.ctx, q)
		require.NoError(t, err)
		require.EqualValues(t, 1, c.Committee.Epoch)
		members, err := decodeMembers(c.Committee.Members)
		require.NoError(t, err)
		require.Equal(t, n.committee(1).Members, members)
	}
	_, err = s.Committee(n.ctx, &orderingv1.QueryCommitteeRequest{Epoch: 2})
	require.ErrorContains(t, err, "NotFound")
}

func TestEpochBlocksAreFixed(t *testing.T) {
	n := newNetwork(t, 1, 1)
	p := *n.genesis().Params
	p.FeePerKilobyte = 7
	_, err := n.server().UpdateParams(n.ctx, &orderingv1.MsgUpdateParams{Authority: authority(), Params: &p})
	require.NoError(t, err)
	p.EpochBlocks++
	_, err = n.server().UpdateParams(n.ctx, &orderingv1.MsgUpdateParams{Authority: authority(), Params: &p})
	require.ErrorContains(t, err, "epoch_blocks")
}
