package ordering

import (
	"context"
	"errors"
	"fmt"

	"cosmossdk.io/core/store"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
)

// Rules returns what the state in ctx says about the block of that height, which
// must be the one after it. Verify and Limits are the caller's to set.
func (k Keeper) Rules(ctx sdk.Context, height uint64, w *Window) (*Rules, error) {
	if !w.Mirrors(height - 1) {
		if err := k.LoadWindow(ctx, height-1, w); err != nil {
			return nil, err
		}
	}
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	lanes, err := k.View(ctx, height-1)
	if err != nil {
		return nil, err
	}
	moved, err := k.moved(ctx)
	if err != nil {
		return nil, err
	}
	return &Rules{
		ChainID: lanes.ChainID, Height: height, Params: p, Fate: w.Fate,
		Balance:   func(p order.Payer) uint64 { return k.Balance(ctx, p) },
		Lane:      func(o order.Owner) order.LaneState { return lanes.Lanes[o] },
		Moved:     func(o order.Owner) bool { return moved[o] },
		Committee: lanes.Committee,
	}, nil
}

// OpenCommittees returns the committees whose batches a block of that epoch may order:
// that of the epoch and that of the one before, which is nil in the first epoch that
// the state knows.
func (k Keeper) OpenCommittees(ctx context.Context, epoch uint64) (current, previous *order.Committee, err error) {
	if current, err = k.Committee(ctx, epoch); err != nil || epoch == 0 {
		return current, nil, err
	}
	if previous, err = k.Committee(ctx, epoch-1); errors.Is(err, ErrNoCommittee) {
		return current, nil, nil
	}
	return current, previous, err
}

// Apply writes what the block does to the state: it moves the fees and the lanes, and
// keeps the record of what was carried.
func (k Keeper) Apply(ctx context.Context, e *Evaluation) error {
	for _, c := range e.Charges {
		coins := sdk.NewCoins(sdk.NewCoin(Denom, sdkmath.NewIntFromUint64(c.Amount)))
		if err := k.bank.SendCoinsFromAccountToModule(ctx, c.Payer, k.feeCollector, coins); err != nil {
			return fmt.Errorf("charge %s for its bundles: %w", c.Payer, err)
		}
	}
	for _, l := range e.Lanes {
		if err := k.SetLane(ctx, l.Owner, l.LaneState); err != nil {
			return fmt.Errorf("move lane of %s: %w", l.Owner, err)
		}
	}
	if err := k.setMoved(ctx, e.Lanes); err != nil {
		return err
	}
	kv := k.store.OpenKVStore(ctx)
	if err := prune(kv, e.Block.Height); err != nil {
		return err
	}
	if len(e.Carried.Records) == 0 {
		return nil
	}
	return kv.Set(recordKey(e.Carried.Until, e.Carried.Height), e.Carried.encodeRecords())
}

// setMoved writes which lanes the block moves, for the rules of the next one.
func (k Keeper) setMoved(ctx context.Context, lanes []order.LaneEnd) error {
	kv := k.store.OpenKVStore(ctx)
	if len(lanes) == 0 {
		if had, err := kv.Has(movedKey); err != nil || !had {
			return err
		}
		return kv.Delete(movedKey)
	}
	owners := make([]byte, 0, len(lanes)*len(order.Owner{}))
	for _, l := range lanes {
		owners = append(owners, l.Owner[:]...)
	}
	return kv.Set(movedKey, owners)
}

// moved returns the lanes that the last block moved.
func (k Keeper) moved(ctx context.Context) (map[order.Owner]bool, error) {
	raw, err := k.store.OpenKVStore(ctx).Get(movedKey)
	if err != nil {
		return nil, fmt.Errorf("read lanes moved: %w", err)
	}
	const size = len(order.Owner{})
	if len(raw)%size != 0 {
		return nil, fmt.Errorf("record of lanes moved has %d bytes, want a multiple of %d", len(raw), size)
	}
	moved := make(map[order.Owner]bool, len(raw)/size)
	for ; len(raw) > 0; raw = raw[size:] {
		moved[order.Owner(raw[:size])] = true
	}
	return moved, nil
}

// prune deletes the records that no longer matter after the block of that height.
func prune(kv store.KVStore, height uint64) error {
	it, err := kv.Iterator(recordPrefix, recordKey(height+1, 0))
	if err != nil {
		return fmt.Errorf("prune records of carried bundles: %w", err)
	}
	var old [][]byte
	for ; it.Valid(); it.Next() {
		old = append(old, it.Key())
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("prune records of carried bundles: %w", err)
	}
	for _, key := range old {
		if err := kv.Delete(key); err != nil {
			return fmt.Errorf("prune records of carried bundles: %w", err)
		}
	}
	return nil
}
