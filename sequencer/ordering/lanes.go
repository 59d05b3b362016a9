package ordering

import (
	"context"
	"fmt"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// Lane returns where the owner's lane stands; the zero state where nothing of it is
// ordered yet, or it was closed.
func (k Keeper) Lane(ctx context.Context, o order.Owner) (order.LaneState, error) {
	var l orderingv1.Lane
	if _, err := k.get(ctx, laneKey(o), &l); err != nil {
		return order.LaneState{}, fmt.Errorf("lane of %s: %w", o, err)
	}
	return laneState(&l), nil
}

// SetLane moves the owner's lane to where it stands after a block.
func (k Keeper) SetLane(ctx context.Context, o order.Owner, s order.LaneState) error {
	return k.set(ctx, laneKey(o), &orderingv1.Lane{
		Owner: o[:], Session: s.Session, Sequence: s.Sequence, OrderTime: s.OrderTime,
	})
}

// Lanes returns where all lanes stand of which something is ordered, by owner.
func (k Keeper) Lanes(ctx context.Context) ([]order.LaneEnd, error) {
	var ends []order.LaneEnd
	err := k.each(ctx, lanePrefix, func(_, raw []byte) error {
		var l orderingv1.Lane
		if err := l.Unmarshal(raw); err != nil {
			return fmt.Errorf("decode lane: %w", err)
		}
		owner, err := order.OwnerFromBytes(l.Owner)
		if err != nil {
			return fmt.Errorf("decode lane: %w", err)
		}
		ends = append(ends, order.LaneEnd{Owner: owner, LaneState: laneState(&l)})
		return nil
	})
	return ends, err
}

func laneState(l *orderingv1.Lane) order.LaneState {
	return order.LaneState{Mark: order.Mark{Session: l.Session, Sequence: l.Sequence}, OrderTime: l.OrderTime}
}

func laneRow(e order.LaneEnd) *orderingv1.Lane {
	return &orderingv1.Lane{Owner: e.Owner[:], Session: e.Session, Sequence: e.Sequence, OrderTime: e.OrderTime}
}

// closeLanes deletes the lanes of owners that no batch can come from any more.
func (k Keeper) closeLanes(ctx context.Context, open func(order.Owner) bool) error {
	lanes, err := k.Lanes(ctx)
	if err != nil {
		return err
	}
	var closed [][]byte
	for _, l := range lanes {
		if !open(l.Owner) {
			closed = append(closed, laneKey(l.Owner))
		}
	}
	return k.remove(ctx, closed)
}
