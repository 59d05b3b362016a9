package ordering

import (
	"crypto/ed25519"
	"testing"

	"github.com/stretchr/testify/require"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// core returns a batch at one position of validator i's lane; content tells batches apart.
func core(i int, epoch uint64, content byte) order.BatchCore {
	return order.BatchCore{
		ChainID: networkID, Position: order.Position{Owner: owner(i), Mark: order.Mark{Session: 1, Sequence: 5}},
		Epoch: epoch, Root: order.Digest{content}, Length: 10, Count: 1,
	}
}

// batchBy is the lane owner's signature.
func batchBy(c order.BatchCore, key ed25519.PrivateKey) *orderingv1.Signed {
	return &orderingv1.Signed{Core: c.Encode(), Signature: ed25519.Sign(key, c.SignBytes())}
}

// attestedBy is the attestation of validator i.
func attestedBy(c order.BatchCore, i int, key ed25519.PrivateKey) *orderingv1.Signed {
	o := owner(i)
	return &orderingv1.Signed{
		Core: c.Encode(), Attested: &orderingv1.Attested{Member: o[:], Clock: 77},
		Signature: ed25519.Sign(key, order.AttestationSignBytes(c.ChainID, c.Position, c.ID(), 77)),
	}
}

func (n *network) submit(first, second *orderingv1.Signed) error {
	_, err := n.server().SubmitEquivocation(n.ctx, &orderingv1.MsgSubmitEquivocation{
		Submitter: account(9).String(), First: first, Second: second,
	})
	return err
}

func TestEquivocationIsPunishedOnce(t *testing.T) {
	key := attestationKey(0, 0)
	for name, evidence := range map[string][2]*orderingv1.Signed{
		"two batches":                    {batchBy(core(0, 0, 1), key), batchBy(core(0, 0, 2), key)},
		"two batches of different epoch": {batchBy(core(0, 1, 1), key), batchBy(core(0, 0, 2), key)},
		"two attestations":               {attestedBy(core(1, 0, 1), 0, key), attestedBy(core(1, 0, 2), 0, key)},
		"two attestations of its own":    {attestedBy(core(0, 0, 1), 0, key), attestedBy(core(0, 0, 2), 0, key)},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, 3, 3)
			n.toEpoch(1)
			require.NoError(t, n.submit(evidence[0], evidence[1]))
			require.EqualValues(t, stakeEach*1_000_000*95/100, n.tokens(0))
			v, err := n.staking.GetValidator(n.ctx, account(0).Bytes())
			require.NoError(t, err)
			require.True(t, v.IsJailed())
			require.True(t, n.slashing.IsTombstoned(n.ctx, consensusAddress(0)))
			require.Error(t, n.slashing.Unjail(n.ctx, account(0).Bytes()))
			for i := 1; i < 3; i++ {
				require.EqualValues(t, stakeEach*1_000_000, n.tokens(i))
			}
			events := n.ctx.EventManager().Events()
			require.Equal(t, equivocationEvent, events[len(events)-1].Type)

			for _, again := range [][2]*orderingv1.Signed{
				evidence, {evidence[1], evidence[0]},
				{batchBy(core(0, 0, 3), key), batchBy(core(0, 0, 4), key)},
			} {
				require.ErrorIs(t, n.keeper.punish(n.ctx, again[0], again[1]), ErrPunished)
				require.ErrorIs(t, n.submit(again[0], again[1]), sdkerrors.ErrInvalidRequest)
			}
			require.EqualValues(t, stakeEach*1_000_000*95/100, n.tokens(0))
			n.toEpoch(2)
			_, ok := n.committee(2).Index(owner(0))
			require.False(t, ok)
		})
	}
}

func signed(s lane.Signed) *orderingv1.Signed {
	row := &orderingv1.Signed{Core: s.Core.Encode(), Signature: s.Signature[:]}
	if s.Attester != nil {
		row.Attested = &orderingv1.Attested{Member: s.Attester[:], Clock: s.Clock}
	}
	return row
}

// What dispersal takes for evidence, the chain does too.
func TestEvidenceOfDispersal(t *testing.T) {
	n := newNetwork(t, 3, 3)
	committee := n.committee(0)
	certificate := func(content byte) *order.Certificate {
		c := &order.Certificate{Header: order.BatchHeader{
			Position: core(1, 0, 0).Position, Root: order.Digest{content}, Length: 1,
		}}
		id := c.Header.ID(networkID)
		for i := range 2 {
			at, _ := committee.Index(owner(i))
			a := order.Attestation{Member: uint32(at), Clock: uint64(content)}
			copy(a.Signature[:], ed25519.Sign(attestationKey(i, 0), order.AttestationSignBytes(networkID, c.Header.Position, id, a.Clock)))
			c.Attestations = append(c.Attestations, a)
		}
		return c
	}
	seen := lane.Equivocations(networkID, certificate(1), committee, certificate(2), committee)
	require.Len(t, seen, 2)
	for _, e := range seen {
		require.NoError(t, n.submit(signed(e.First), signed(e.Second)))
	}
	require.True(t, n.slashing.IsTombstoned(n.ctx, consensusAddress(0)))
	require.True(t, n.slashing.IsTombstoned(n.ctx, consensusAddress(1)))

	require.False(t, n.slashing.IsTombstoned(n.ctx, consensusAddress(2)))
}

