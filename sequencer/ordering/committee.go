package ordering

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// ErrNoCommittee is returned for an epoch that has not begun or is too long ago.
var ErrNoCommittee = errors.New("no committee is known of that epoch")

// Epoch returns the epoch of the block of that height, which counts from 1.
func Epoch(height uint64, p Params) uint64 { return (height - 1) / p.EpochBlocks }

// BeginEpoch fixes the committee of an epoch: the validators that are bonded now,
// with the attestation keys that they have registered. It is called at the end of
// the last block before the epoch, after the staking module, and for a chain's first
// epoch at genesis. A chain that goes on from an export in the middle of an epoch has
// that epoch's committee already; then nothing happens.
func (k Keeper) BeginEpoch(ctx context.Context, epoch uint64) error {
	last, begun, err := k.epoch(ctx)
	if err != nil {
		return err
	}
	switch {
	case begun && epoch == last:
		return nil
	case begun && epoch != last+1:
		return fmt.Errorf("begin epoch %d: the state is of epoch %d; an exported genesis goes on at the height after the export", epoch, last)
	}
	before := new(orderingv1.Committee)
	if begun {
		if before, err = k.committee(ctx, last); err != nil {
			return err
		}
	}
	now, err := k.bonded(ctx)
	if err != nil {
		return fmt.Errorf("begin epoch %d: %w", epoch, err)
	}
	switch {
	case len(now) == 0 && !begun:
		return fmt.Errorf("begin epoch %d: there is no validator", epoch)
	case len(now) == 0: // nor a block that could see it
		now = before.Members
	}
	if !slices.EqualFunc(before.Members, now, sameMember) {
		if err := k.set(ctx, committeeKey(epoch), &orderingv1.Committee{Epoch: epoch, Members: now}); err != nil {
			return err
		}
	}
	if err := k.store.OpenKVStore(ctx).Set(epochKey, binary.BigEndian.AppendUint64(nil, epoch)); err != nil {
		return fmt.Errorf("begin epoch %d: %w", epoch, err)
	}
	// Batches of the epoch before are still accepted, so its members count too.
	members := func(o order.Owner) bool { return hasMember(before.Members, o) || hasMember(now, o) }
	if err := k.closeLanes(ctx, members); err != nil {
		return fmt.Errorf("close lanes: %w", err)
	}
	if err := k.forgetAttesters(ctx, members); err != nil {
		return fmt.Errorf("forget attesters: %w", err)
	}
	return k.pruneCommittees(ctx, epoch)
}

// Committee returns the committee of an epoch, from the one of the next block back
// for as many as the parameters say. Errors: ErrNoCommittee.
func (k Keeper) Committee(ctx context.Context, epoch uint64) (*order.Committee, error) {
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	current, begun, err := k.epoch(ctx)
	switch {
	case err != nil:
		return nil, err
	case !begun || epoch > current:
		return nil, fmt.Errorf("epoch %d, the next block has epoch %d: %w", epoch, current, ErrNoCommittee)
	case current-epoch > p.RetainEpochs:
		return nil, fmt.Errorf("epoch %d, the oldest kept is %d: %w", epoch, current-p.RetainEpochs, ErrNoCommittee)
	}
	c, err := k.committee(ctx, epoch)
	if err != nil {
		return nil, err
	}
	members, err := decodeMembers(c.Members)
	if err != nil {
		return nil, fmt.Errorf("committee of epoch %d: %w", epoch, err)
	}
	return order.NewCommittee(epoch, members)
}

// epoch returns the epoch of the next block; false before the first one has begun.
func (k Keeper) epoch(ctx context.Context) (uint64, bool, error) {
	raw, err := k.store.OpenKVStore(ctx).Get(epochKey)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("read epoch: %w", err)
	case raw == nil:
		return 0, false, nil
	case len(raw) != 8:
		return 0, false, fmt.Errorf("epoch has %d bytes, want 8", len(raw))
	}
	return binary.BigEndian.Uint64(raw), true, nil
}

