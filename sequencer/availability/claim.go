package availability

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/da"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// ErrClaim is returned for a claim that breaks a bound, or is of blocks that there are not yet.
var ErrClaim = errors.New("claim cannot be taken")

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
// them. All of them are recorded, or none. Errors: ErrClaim, ErrNoRoom.
func (k Keeper) claim(ctx sdk.Context, relayer sdk.AccAddress, claims []*availabilityv1.Claim) ([]uint64, error) {
	if len(claims) == 0 || len(claims) > MaxMessageClaims {
		return nil, fmt.Errorf("%d claims in a message, want 1 to %d: %w", len(claims), MaxMessageClaims, ErrClaim)
	}
	// What is paid is said by the constants, not by the rows that are read and written.
	gas := ctx.GasMeter()
	ctx = ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
	height := uint64(ctx.BlockHeight())
	r, err := k.Relayer(ctx, relayer)
	if err != nil {
		return nil, err
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
		gas.ConsumeGas(RecordGas+ByteGas*uint64(c.Size()), "record of a claim")
		// What an ignored relayer says is recorded all the same: readers of a layer without
		// heights find its blobs by that, and verify what they fetch.
		if c.To > 0 && height > r.IgnoredUntil {
			if numbers[i], err = k.take(ctx, gas, p, relayer, c); err != nil {
				return nil, fmt.Errorf("claim %d: %w", i, err)
			}
		}
		if err := emitClaim(ctx, numbers[i], relayer, c); err != nil {
			return nil, fmt.Errorf("claim %d: %w", i, err)
		}
	}
	return numbers, nil
}

// take puts a claim about blocks to those that wait and returns its number, or 0 where
// nobody has to look at it. A claim that waits already keeps its number. Errors: ErrNoRoom.
func (k Keeper) take(ctx sdk.Context, gas storetypes.GasMeter, p Params, relayer sdk.AccAddress, c *availabilityv1.Claim) (uint64, error) {
	rollup, err := k.Rollup(ctx, c.RollupId)
	if err != nil {
		return 0, err
	}
	if Covers(rollup.Ranges, c.From, c.To) {
		return 0, nil
	}
	waiting, err := k.waiting(ctx, c.RollupId)
	if err != nil {
		return 0, err
	}
	gas.ConsumeGas(ListedGas*uint64(len(waiting.Claims)), "look through claims that wait")
	sum, err := digest(c)
	if err != nil {
		return 0, err
	}
	for _, w := range waiting.Claims {
		if bytes.Equal(w.Relayer, relayer) && bytes.Equal(w.Digest, sum) {
			return w.Number, nil
		}
	}
	err = k.makeRoom(ctx, gas, p, relayer, c, waiting.Claims)
	if errors.Is(err, ErrNoRoom) && isIndex(c) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	gas.ConsumeGas(LookGas+PartGas*uint64(len(c.Parts)), "look at a claim")
	last, err := k.number(ctx, lastNumberKey)
	if err != nil {
		return 0, err
	}
	number := last + 1
	return number, errors.Join(k.setNumber(ctx, lastNumberKey, number),
		k.put(ctx, &availabilityv1.PendingClaim{Number: number, Height: uint64(ctx.BlockHeight()), Relayer: relayer.String(), Claim: c}, relayer))
}

// isIndex reports whether the claim is of a layer without heights of its own, whose
// readers find blobs by the record alone. Nothing may keep them from that.
func isIndex(c *availabilityv1.Claim) bool {
	return !slices.ContainsFunc(c.Parts, func(p *availabilityv1.Part) bool { return p.DaHeight > 0 })
}
