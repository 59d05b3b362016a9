package availability

import (
	"context"
	"errors"
	"fmt"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// ErrNoRoom is returned for a claim that there is no room for now. The same one may be made
// again later.
var ErrNoRoom = errors.New("no room for the claim now")

// Gas of claims, in place of that of the rows they change: a relayer knows what to pay, and
// a block that is full of claims is executed in a part of the time that there is for a
// block. What is looked at costs each validator a fetch for each part.
const (
	RecordGas   = 30_000 // of each claim
	ByteGas     = 40     // of each byte of it
	ListedGas   = 400    // of each claim that waits about the same rollup, where that is looked at
	LookGas     = 70_000 // of one that is put to those that wait
	PartGas     = 5_000  // of each of its parts
	GivesWayGas = 50_000 // of one that another one gives way to
)

// makeRoom returns nil where one more claim of the relayer may wait. None of its own gives
// way to it: they may be as true. Where all room is taken, one of a relayer that has more
// of it gives way. Errors: ErrNoRoom.
func (k Keeper) makeRoom(ctx sdk.Context, gas storetypes.GasMeter, p Params, relayer sdk.AccAddress, c *availabilityv1.Claim, rollup []*availabilityv1.WaitingClaim) error {
	own := of(relayer, rollup)
	if own >= MaxRelayerPending {
		return fmt.Errorf("%d claims of %s about rollup %x wait, the most that may: %w", own, relayer, c.RollupId, ErrNoRoom)
	}
	ownAll, err := k.number(ctx, relayerCountKey(relayer))
	if err != nil {
		return err
	}
	if share := max(p.MaxPending/relayerShare, 1); ownAll >= share {
		return fmt.Errorf("%d claims of %s wait, of at most %d: %w", ownAll, relayer, share, ErrNoRoom)
	}
	count, err := k.number(ctx, pendingCountKey)
	if err != nil {
		return err
	}
	var gone *availabilityv1.PendingClaim
	switch {
	case len(rollup) >= MaxRollupPending:
		gone, err = k.crowding(ctx, rollup, own)
	case count >= p.MaxPending:
		gone, err = k.stale(ctx, ownAll)
	default:
		return nil
	}
	switch {
	case err != nil:
		return err
	case gone == nil:
		return fmt.Errorf("%d claims about rollup %x and %d in all wait, of at most %d and %d: %w",
			len(rollup), c.RollupId, count, MaxRollupPending, p.MaxPending, ErrNoRoom)
	}
	gas.ConsumeGas(GivesWayGas, "claim that gives way")
	return k.settled(ctx, gone, outcomeGaveWay)
}

// crowding returns the claim that gives way where a rollup has no room: the oldest of the
// relayer that has most of them, if that are more than the own ones; else nil.
func (k Keeper) crowding(ctx context.Context, rollup []*availabilityv1.WaitingClaim, own int) (*availabilityv1.PendingClaim, error) {
	oldest, most := crowding(rollup)
	if most <= own {
		return nil, nil
	}
	return k.pending(ctx, oldest.Number)
}

// stale returns the claim that gives way where there is no room at all: the one that has
// waited for longest, if its relayer has more of them than the own ones; else nil. What
// validators are able to look at does not get that old.
func (k Keeper) stale(ctx context.Context, own uint64) (*availabilityv1.PendingClaim, error) {
	oldest, err := k.oldest(ctx)
	if err != nil || oldest == nil {
		return nil, err
	}
	relayer, err := sdk.AccAddressFromBech32(oldest.Relayer)
	if err != nil {
		return nil, err
	}
	theirs, err := k.number(ctx, relayerCountKey(relayer))
	if err != nil || theirs <= own {
		return nil, err
	}
	return oldest, nil
}
