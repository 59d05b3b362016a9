package ordering

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"cosmossdk.io/core/store"
	sdkmath "cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
)

const (
	// ModuleName is the module's name in genesis, in routes and in gov proposals.
	ModuleName = "ordering"
	// StoreKey names the module's store.
	StoreKey = ModuleName
	// Denom is the unit in which bundles are paid for.
	Denom = "uordo"
)

// Keys of the store:
//
//	0x00                                    Params
//	0x01 | until, 8 bytes | height, 8 bytes   records of what the block carried
//
// Numbers are big endian, so that records which no longer matter stand first.
var (
	paramsKey    = []byte{0x00}
	recordPrefix = []byte{0x01}
)

func recordKey(until, height uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{recordPrefix[0]}, until), height)
}

// Bank is what the module needs of the bank module.
type Bank interface {
	SpendableCoin(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amount sdk.Coins) error
}

// Keeper reads and writes the module's state.
type Keeper struct {
	store        store.KVStoreService
	bank         Bank
	feeCollector string // module account whose money goes to stakers
	authority    string // address that may change the parameters
}

// NewKeeper returns a keeper over the store.
func NewKeeper(kv store.KVStoreService, bank Bank, feeCollector, authority string) Keeper {
	return Keeper{store: kv, bank: bank, feeCollector: feeCollector, authority: authority}
}

// Params returns the rules in force.
func (k Keeper) Params(ctx context.Context) (Params, error) {
	raw, err := k.store.OpenKVStore(ctx).Get(paramsKey)
	if err != nil {
		return Params{}, fmt.Errorf("read ordering params: %w", err)
	}
	if raw == nil {
		return Params{}, errors.New("read ordering params: the chain has none; its genesis lacks the ordering module")
	}
	var p Params
	if err := p.Unmarshal(raw); err != nil {
		return Params{}, fmt.Errorf("decode ordering params: %w", err)
	}
	return p, nil
}

// SetParams replaces the rules, from the next block on.
func (k Keeper) SetParams(ctx context.Context, p Params) error {
	if err := ValidateParams(p); err != nil {
		return err
	}
	raw, err := p.Marshal()
	if err != nil {
		return fmt.Errorf("encode ordering params: %w", err)
	}
	return k.store.OpenKVStore(ctx).Set(paramsKey, raw)
}

// Balance returns what the payer can spend, in uordo.
func (k Keeper) Balance(ctx context.Context, p order.Payer) uint64 {
	amount := k.bank.SpendableCoin(ctx, Address(p), Denom).Amount
	if !amount.IsUint64() {
		return math.MaxUint64
	}
	return amount.Uint64()
}

// Rules returns what the state in ctx says about the block of that height, which
// must be the one after it.
func (k Keeper) Rules(ctx context.Context, height uint64, w *Window, v *Verifier) (*Rules, error) {
	if !w.Mirrors(height - 1) {
		if err := k.LoadWindow(ctx, height-1, w); err != nil {
			return nil, err
		}
	}
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	return &Rules{
		Height: height, Params: p, Fate: w.Fate, Verify: v.Verify,
		Balance: func(p order.Payer) uint64 { return k.Balance(ctx, p) },
	}, nil
}

// Apply writes what the block does to the state: it moves the fees and keeps the
// record of what was carried.
func (k Keeper) Apply(ctx context.Context, e *Evaluation) error {
	for _, c := range e.Charges {
		coins := sdk.NewCoins(sdk.NewCoin(Denom, sdkmath.NewIntFromUint64(c.Amount)))
		if err := k.bank.SendCoinsFromAccountToModule(ctx, c.Payer, k.feeCollector, coins); err != nil {
			return fmt.Errorf("charge %s for its bundles: %w", c.Payer, err)
		}
	}
	kv := k.store.OpenKVStore(ctx)
	if err := prune(kv, e.Block.Height); err != nil {
		return err
	}
	if len(e.IDs) == 0 {
		return nil
	}
	c := e.Carried()
	return kv.Set(recordKey(c.Until, c.Height), c.encodeRecords())
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

// LoadWindow makes the window mirror the state in ctx, which has that height.
func (k Keeper) LoadWindow(ctx context.Context, height uint64, w *Window) error {
	return w.reset(height, func(put func(order.BundleID, Fate, uint64)) error {
		return k.eachRecord(ctx, func(until, carried uint64, records []byte) error {
			return decodeRecords(records, func(id order.BundleID, reason DropReason) {
				put(id, Fate{Height: carried, Reason: reason}, until)
			})
		})
	})
}

func (k Keeper) eachRecord(ctx context.Context, yield func(until, height uint64, records []byte) error) error {
	it, err := k.store.OpenKVStore(ctx).Iterator(recordPrefix, []byte{recordPrefix[0] + 1})
	if err != nil {
		return fmt.Errorf("read records of carried bundles: %w", err)
	}
	for ; it.Valid(); it.Next() {
		key := it.Key()
		if len(key) != 17 {
			_ = it.Close()
			return fmt.Errorf("record of carried bundles has a key of %d bytes, want 17", len(key))
		}
		if err := yield(binary.BigEndian.Uint64(key[1:9]), binary.BigEndian.Uint64(key[9:]), it.Value()); err != nil {
			_ = it.Close()
			return err
		}
	}
	return it.Close()
}