// Each signature is checked with the key that the committee of the batch's epoch lists.
func TestEquivocationAcrossRotation(t *testing.T) {
	n := newNetwork(t, 2, 2)
	old, fresh := attestationKey(0, 0), attestationKey(0, 1)
	require.NoError(t, n.register(registration(0, fresh)))
	n.toEpoch(1)
	for name, wrong := range map[string]*orderingv1.Signed{
		"new key in the old epoch": batchBy(core(0, 0, 2), fresh), "old key in the new epoch": batchBy(core(0, 1, 2), old),
	} {
		require.ErrorIs(t, n.keeper.punish(n.ctx, batchBy(core(0, 0, 1), old), wrong), ErrEvidence, name)
	}
	require.NoError(t, n.submit(batchBy(core(0, 0, 1), old), batchBy(core(0, 1, 2), fresh)))
}

// Who has left pays from what is still bound to it, and so do those who left it since.
func TestEquivocationOfOneWhoLeft(t *testing.T) {
	n := newNetwork(t, 2, 2)
	n.at(epochBlocks)
	n.unbond(0, 10) // in the last block before the committee of epoch 1
	n.toEpoch(1)
	n.unbond(0, 40) // after it
	require.NoError(t, n.staking.Jail(n.ctx, consensusAddress(0)))
	n.toEpoch(2)
	key := attestationKey(0, 0)
	require.NoError(t, n.submit(batchBy(core(0, 1, 1), key), batchBy(core(0, 1, 2), key)))
	// 5 % of the 90 that stood behind epoch 1: 2 from what has left since, the rest from
	// what is there.
	require.EqualValues(t, 50_000_000-2_500_000, n.tokens(0))
	u, err := n.staking.GetUnbondingDelegation(n.ctx, account(0), account(0).Bytes())
	require.NoError(t, err)
	require.EqualValues(t, 10_000_000, u.Entries[0].Balance.Int64(), "it was not in the committee's stake")
	require.EqualValues(t, 38_000_000, u.Entries[1].Balance.Int64())

	// When nothing is bound any more, nothing is taken.
	n = newNetwork(t, 2, 2)
	require.NoError(t, n.staking.Jail(n.ctx, consensusAddress(0)))
	n.endStaking()
	n.ctx = n.ctx.WithBlockTime(n.ctx.BlockTime().Add(30 * 24 * 3600 * 1e9))
	n.endStaking()
	require.ErrorIs(t, n.keeper.punish(n.ctx, batchBy(core(0, 0, 1), key), batchBy(core(0, 0, 2), key)), ErrPunished)
}

// Across epochs the stake of the later one counts, whichever signature comes first.
func TestEquivocationAcrossEpochs(t *testing.T) {
	key := attestationKey(0, 0)
	for _, swap := range []bool{false, true} {
		n := newNetwork(t, 2, 2)
		n.unbond(0, 40)
		n.toEpoch(1)
		first, second := batchBy(core(0, 0, 1), key), batchBy(core(0, 1, 2), key)
		if swap {
			first, second = second, first
		}
		require.NoError(t, n.submit(first, second))
		require.EqualValues(t, 57_000_000, n.tokens(0), "5 % of 60")
		u, err := n.staking.GetUnbondingDelegation(n.ctx, account(0), account(0).Bytes())
		require.NoError(t, err)
		require.EqualValues(t, 40_000_000, u.Entries[0].Balance.Int64())
	}
}

