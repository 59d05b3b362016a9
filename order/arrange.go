package order

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ErrLane is returned for a certificate that is not next in its lane.
var ErrLane = errors.New("batch is not the next of its lane")

// Placed is a certificate with the time that decides its place in a block.
type Placed struct {
	Certificate *Certificate
	OrderTime   uint64 // in milliseconds since the Unix epoch
}

// LaneEnd is where a lane stands after a block.
type LaneEnd struct {
	Owner Owner
	LaneState
}

// Arrange gives the canonical order of a block's certificates: by order time, then by
// position. The order time is Committee.OrderTime, raised to that of the batch before
// in the lane, so that lanes stay first in, first out. lane returns where a lane
// stands before the block, committee the one of an epoch, or nil where batches of
// that epoch are not accepted. It also returns where the block's lanes stand after
// it, by owner. Signatures are not checked. Errors: ErrLane, ErrEpoch.
func Arrange(certs []*Certificate, lane func(Owner) LaneState, committee func(epoch uint64) *Committee) ([]Placed, []LaneEnd, error) {
	sorted := slices.Clone(certs)
	slices.SortFunc(sorted, func(a, b *Certificate) int { return a.Header.Compare(b.Header.Position) })
	placed := make([]Placed, 0, len(sorted))
	var ends []LaneEnd
	for _, c := range sorted {
		h := &c.Header
		if len(ends) == 0 || ends[len(ends)-1].Owner != h.Owner {
			ends = append(ends, LaneEnd{h.Owner, lane(h.Owner)})
		}
		end := &ends[len(ends)-1]
		if !end.Takes(h) {
			return nil, nil, fmt.Errorf("batch %s after %s, its lane stands at %s: %w", h.Position, h.After, end.Mark, ErrLane)
		}
		k := committee(h.Epoch)
		if k == nil {
			return nil, nil, fmt.Errorf("batch %s names epoch %d: %w", h.Position, h.Epoch, ErrEpoch)
		}
		end.Mark, end.OrderTime = h.Mark, max(end.OrderTime, k.OrderTime(c))
		placed = append(placed, Placed{c, end.OrderTime})
	}
	// Times of one lane do not fall and marks rise, so this keeps each lane's order.
	slices.SortFunc(placed, func(a, b Placed) int {
		return cmp.Or(cmp.Compare(a.OrderTime, b.OrderTime), a.Certificate.Header.Compare(b.Certificate.Header.Position))
	})
	return placed, ends, nil
}
