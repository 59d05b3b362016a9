package availability

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	sdk "github.com/cosmos/cosmos-sdk/types"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// What is asked while claims are taken stands under keys of its own: a look through the
// store takes the longer the more the block has changed already, and a block may have
// hundreds of claims.

// waiting returns the claims about a rollup that wait.
func (k Keeper) waiting(ctx context.Context, rollup []byte) (*availabilityv1.Waiting, error) {
	w := new(availabilityv1.Waiting)
	_, err := k.get(ctx, waitingKey(rollup), w)
	return w, err
}

// setWaiting writes the claims about a rollup that wait. What is empty takes no room.
func (k Keeper) setWaiting(ctx context.Context, rollup []byte, w *availabilityv1.Waiting) error {
	if len(w.Claims) == 0 {
		return k.store.OpenKVStore(ctx).Delete(waitingKey(rollup))
	}
	return k.set(ctx, waitingKey(rollup), w)
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

// put adds a claim to those that wait. Its number is above all others.
func (k Keeper) put(ctx context.Context, p *availabilityv1.PendingClaim, relayer sdk.AccAddress) error {
	sum, err := digest(p.Claim)
	if err != nil {
		return err
	}
	w, err := k.waiting(ctx, p.Claim.RollupId)
	if err != nil {
		return err
	}
	w.Claims = append(w.Claims, &availabilityv1.WaitingClaim{Number: p.Number, Relayer: relayer, From: p.Claim.From, To: p.Claim.To, Digest: sum})
	return errors.Join(k.set(ctx, pendingKey(p.Number), p), k.setWaiting(ctx, p.Claim.RollupId, w),
		k.count(ctx, pendingCountKey, 1), k.count(ctx, relayerCountKey(relayer), 1))
}

// drop removes a claim from those that wait.
func (k Keeper) drop(ctx context.Context, p *availabilityv1.PendingClaim) error {
	relayer, err := sdk.AccAddressFromBech32(p.Relayer)
	if err != nil {
		return err
	}
	w, err := k.waiting(ctx, p.Claim.RollupId)
	if err != nil {
		return err
	}
	w.Claims = slices.DeleteFunc(w.Claims, func(c *availabilityv1.WaitingClaim) bool { return c.Number == p.Number })
	return errors.Join(k.store.OpenKVStore(ctx).Delete(pendingKey(p.Number)), k.setWaiting(ctx, p.Claim.RollupId, w),
		k.count(ctx, pendingCountKey, -1), k.count(ctx, relayerCountKey(relayer), -1))
}

// count adds to the number at the key. What is 0 takes no room.
func (k Keeper) count(ctx context.Context, key []byte, more int) error {
	n, err := k.number(ctx, key)
	if err != nil {
		return err
	}
	if n += uint64(more); n == 0 {
		return k.store.OpenKVStore(ctx).Delete(key)
	}
	return k.setNumber(ctx, key, n)
}

// maxSteps bounds how many numbers of settled claims one look for the oldest passes.
const maxSteps = 64

// oldest returns the claim that has waited for longest, or nil where it is not among
// the next numbers: expire finds it then, before the next block's claims.
func (k Keeper) oldest(ctx context.Context) (*availabilityv1.PendingClaim, error) {
	first, err := k.number(ctx, oldestKey)
	if err != nil {
		return nil, err
	}
	for n := first; n < first+maxSteps; n++ {
		p, err := k.pending(ctx, n)
		if err != nil || p == nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		if n == first {
			return p, nil
		}
		return p, k.setNumber(ctx, oldestKey, n)
	}
	return nil, nil
}

// digest returns by what two claims are the same: the hash of the encoding.
func digest(c *availabilityv1.Claim) ([]byte, error) {
	raw, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	return sum[:], nil
}

// of returns how many of the claims are the relayer's.
func of(relayer sdk.AccAddress, claims []*availabilityv1.WaitingClaim) int {
	n := 0
	for _, c := range claims {
		if bytes.Equal(c.Relayer, relayer) {
			n++
		}
	}
	return n
}

// crowding returns the oldest claim of the relayer that has most of the claims, and how
// many it has; of several that have as many, of the one whose claim is the oldest.
func crowding(claims []*availabilityv1.WaitingClaim) (oldest *availabilityv1.WaitingClaim, most int) {
	counts := make(map[string]int, len(claims))
	for _, c := range claims {
		counts[string(c.Relayer)]++
	}
	for _, c := range claims {
		if n := counts[string(c.Relayer)]; n > most {
			oldest, most = c, n
		}
	}
	return oldest, most
}
