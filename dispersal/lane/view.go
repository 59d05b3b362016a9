package lane

import (
	"fmt"
	"math"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// View is what the lanes need to know of the chain after a block. It does not change
// once it is made, and many goroutines may read it. Nothing may depend on the order in
// which its maps are iterated.
type View struct {
	ChainID string
	// Height is of the last committed block; 0 before the first.
	Height uint64
	// Epoch is that of the next block, at Height+1. New batches name it.
	Epoch uint64
	// EpochAfter is that of the block after the next, at Height+2: Epoch or the one
	// that follows.
	EpochAfter uint64
	// Committees are those of Epoch and of the epoch before it; that one is nil in
	// epoch 0.
	Committees [2]*order.Committee
	// Lanes has the lanes that were ordered on; others are at their beginning.
	Lanes map[order.Owner]order.LaneState
	// Contacts has those who registered, members or not.
	Contacts map[order.Owner]Contact
	Params   Params
}

// Contact is how to reach a validator.
type Contact struct {
	Address string // host:port of dispersal
	API     string // http://host:port
}

// Params are those of the chain that concern lanes.
type Params struct {
	MaxBatchBytes  uint64
	LaneQuotaBytes uint64 // attested but not ordered
	RetainEpochs   uint64 // for which the chain knows committees, so that evidence counts
}

// Committee returns the committee whose batches the next block may order if they are
// of that epoch, and nil for an epoch that is past or yet to come.
func (v *View) Committee(epoch uint64) *order.Committee {
	for _, c := range v.Committees {
		if c != nil && c.Epoch == epoch {
			return c
		}
	}
	return nil
}

// Mark returns how far the chain has ordered the lane.
func (v *View) Mark(owner order.Owner) order.Mark { return v.Lanes[owner].Mark }

// open tells whether the next block may order batches of that epoch.
func (v *View) open(epoch uint64) bool { return epoch == v.Epoch || epoch+1 == v.Epoch }

// stays tells whether the block after the next may still order batches of that epoch.
func (v *View) stays(epoch uint64) bool {
	return v.open(epoch) && epoch+1 >= v.EpochAfter
}

// Layout says how the committee's batches are cut and who holds what. It costs much
// and is the same for all batches of the epoch: keep it.
// Errors: shard.ErrHolders.
func Layout(c *order.Committee) (*shard.Layout, error) {
	holders := make([]shard.Holder, len(c.Members))
	for i, m := range c.Members {
		if m.Stake > math.MaxInt64 {
			return nil, fmt.Errorf("member %s has a stake of %d: %w", m.Owner, m.Stake, shard.ErrHolders)
		}
		holders[i] = shard.Holder{Key: m.Owner[:], Stake: int64(m.Stake)}
	}
	l, err := shard.NewLayout(holders)
	if err != nil {
		return nil, fmt.Errorf("layout of epoch %d: %w", c.Epoch, err)
	}
	return l, nil
}
