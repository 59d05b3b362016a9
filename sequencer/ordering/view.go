package ordering

import (
	"fmt"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
)

// View returns what dispersal needs to know of the state in ctx, which has that height.
func (k Keeper) View(ctx sdk.Context, height uint64) (*lane.View, error) {
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	epoch, _, err := k.epoch(ctx)
	if err != nil {
		return nil, err
	}
	v := &lane.View{
		ChainID: ctx.ChainID(), Height: height, Epoch: epoch, EpochAfter: Epoch(height+2, p),
		Lanes: make(map[order.Owner]order.LaneState), Contacts: make(map[order.Owner]lane.Contact),
		Params: lane.Params{MaxBatchBytes: p.MaxBatchBytes, LaneQuotaBytes: p.LaneQuotaBytes, RetainEpochs: p.RetainEpochs},
	}
	if v.Committees[0], v.Committees[1], err = k.OpenCommittees(ctx, epoch); err != nil {
		return nil, err
	}
	lanes, err := k.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range lanes {
		v.Lanes[l.Owner] = l.LaneState
	}
	attesters, err := k.Attesters(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range attesters {
		owner, err := ownerOf(a.Operator)
		if err != nil {
			return nil, fmt.Errorf("attester %s: %w", a.Operator, err)
		}
		v.Contacts[owner] = lane.Contact{Address: a.Address, API: a.Api}
	}
	return v, nil
}
