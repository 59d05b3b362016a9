package ordering

import (
	"slices"

	"github.com/ordo-network/ordo/order"
)

// Required returns the marks that the block has to reach, by what the validators of
// the height before said when they voted, whose power adds up to that much.
//
// They spoke one block earlier, of lanes as they stood before the block that they
// voted for, and left out what the block after it cannot take because an epoch ends
// (lane.Book.Tips). Where that block moved a lane, a tip in a later session than the
// lane now has may still stand on a first batch that went on from the mark before: an
// owner at fault can end one session in two ways, and to require it would be to stop
// the chain. Such a tip counts for nothing, not even for lower marks, which its
// validator need not hold. Tips in the lane's session are always to be had, and so are
// those of a lane that was not moved.
//
// Validators that still hold something say so again with their next vote.
func (r *Rules) Required(power uint64, reports []order.Report) []order.Tip {
	binding := make([]order.Report, len(reports))
	for i, said := range reports {
		binding[i] = order.Report{Power: said.Power, Tips: slices.DeleteFunc(slices.Clone(said.Tips), func(t order.Tip) bool {
			return r.Moved(t.Owner) && t.Session > r.Lane(t.Owner).Session
		})}
	}
	return order.Required(power, binding)
}
