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
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

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
//	0x00                                      Params
//	0x01 | until, 8 bytes | height, 8 bytes   records of what the block carried
//	0x02 | owner, 20 bytes                    Lane
//	0x03 | first epoch, 8 bytes               Committee, where it differs from the one before
//	0x04 | owner, 20 bytes                    Attester
//	0x05 | attestation key, 32 bytes          owner, 20 bytes: whose key it is for ever
//	0x06                                      epoch of the next block, 8 bytes
//	0x07                                      owners, 20 bytes each: whose lanes the last block moved
//
// Numbers are big endian, so that what is oldest stands first.
var (
	paramsKey       = []byte{0x00}
	recordPrefix    = []byte{0x01}
	lanePrefix      = []byte{0x02}
	committeePrefix = []byte{0x03}
	attesterPrefix  = []byte{0x04}
	keyOwnerPrefix  = []byte{0x05}
	epochKey        = []byte{0x06}
	movedKey        = []byte{0x07}
)

func recordKey(until, height uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{recordPrefix[0]}, until), height)
}

func laneKey(o order.Owner) []byte { return append([]byte{lanePrefix[0]}, o[:]...) }

func committeeKey(epoch uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{committeePrefix[0]}, epoch)
}

func attesterKey(o order.Owner) []byte { return append([]byte{attesterPrefix[0]}, o[:]...) }

func keyOwnerKey(key []byte) []byte { return append([]byte{keyOwnerPrefix[0]}, key...) }

// Bank is what the module needs of the bank module.
type Bank interface {
	GetBalance(ctx context.Context, addr sdk.AccAddress, denom string) sdk.Coin
	SendCoinsFromAccountToModule(ctx context.Context, from sdk.AccAddress, module string, amount sdk.Coins) error
}

// Staking is what the module needs of the staking module.
type Staking interface {
	GetValidator(ctx context.Context, operator sdk.ValAddress) (stakingtypes.Validator, error)
	GetValidatorByConsAddr(ctx context.Context, addr sdk.ConsAddress) (stakingtypes.Validator, error)
	GetBondedValidatorsByPower(ctx context.Context) ([]stakingtypes.Validator, error)
}

// Slashing is what the module needs of the slashing module.
type Slashing interface {
	Slash(ctx context.Context, addr sdk.ConsAddress, fraction sdkmath.LegacyDec, power, distributionHeight int64) error
	Jail(ctx context.Context, addr sdk.ConsAddress) error
	Tombstone(ctx context.Context, addr sdk.ConsAddress) error
	IsTombstoned(ctx context.Context, addr sdk.ConsAddress) bool
}

// Options are what a keeper works with.
type Options struct {
	Store    store.KVStoreService
	Bank     Bank
	Staking  Staking
	Slashing Slashing
	// FeeCollector is the module account whose money goes to stakers.
	FeeCollector string
	// Authority is the address that may change the parameters.
	Authority string
}

// Keeper reads and writes the module's state.
type Keeper struct {
	store        store.KVStoreService
	bank         Bank
	staking      Staking
	slashing     Slashing
	feeCollector string
	authority    string
}

// NewKeeper returns a keeper over the store.
func NewKeeper(o Options) Keeper {
	return Keeper{
		store: o.Store, bank: o.Bank, staking: o.Staking, slashing: o.Slashing,
		feeCollector: o.FeeCollector, authority: o.Authority,
	}
}

// Params returns the rules in force.
func (k Keeper) Params(ctx context.Context) (Params, error) {
	var p Params
	found, err := k.get(ctx, paramsKey, &p)
	switch {
	case err != nil:
		return Params{}, fmt.Errorf("ordering params: %w", err)
	case !found:
		return Params{}, errors.New("ordering params: the chain has none; its genesis lacks the ordering module")
	}
	return p, nil
}

// SetParams replaces the rules, from the next block on.
func (k Keeper) SetParams(ctx context.Context, p Params) error {
	if err := ValidateParams(p); err != nil {
		return err
	}
	return k.set(ctx, paramsKey, &p)
}

// Balance returns what the payer can spend, in uordo.
func (k Keeper) Balance(ctx context.Context, p order.Payer) uint64 {
	// All of it can be spent: the chain has no accounts that vest.
	amount := k.bank.GetBalance(ctx, Address(p), Denom).Amount
	if !amount.IsUint64() {
		return math.MaxUint64
	}
	return amount.Uint64()
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
	return k.each(ctx, recordPrefix, func(key, records []byte) error {
		if len(key) != 17 {
			return fmt.Errorf("record of carried bundles has a key of %d bytes, want 17", len(key))
		}
		return yield(binary.BigEndian.Uint64(key[1:9]), binary.BigEndian.Uint64(key[9:]), records)
	})
}
