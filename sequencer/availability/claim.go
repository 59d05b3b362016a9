package availability

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/da"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

var (
	// ErrClaim is returned for a claim that breaks a bound, or is of blocks that there are not yet.
	ErrClaim = errors.New("claim cannot be taken")
	// ErrIgnored is returned for claims of a relayer that claimed what was not true.
	ErrIgnored = errors.New("relayer is ignored")
)

const (
	maxLayerName = 16
	blobIDSize   = 32
)

// CheckClaim checks the bounds of a claim. Errors: ErrClaim.
func CheckClaim(c *availabilityv1.Claim) error {
	switch {
	case c == nil:
		return fmt.Errorf("it is empty: %w", ErrClaim)
	case len(c.RollupId) != rollupIDSize:
		return fmt.Errorf("rollup ID has %d bytes, want %d: %w", len(c.RollupId), rollupIDSize, ErrClaim)
	case !validLayer(c.Layer):
		return fmt.Errorf("layer is %q, want 1 to %d of a-z, 0-9 and -: %w", c.Layer, maxLayerName, ErrClaim)
	case (c.From == 0) != (c.To == 0) || c.From > c.To:
		return fmt.Errorf("blocks %d to %d, want the first and the last, or 0 and 0: %w", c.From, c.To, ErrClaim)
	case len(c.Parts) == 0 || len(c.Parts) > da.MaxClaimParts:
		return fmt.Errorf("%d parts, want 1 to %d: %w", len(c.Parts), da.MaxClaimParts, ErrClaim)
	case c.Size() > MaxClaimBytes:
		return fmt.Errorf("it has %d bytes, at most %d: %w", c.Size(), MaxClaimBytes, ErrClaim)
	}
	for i, p := range c.Parts {
		if p == nil || len(p.BlobId) != blobIDSize || len(p.Commitment) > da.MaxCommitmentBytes {
			return fmt.Errorf("part %d has a blob ID of %d bytes, want %d, and a commitment of %d, at most %d: %w",
				i, len(p.GetBlobId()), blobIDSize, len(p.GetCommitment()), da.MaxCommitmentBytes, ErrClaim)
		}
	}
	return nil
}

func validLayer(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxLayerName
}

// claim takes a relayer's claims and returns the number of each, as MsgClaimResponse has
// them. Errors: ErrClaim, ErrIgnored.
func (k Keeper) claim(ctx sdk.Context, relayer sdk.AccAddress, claims []*availabilityv1.Claim) ([]uint64, error) {
	if len(claims) == 0 || len(claims) > MaxMessageClaims {
		return nil, fmt.Errorf("%d claims in a message, want 1 to %d: %w", len(claims), MaxMessageClaims, ErrClaim)
	}
	height := uint64(ctx.BlockHeight())
	r, err := k.Relayer(ctx, relayer)
	if err != nil {
		return nil, err
	}
	if height <= r.IgnoredUntil {
		return nil, fmt.Errorf("%s claimed %d times what was not true, and is heard again after block %d: %w", relayer, r.FalseClaims, r.IgnoredUntil, ErrIgnored)
	}
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	numbers := make([]uint64, len(claims))
	for i, c := range claims {
		if err := CheckClaim(c); err != nil {
			return nil, fmt.Errorf("claim %d: %w", i, err)
		}
		if c.To >= height {
			return nil, fmt.Errorf("claim %d: of blocks up to %d in block %d: %w", i, c.To, height, ErrClaim)
		}
		if numbers[i], err = k.take(ctx, p, relayer, c); err != nil {
			return nil, fmt.Errorf("claim %d: %w", i, err)
		}
		if err := emitClaim(ctx, numbers[i], relayer, c); err != nil {
			return nil, fmt.Errorf("claim %d: %w", i, err)
		}
	}
	return numbers, nil
}

// take puts a claim to those that wait and returns its number, or 0 where there is
// nothing to look at. A claim that waits already keeps its number.
func (k Keeper) take(ctx sdk.Context, p Params, relayer sdk.AccAddress, c *availabilityv1.Claim) (uint64, error) {
	if c.To == 0 {
		return 0, nil
	}
	rollup, err := k.Rollup(ctx, c.RollupId)
	if err != nil {
		return 0, err
	}
	if Covers(rollup.Ranges, c.From, c.To) {
		return 0, nil
	}
	same, err := k.makeRoom(ctx, p, relayer, c)
	if err != nil || same != 0 {
		return same, err
	}
	last, err := k.number(ctx, lastNumberKey)
	if err != nil {
		return 0, err
	}
	number := last + 1
	return number, errors.Join(k.setNumber(ctx, lastNumberKey, number),
		k.put(ctx, &availabilityv1.PendingClaim{Number: number, Height: uint64(ctx.BlockHeight()), Relayer: relayer.String(), Claim: c}, relayer))
}

// makeRoom lets the oldest claims give way where as many wait as may: nobody can keep
// others out with claims that nobody is able to look at. It returns the number of
// the same claim where that waits.
func (k Keeper) makeRoom(ctx context.Context, p Params, relayer sdk.AccAddress, c *availabilityv1.Claim) (same uint64, err error) {
	rollup, err := k.waiting(ctx, c.RollupId)
	if err != nil {
		return 0, err
	}
	var own []uint64
	for _, w := range rollup {
		if !w.relayer.Equals(relayer) {
			continue
		}
		have, err := k.pending(ctx, w.number)
		if err != nil {
			return 0, err
		}
		if equal(have.GetClaim(), c) {
			return w.number, nil
		}
		own = append(own, w.number)
	}
	var oldest uint64
	count, err := k.number(ctx, pendingCountKey)
	switch {
	case err != nil:
		return 0, err
	case len(own) >= MaxRelayerPending:
		oldest = own[0]
	case len(rollup) >= MaxRollupPending:
		oldest = rollup[0].number
	case count >= p.MaxPending:
		all, err := k.Pending(ctx, 0, 1)
		if err != nil || len(all) == 0 {
			return 0, err
		}
		oldest = all[0].Number
	default:
		return 0, nil
	}
	gone, err := k.pending(ctx, oldest)
	if err != nil {
		return 0, err
	}
	return 0, k.settled(sdk.UnwrapSDKContext(ctx), gone, outcomeGaveWay)
}

// equal compares encodings, which are the same for the same message.
func equal(a, b *availabilityv1.Claim) bool {
	rawA, errA := a.Marshal()
	rawB, errB := b.Marshal()
	return errA == nil && errB == nil && bytes.Equal(rawA, rawB)
}
