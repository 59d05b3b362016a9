package availability

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// DefaultGenesis returns the module's state of a new chain.
func DefaultGenesis() *availabilityv1.GenesisState {
	p := DefaultParams()
	return &availabilityv1.GenesisState{Params: &p}
}

// ValidateGenesis checks the module's part of a genesis file.
func ValidateGenesis(g *availabilityv1.GenesisState) error {
	if g.GetParams() == nil {
		return errors.New("availability: params are missing")
	}
	for _, check := range []func(*availabilityv1.GenesisState) error{
		func(g *availabilityv1.GenesisState) error { return ValidateParams(*g.Params) },
		validatePending, validateRollups, validateRelayers,
	} {
		if err := check(g); err != nil {
			return fmt.Errorf("availability: %w", err)
		}
	}
	return nil
}

func validatePending(g *availabilityv1.GenesisState) error {
	var last uint64
	for _, p := range g.Pending {
		if p.GetNumber() <= last || p.GetNumber() > g.LastNumber {
			return fmt.Errorf("claim %d is out of order or above last_number %d", p.GetNumber(), g.LastNumber)
		}
		last = p.Number
		if err := CheckClaim(p.Claim); err != nil {
			return fmt.Errorf("claim %d: %w", p.Number, err)
		}
		if p.Claim.To == 0 {
			return fmt.Errorf("claim %d is about no blocks: it cannot wait", p.Number)
		}
		if _, err := sdk.AccAddressFromBech32(p.Relayer); err != nil {
			return fmt.Errorf("relayer of claim %d: %w", p.Number, err)
		}
	}
	return nil
}

func validateRollups(g *availabilityv1.GenesisState) error {
	seen := make(map[string]bool, len(g.Rollups))
	for _, r := range g.Rollups {
		if len(r.GetRollupId()) != rollupIDSize || seen[string(r.RollupId)] {
			return fmt.Errorf("rollup %x stands twice or has not %d bytes", r.GetRollupId(), rollupIDSize)
		}
		seen[string(r.RollupId)] = true
		if len(r.Ranges) == 0 || len(r.Ranges) > MaxRanges {
			return fmt.Errorf("rollup %x has %d ranges, want 1 to %d", r.RollupId, len(r.Ranges), MaxRanges)
		}
		for i, x := range r.Ranges {
			if x == nil || x.From == 0 || x.From > x.To || x.To+1 == 0 || i > 0 && x.From <= r.Ranges[i-1].To+1 || !validLayer(x.Layer) {
				return fmt.Errorf("range %d of rollup %x is malformed or out of order", i, r.RollupId)
			}
		}
	}
	return nil
}

func validateRelayers(g *availabilityv1.GenesisState) error {
	seen := make(map[string]bool, len(g.Relayers))
	for _, r := range g.Relayers {
		if _, err := sdk.AccAddressFromBech32(r.GetAddress()); err != nil {
			return fmt.Errorf("relayer %q: %w", r.GetAddress(), err)
		}
		if seen[r.Address] {
			return fmt.Errorf("relayer %s stands twice", r.Address)
		}
		seen[r.Address] = true
	}
	return nil
}

// InitGenesis writes the module's first state. All but the parameters matters where a chain
// goes on from an export under its old name. If it does so from a lower height than that
// of the export, what was said of blocks that are made anew is forgotten: it is not
// about them.
func (k Keeper) InitGenesis(ctx context.Context, g *availabilityv1.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	if err := errors.Join(k.SetParams(ctx, *g.Params), k.setNumber(ctx, lastNumberKey, g.LastNumber), k.setNumber(ctx, pendingCountKey, 0)); err != nil {
		return err
	}
	first := uint64(max(sdk.UnwrapSDKContext(ctx).BlockHeight(), 1)) // to be made
	for _, p := range g.Pending {
		if p.Height >= first || p.Claim.To >= first {
			continue
		}
		relayer, err := sdk.AccAddressFromBech32(p.Relayer)
		if err != nil {
			return err
		}
		if err := k.put(ctx, p, relayer); err != nil {
			return err
		}
	}
	for _, r := range g.Rollups {
		if r = below(r, first); len(r.Ranges) == 0 {
			continue
		}
		if err := k.set(ctx, rollupKey(r.RollupId), r); err != nil {
			return err
		}
	}
	for _, r := range g.Relayers {
		address, err := sdk.AccAddressFromBech32(r.Address)
		if err != nil {
			return err
		}
		again := *r
		longest := g.Params.IgnoreBlocks << min(max(r.Strikes, 1)-1, maxDoublings)
		again.IgnoredUntil = min(again.IgnoredUntil, first-1+longest)
		if err := k.set(ctx, relayerKey(address), &again); err != nil {
			return err
		}
	}
	return nil
}

// below returns what is confirmed of a rollup's blocks below a height.
func below(r *availabilityv1.Rollup, height uint64) *availabilityv1.Rollup {
	out := &availabilityv1.Rollup{RollupId: r.RollupId}
	for _, have := range r.Ranges {
		if have.From >= height {
			break
		}
		cut := *have
		cut.To, cut.Moved = min(cut.To, height-1), min(cut.Moved, height-1)
		out.Ranges = append(out.Ranges, &cut)
	}
	return out
}

// ExportGenesis returns the module's state.
func (k Keeper) ExportGenesis(ctx context.Context) (*availabilityv1.GenesisState, error) {
	p, errParams := k.Params(ctx)
	last, errLast := k.number(ctx, lastNumberKey)
	pending, errPending := k.Pending(ctx, 0, maxPending)
	g := &availabilityv1.GenesisState{Params: &p, LastNumber: last, Pending: pending}
	return g, errors.Join(errParams, errLast, errPending,
		k.scan(ctx, rollupPrefix, endOf(rollupPrefix), func(_, raw []byte) error {
			r := new(availabilityv1.Rollup)
			g.Rollups = append(g.Rollups, r)
			return r.Unmarshal(raw)
		}),
		k.scan(ctx, relayerPrefix, endOf(relayerPrefix), func(_, raw []byte) error {
			r := new(availabilityv1.Relayer)
			g.Relayers = append(g.Relayers, r)
			return r.Unmarshal(raw)
		}))
}
