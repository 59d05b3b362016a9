package availability

import (
	"context"
	"encoding/binary"
	"errors"
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
//	0x02 | rollup ID, 32 bytes | number        the relayer's address: a claim about that rollup waits
//	0x03 | rollup ID, 32 bytes                 Rollup
//	0x04 | address                             Relayer
//	0x05                                       number of the last claim, 8 bytes
//	0x06                                       how many claims wait, 8 bytes
//
// Numbers are big endian, so that what is oldest stands first.
var (
	paramsKey       = []byte{0x00}
	pendingPrefix   = []byte{0x01}
	byRollupPrefix  = []byte{0x02}
	rollupPrefix    = []byte{0x03}
	relayerPrefix   = []byte{0x04}
	lastNumberKey   = []byte{0x05}
	pendingCountKey = []byte{0x06}
)

const rollupIDSize = 32

func pendingKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{pendingPrefix[0]}, number)
}

func byRollupKey(rollup []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte{byRollupPrefix[0]}, rollup...), number)
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

// waiting is a claim about one rollup that waits.
type waiting struct {
	number  uint64
	relayer sdk.AccAddress
}

// waiting returns the claims about a rollup that wait, by number.
func (k Keeper) waiting(ctx context.Context, rollup []byte) ([]waiting, error) {
	var out []waiting
	start := byRollupKey(rollup, 0)
	err := k.scan(ctx, start, endOf(start[:1+rollupIDSize]), func(key, relayer []byte) error {
		out = append(out, waiting{binary.BigEndian.Uint64(key[1+rollupIDSize:]), append(sdk.AccAddress(nil), relayer...)})
		return nil
	})
	return out, err
}

// pending returns a claim that waits, or nil.
func (k Keeper) pending(ctx context.Context, number uint64) (*availabilityv1.PendingClaim, error) {
	p := new(availabilityv1.PendingClaim)
	found, err := k.get(ctx, pendingKey(number), p)
	if err != nil || !found {
		return nil, err
	}
	return p, nil
}

// put adds a claim to those that wait.
func (k Keeper) put(ctx context.Context, p *availabilityv1.PendingClaim, relayer sdk.AccAddress) error {
	count, err := k.number(ctx, pendingCountKey)
	return errors.Join(err, k.set(ctx, pendingKey(p.Number), p),
		k.store.OpenKVStore(ctx).Set(byRollupKey(p.Claim.RollupId, p.Number), relayer),
		k.setNumber(ctx, pendingCountKey, count+1))
}

// drop removes a claim from those that wait.
func (k Keeper) drop(ctx context.Context, p *availabilityv1.PendingClaim) error {
	count, err := k.number(ctx, pendingCountKey)
	kv := k.store.OpenKVStore(ctx)
	return errors.Join(err, kv.Delete(pendingKey(p.Number)), kv.Delete(byRollupKey(p.Claim.RollupId, p.Number)),
		k.setNumber(ctx, pendingCountKey, count-1))
}
