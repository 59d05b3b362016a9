package availability

import (
	"context"
	"encoding/binary"
	"fmt"

	"cosmossdk.io/core/store"

	sdk "github.com/cosmos/cosmos-sdk/types"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

const (
	// ModuleName is the module's name in genesis, in routes and in gov proposals.
	ModuleName = "availability"
	// StoreKey names the module's store.
	StoreKey = ModuleName
)

// Keys of the store:
//
//	0x00                                       Params
//	0x01 | number, 8 bytes                     PendingClaim
//	0x02 | rollup ID, 32 bytes                 Waiting: the claims about that rollup that wait
//	0x03 | rollup ID, 32 bytes                 Rollup
//	0x04 | address                             Relayer
//	0x05                                       number of the last claim, 8 bytes
//	0x06                                       how many claims wait, 8 bytes
//	0x07                                       no claim of a lower number waits, 8 bytes
//	0x08 | address                             how many claims of that relayer wait, 8 bytes
//
// Rows of what waits are there only while something does. Numbers are big endian, so that what is oldest stands first.
var (
	paramsKey          = []byte{0x00}
	pendingPrefix      = []byte{0x01}
	waitingPrefix      = []byte{0x02}
	rollupPrefix       = []byte{0x03}
	relayerPrefix      = []byte{0x04}
	lastNumberKey      = []byte{0x05}
	pendingCountKey    = []byte{0x06}
	oldestKey          = []byte{0x07}
	relayerCountPrefix = []byte{0x08}
)

const rollupIDSize = 32

func pendingKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{pendingPrefix[0]}, number)
}

func waitingKey(rollup []byte) []byte { return append([]byte{waitingPrefix[0]}, rollup...) }

func relayerCountKey(address sdk.AccAddress) []byte {
	return append([]byte{relayerCountPrefix[0]}, address...)
}

func rollupKey(rollup []byte) []byte { return append([]byte{rollupPrefix[0]}, rollup...) }

func relayerKey(address sdk.AccAddress) []byte { return append([]byte{relayerPrefix[0]}, address...) }

// Keeper reads and writes the module's state.
type Keeper struct {
	store     store.KVStoreService
	authority string
}

// NewKeeper returns a keeper over the store. The authority is the address that may change
// the parameters.
func NewKeeper(s store.KVStoreService, authority string) Keeper {
	return Keeper{store: s, authority: authority}
}

// Params returns the rules in force. A chain whose genesis does not know the module has
// those of a new one.
func (k Keeper) Params(ctx context.Context) (Params, error) {
	var p Params
	found, err := k.get(ctx, paramsKey, &p)
	if err != nil {
		return Params{}, fmt.Errorf("availability params: %w", err)
	}
	if !found {
		return DefaultParams(), nil
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

// Rollup returns what is confirmed of a rollup, without ranges where nothing is.
func (k Keeper) Rollup(ctx context.Context, rollup []byte) (*availabilityv1.Rollup, error) {
	r := new(availabilityv1.Rollup)
	if _, err := k.get(ctx, rollupKey(rollup), r); err != nil {
		return nil, err
	}
	r.RollupId = rollup
	return r, nil
}

// Relayer returns what became of a relayer's claims.
func (k Keeper) Relayer(ctx context.Context, address sdk.AccAddress) (*availabilityv1.Relayer, error) {
	r := new(availabilityv1.Relayer)
	if _, err := k.get(ctx, relayerKey(address), r); err != nil {
		return nil, err
	}
	r.Address = address.String()
	return r, nil
}

// Pending returns claims that wait, by number: those above the one given, at most so many.
func (k Keeper) Pending(ctx context.Context, after uint64, limit int) ([]*availabilityv1.PendingClaim, error) {
	var out []*availabilityv1.PendingClaim
	if after+1 == 0 {
		return nil, nil
	}
	err := k.scan(ctx, pendingKey(after+1), []byte{pendingPrefix[0] + 1}, func(_, raw []byte) error {
		if len(out) >= limit {
			return errEnough
		}
		p := new(availabilityv1.PendingClaim)
		out = append(out, p)
		return p.Unmarshal(raw)
	})
	return out, err
}
