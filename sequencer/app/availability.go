package app

import (
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/availability"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// Votes tells what this node says, in its vote for the block of that height, of claims of
// what is on DA layers: the numbers of those that are true, and of those that are false,
// as order.VoteExtension has them. It must not block.
type Votes func(height uint64) (confirmed, denied []uint64)

// noVotes are those of a node that looks at no claims: others decide without it.
func noVotes(uint64) (confirmed, denied []uint64) { return nil, nil }

// SetVotes gives the application what this node votes about claims. Call it once, before
// CometBFT votes.
func (a *App) SetVotes(v Votes) { a.votes = v }

// reader is the context of one read of a view. A gas meter is not safe for concurrent
// use, so each has its own.
func (v *view) reader() sdk.Context {
	return v.ctx.WithGasMeter(storetypes.NewInfiniteGasMeter())
}

// Claims is what the last state holds of claims that wait.
type Claims struct {
	Height  uint64
	Numbers []uint64 // ascending
	// Wanted are those that were asked for.
	Wanted []*availabilityv1.PendingClaim
}

// Claims returns the claims that wait. It asks of each one whether it is wanted;
// those of relayers that are ignored are not given. Errors: pool.ErrNotReady.
func (a *App) Claims(wanted func(number uint64) bool) (Claims, error) {
	v := a.state.current.Load()
	if v == nil {
		return Claims{}, pool.ErrNotReady
	}
	c := Claims{Height: v.height}
	ctx := v.reader()
	ignored := make(map[string]bool)
	err := a.keepers.availability.EachPending(ctx, func(number uint64, load func() (*availabilityv1.PendingClaim, error)) error {
		c.Numbers = append(c.Numbers, number)
		if !wanted(number) {
			return nil
		}
		p, err := load()
		if err != nil {
			return err
		}
		skip, known := ignored[p.Relayer]
		if !known {
			if skip, err = a.keepers.availability.Ignored(ctx, p.Relayer, v.height+1); err != nil {
				return err
			}
			ignored[p.Relayer] = skip
		}
		if !skip {
			c.Wanted = append(c.Wanted, p)
		}
		return nil
	})
	return c, err
}

// EpochBlocks returns how many blocks an epoch has; 0 before the first block.
func (a *App) EpochBlocks() uint64 {
	if v := a.state.current.Load(); v != nil {
		return v.params.EpochBlocks
	}
	return 0
}

// Available returns what the last state says of the rollups' availability, in their
// order, or of all that something is confirmed of where none is given, up to the bound
// of MaxAvailable. Errors: pool.ErrNotReady.
func (a *App) Available(rollups []order.RollupID) (height uint64, found []availability.Available, err error) {
	v := a.state.current.Load()
	if v == nil {
		return 0, nil, pool.ErrNotReady
	}
	ctx := v.reader()
	if len(rollups) == 0 {
		if rollups, err = a.keepers.availability.Rollups(ctx, MaxAvailable); err != nil {
			return 0, nil, err
		}
	}
	for _, id := range rollups {
		one, err := a.keepers.availability.Available(ctx, id)
		if err != nil {
			return 0, nil, err
		}
		found = append(found, one)
	}
	return v.height, found, nil
}

// MaxAvailable bounds the rollups that Available returns where none is given.
const MaxAvailable = 1 << 16