func TestForgedEvidenceRefused(t *testing.T) {
	n := newNetwork(t, 4, 3)
	n.toEpoch(1)
	key, other := attestationKey(0, 0), attestationKey(1, 0)
	a, b := core(0, 1, 1), core(0, 1, 2)
	good := batchBy(a, key)
	edit := func(c order.BatchCore, edit func(*order.BatchCore)) order.BatchCore { edit(&c); return c }
	for name, tc := range map[string]struct {
		first, second *orderingv1.Signed
		want          error
	}{
		"nothing":               {good, nil, ErrEvidence},
		"same batch":            {good, good, ErrEvidence},
		"same batch attested":   {attestedBy(a, 0, key), attestedBy(a, 0, key), ErrEvidence},
		"batch and attestation": {good, attestedBy(b, 0, key), ErrEvidence},
		"wrong key":             {good, batchBy(b, other), ErrEvidence},
		"wrong key, attested":   {attestedBy(a, 0, key), attestedBy(b, 0, other), ErrEvidence},
		"another position":      {good, batchBy(edit(b, func(c *order.BatchCore) { c.Sequence++ }), key), ErrEvidence},
		"another session":       {good, batchBy(edit(b, func(c *order.BatchCore) { c.Session++ }), key), ErrEvidence},
		"another lane":          {attestedBy(a, 0, key), attestedBy(core(1, 1, 2), 0, key), ErrEvidence},
		"two owners":            {good, batchBy(core(1, 1, 2), other), ErrEvidence},
		"two attesters":         {attestedBy(a, 0, key), attestedBy(b, 1, other), ErrEvidence},
		"another chain":         {good, batchBy(edit(b, func(c *order.BatchCore) { c.ChainID = "other" }), key), ErrEvidence},
		"both of another chain": {
			batchBy(edit(a, func(c *order.BatchCore) { c.ChainID = "other" }), key),
			batchBy(edit(b, func(c *order.BatchCore) { c.ChainID = "other" }), key), ErrEvidence,
		},
		"not a member": {batchBy(core(7, 1, 1), attestationKey(7, 0)), batchBy(core(7, 1, 2), attestationKey(7, 0)), ErrEvidence},
		// The zero key that stands in the committee would take this.
		"no key registered": {
			&orderingv1.Signed{Core: core(3, 1, 1).Encode(), Signature: nobody},
			&orderingv1.Signed{Core: core(3, 1, 2).Encode(), Signature: nobody}, ErrEvidence,
		},
		"epoch yet to come": {good, batchBy(core(0, 2, 2), key), ErrNoCommittee},
		"signature cut off": {good, &orderingv1.Signed{Core: b.Encode(), Signature: batchBy(b, key).Signature[:63]}, ErrEvidence},
		"core cut off":      {good, &orderingv1.Signed{Core: b.Encode()[:40], Signature: batchBy(b, key).Signature}, ErrEvidence},
		"signature of a batch as an attestation": {
			&orderingv1.Signed{Core: a.Encode(), Attested: attestedBy(a, 0, key).Attested, Signature: batchBy(a, key).Signature},
			attestedBy(b, 0, key), ErrEvidence,
		},
		"another clock than signed": {
			attestedBy(a, 0, key),
			&orderingv1.Signed{Core: b.Encode(), Attested: &orderingv1.Attested{Member: attestedBy(b, 0, key).Attested.Member, Clock: 78}, Signature: attestedBy(b, 0, key).Signature},
			ErrEvidence,
		},
		"member cut off": {attestedBy(a, 0, key), &orderingv1.Signed{Core: b.Encode(), Attested: &orderingv1.Attested{Member: []byte{1}}}, ErrEvidence},
	} {
		require.ErrorIs(t, n.keeper.punish(n.ctx, tc.first, tc.second), tc.want, name)
		require.ErrorIs(t, n.submit(tc.first, tc.second), sdkerrors.ErrInvalidRequest, name)
	}
	for i := range 4 {
		require.EqualValues(t, stakeEach*1_000_000, n.tokens(i))
		require.False(t, n.slashing.IsTombstoned(n.ctx, consensusAddress(i)))
	}
	require.NoError(t, n.submit(good, batchBy(b, key)), "what the forgeries were made from is evidence")
}

// Members need not remember what they signed in epochs that are over.
func TestEvidenceOfEpochsFarApart(t *testing.T) {
	n := newNetwork(t, 2, 2)
	n.toEpoch(3)
	key := attestationKey(0, 0)
	for _, epochs := range [][2]uint64{{0, 2}, {3, 0}, {3, 1}} {
		a, b := core(1, epochs[0], 1), core(1, epochs[1], 2)
		require.ErrorIs(t, n.keeper.punish(n.ctx, attestedBy(a, 0, key), attestedBy(b, 0, key)), ErrEvidence, epochs)
	}
	require.NoError(t, n.submit(attestedBy(core(1, 3, 1), 0, key), attestedBy(core(1, 2, 2), 0, key)))
}

func TestEvidenceExpires(t *testing.T) {
	n := newNetwork(t, 2, 2)
	key := attestationKey(0, 0)
	n.toEpoch(5)
	require.ErrorIs(t, n.keeper.punish(n.ctx, batchBy(core(0, 0, 1), key), batchBy(core(0, 0, 2), key)), ErrNoCommittee)
	require.NoError(t, n.submit(batchBy(core(0, 1, 1), key), batchBy(core(0, 1, 2), key)))
}
