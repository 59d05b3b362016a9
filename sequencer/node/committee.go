package node

import (
	"context"
	"fmt"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// committee returns the committee of an epoch, as long as the chain knows it.
func (n *Node) committee(ctx context.Context, epoch uint64) (*order.Committee, error) {
	if c := n.watch.committee(epoch); c != nil {
		return c, nil
	}
	var res orderingv1.QueryCommitteeResponse
	err := ask(ctx, n.app, "/ordo.ordering.v1.Query/Committee", &orderingv1.QueryCommitteeRequest{Epoch: epoch}, &res)
	if err != nil {
		return nil, err
	}
	var members []order.Member
	for _, m := range res.GetCommittee().GetMembers() {
		owner, err := order.OwnerFromBytes(m.Owner)
		if err != nil {
			return nil, fmt.Errorf("committee of epoch %d: %w", epoch, err)
		}
		member := order.Member{Owner: owner, Stake: m.Stake}
		copy(member.Key[:], m.Key)
		members = append(members, member)
	}
	c, err := order.NewCommittee(epoch, members)
	if err != nil {
		return nil, fmt.Errorf("committee of epoch %d: %w", epoch, err)
	}
	return c, nil
}
