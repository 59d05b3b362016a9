package availability

import (
	"context"
	"encoding/binary"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// Available is what the state says of one rollup.
type Available struct {
	Rollup order.RollupID
	// Ranges are all runs of blocks that are confirmed. The first is the one to tell of
	// where one is told: from where on, and up to where. The others follow ascending.
	Ranges  []*availabilityv1.Range
	Waiting int // claims
}

// Available returns what the state says of a rollup.
func (k Keeper) Available(ctx context.Context, id order.RollupID) (Available, error) {
	r, err := k.Rollup(ctx, id[:])
	if err != nil {
		return Available{}, err
	}
	p, err := k.Params(ctx)
	if err != nil {
		return Available{}, err
	}
	w, err := k.waiting(ctx, id[:])
	return Available{Rollup: id, Ranges: toldFirst(r.Ranges, p.GapBlocks), Waiting: len(w.Claims)}, err
}

// Rollups returns the rollups of which something is confirmed, by ID, at most so many.
func (k Keeper) Rollups(ctx context.Context, limit int) ([]order.RollupID, error) {
	var out []order.RollupID
	err := k.scan(ctx, rollupPrefix, endOf(rollupPrefix), func(key, _ []byte) error {
		if len(out) >= limit {
			return errEnough
		}
		id, err := order.RollupIDFromBytes(key[1:])
		out = append(out, id)
		return err
	})
	return out, err
}

// EachPending calls yield for each claim that waits, by number, with a function that
// decodes it.
func (k Keeper) EachPending(ctx context.Context, yield func(number uint64, load func() (*availabilityv1.PendingClaim, error)) error) error {
	return k.scan(ctx, pendingPrefix, endOf(pendingPrefix), func(key, raw []byte) error {
		return yield(binary.BigEndian.Uint64(key[1:]), func() (*availabilityv1.PendingClaim, error) {
			p := new(availabilityv1.PendingClaim)
			return p, p.Unmarshal(raw)
		})
	})
}

// Ignored reports whether a relayer's claims are not looked at in the block of that height.
func (k Keeper) Ignored(ctx context.Context, relayer string, height uint64) (bool, error) {
	address, err := sdk.AccAddressFromBech32(relayer)
	if err != nil {
		return false, err
	}
	r, err := k.Relayer(ctx, address)
	return err == nil && height <= r.IgnoredUntil, err
}