// committee returns the latest committee stored that begins with the epoch or before it.
func (k Keeper) committee(ctx context.Context, epoch uint64) (*orderingv1.Committee, error) {
	it, err := k.store.OpenKVStore(ctx).ReverseIterator(committeeKey(0), committeeKey(epoch+1))
	if err != nil {
		return nil, fmt.Errorf("read committee of epoch %d: %w", epoch, err)
	}
	c := new(orderingv1.Committee)
	if !it.Valid() {
		err = ErrNoCommittee
	} else {
		err = c.Unmarshal(it.Value())
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return nil, fmt.Errorf("read committee of epoch %d: %w", epoch, err)
	}
	return c, nil
}

// bonded returns the members of a committee of now, by owner: those with the most
// power, where there are more than a committee takes. An operator whose address is not
// of 20 bytes cannot own a lane; its power stays out.
func (k Keeper) bonded(ctx context.Context) ([]*orderingv1.Member, error) {
	validators, err := k.staking.GetBondedValidatorsByPower(ctx)
	if err != nil {
		return nil, fmt.Errorf("read validators: %w", err)
	}
	var members []*orderingv1.Member
	for _, v := range validators {
		operator, err := sdk.ValAddressFromBech32(v.GetOperator())
		if err != nil {
			return nil, fmt.Errorf("validator %s: %w", v.GetOperator(), err)
		}
		owner, err := order.OwnerFromBytes(operator)
		power := v.GetConsensusPower(sdk.DefaultPowerReduction)
		if err != nil || power <= 0 {
			continue
		}
		var a orderingv1.Attester
		if _, err := k.get(ctx, attesterKey(owner), &a); err != nil {
			return nil, err
		}
		members = append(members, &orderingv1.Member{Owner: owner[:], Key: a.Key, Stake: uint64(power)})
		if len(members) == order.MaxMembers {
			break
		}
	}
	slices.SortFunc(members, func(a, b *orderingv1.Member) int { return bytes.Compare(a.Owner, b.Owner) })
	return members, nil
}

// pruneCommittees deletes what nobody may look up in that epoch. The committee of
// the oldest epoch kept stays, although it may have begun long before.
func (k Keeper) pruneCommittees(ctx context.Context, epoch uint64) error {
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	if epoch <= p.RetainEpochs {
		return nil
	}
	var old [][]byte
	err = k.scan(ctx, committeePrefix, committeeKey(epoch-p.RetainEpochs+1), func(key, _ []byte) error {
		old = append(old, bytes.Clone(key))
		return nil
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return k.remove(ctx, old[:len(old)-1])
}

func sameMember(a, b *orderingv1.Member) bool {
	return bytes.Equal(a.Owner, b.Owner) && bytes.Equal(a.Key, b.Key) && a.Stake == b.Stake
}

func hasMember(members []*orderingv1.Member, o order.Owner) bool {
	_, found := slices.BinarySearchFunc(members, o[:], func(m *orderingv1.Member, o []byte) int { return bytes.Compare(m.Owner, o) })
	return found
}

func decodeMembers(rows []*orderingv1.Member) ([]order.Member, error) {
	members := make([]order.Member, len(rows))
	for i, r := range rows {
		owner, err := order.OwnerFromBytes(r.GetOwner())
		if err != nil {
			return nil, err
		}
		members[i] = order.Member{Owner: owner, Stake: r.GetStake()}
		if n := len(r.GetKey()); n != 0 && n != len(members[i].Key) {
			return nil, fmt.Errorf("member %s has a key of %d bytes, want %d or none", owner, n, len(members[i].Key))
		}
		copy(members[i].Key[:], r.GetKey())
	}
	return members, nil
}

func committeeRow(c *order.Committee) *orderingv1.Committee {
	row := &orderingv1.Committee{Epoch: c.Epoch}
	for _, m := range c.Members {
		r := &orderingv1.Member{Owner: m.Owner[:], Stake: m.Stake}
		if m.Key != ([ed25519.PublicKeySize]byte{}) {
			r.Key = m.Key[:]
		}
		row.Members = append(row.Members, r)
	}
	return row
}
