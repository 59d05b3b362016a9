package availability

import (
	"errors"

	sdk "github.com/cosmos/cosmos-sdk/types"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// Settle makes of the ballots what they mean for claims that wait: power is that of all
// validators who could vote, the ballots are those of the extended commit that the block
// carries. Ballots about other numbers are without effect: a validator may not have seen
// yet that a claim is settled. Then it drops what has waited for too long.
func (k Keeper) Settle(ctx sdk.Context, power uint64, ballots []Ballot) error {
	p, err := k.Params(ctx)
	if err != nil {
		return err
	}
	for _, v := range tally(power, ballots) {
		claim, err := k.pending(ctx, v.number)
		switch {
		case err != nil:
			return err
		case claim == nil:
		case v.confirmed:
			err = k.confirm(ctx, claim)
		default:
			err = k.deny(ctx, p, claim)
		}
		if err != nil {
			return err
		}
	}
	return k.expire(ctx, p)
}

// confirm adds a claim's blocks to those that are available.
func (k Keeper) confirm(ctx sdk.Context, claim *availabilityv1.PendingClaim) error {
	height := uint64(ctx.BlockHeight())
	c := claim.Claim
	rollup, err := k.Rollup(ctx, c.RollupId)
	if err != nil {
		return err
	}
	rollup.Ranges = add(rollup.Ranges, availabilityv1.Range{From: c.From, To: c.To, Layer: c.Layer, Moved: height})
	err = k.judge(ctx, claim, func(r *availabilityv1.Relayer) {
		if r.Confirmed++; r.Confirmed%strikeDecaysAt == 0 && r.Strikes > 0 {
			r.Strikes--
		}
	})
	if err := errors.Join(err, k.set(ctx, rollupKey(c.RollupId), rollup), k.settled(ctx, claim, outcomeConfirmed)); err != nil {
		return err
	}
	// What others claim of the same blocks needs nobody's look any more.
	others, err := k.waiting(ctx, c.RollupId)
	if err != nil {
		return err
	}
	for _, w := range others.Claims {
		if !Covers(rollup.Ranges, w.From, w.To) {
			continue
		}
		other, err := k.pending(ctx, w.Number)
		if err != nil {
			return err
		}
		if err := k.settled(ctx, other, outcomeOvertaken); err != nil {
			return err
		}
	}
	return nil
}

// deny counts a false claim and has its relayer ignored: each time for twice as long.
// What the relayer claimed before it was ignored does not count against it any more.
func (k Keeper) deny(ctx sdk.Context, p Params, claim *availabilityv1.PendingClaim) error {
	height := uint64(ctx.BlockHeight())
	err := k.judge(ctx, claim, func(r *availabilityv1.Relayer) {
		r.FalseClaims++
		if height > r.IgnoredUntil {
			r.IgnoredUntil = height + p.IgnoreBlocks<<min(r.Strikes, maxDoublings)
			r.Strikes++
		}
	})
	return errors.Join(err, k.settled(ctx, claim, outcomeDenied))
}

// judge changes what is known of a claim's relayer.
func (k Keeper) judge(ctx sdk.Context, claim *availabilityv1.PendingClaim, change func(*availabilityv1.Relayer)) error {
	address, err := sdk.AccAddressFromBech32(claim.Relayer)
	if err != nil {
		return err
	}
	r, err := k.Relayer(ctx, address)
	if err != nil {
		return err
	}
	change(r)
	return k.set(ctx, relayerKey(address), r)
}

// settled removes a claim and says why.
func (k Keeper) settled(ctx sdk.Context, claim *availabilityv1.PendingClaim, outcome string) error {
	emitSettled(ctx, claim, outcome)
	return k.drop(ctx, claim)
}

// expire drops the claims that have waited for too long, so many with one block, and
// notes which one is the oldest then.
func (k Keeper) expire(ctx sdk.Context, p Params) error {
	oldest, err := k.number(ctx, oldestKey)
	if err != nil {
		return err
	}
	last, err := k.number(ctx, lastNumberKey)
	if err != nil {
		return err
	}
	var old []*availabilityv1.PendingClaim
	next := last + 1
	err = k.scan(ctx, pendingKey(oldest), endOf(pendingPrefix), func(_, raw []byte) error {
		claim := new(availabilityv1.PendingClaim)
		if err := claim.Unmarshal(raw); err != nil {
			return err
		}
		if len(old) >= maxExpired || !expired(ctx, p, claim) {
			next = claim.Number
			return errEnough
		}
		old = append(old, claim)
		return nil
	})
	if err != nil {
		return err
	}
	for _, claim := range old {
		if err := k.settled(ctx, claim, outcomeExpired); err != nil {
			return err
		}
	}
	if next == oldest {
		return nil
	}
	return k.setNumber(ctx, oldestKey, next)
}

func expired(ctx sdk.Context, p Params, claim *availabilityv1.PendingClaim) bool {
	return claim.Height+p.ClaimBlocks < uint64(ctx.BlockHeight())
}
