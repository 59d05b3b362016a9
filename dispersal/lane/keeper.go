package lane

import (
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// Checked is an offer that passed Check.
type Checked struct {
	offer *Offer
	core  order.BatchCore
	id    order.BatchID
}

// Check checks all of an offer that does not depend on what was attested before: that
// owner and self are in the committee, the header's bounds, the owner's and the payers'
// signatures, and that the share is the one that self holds. It is what costs time:
// call it from many goroutines, after Keeper.Screen.
func Check(v *View, l *shard.Layout, self order.Owner, o *Offer) (*Checked, *Refusal) { return nil, nil }

// Verdict is what a Keeper wants done.
type Verdict struct {
	// Answers go to the lane's owner, in this order.
	Answers []Answer
	// Store, if not nil, is to be put on disk under its position. Then call Stored, or
	// Failed. Several may be under way at once.
	Store *Record
	// Evidence, if not nil, goes to the chain.
	Evidence *Equivocation
}

// Keeper decides which batches this node attests.
type Keeper struct{}

// NewKeeper returns the keeper of a member that has attested nothing yet.
func NewKeeper(self order.Owner, keys Keys) *Keeper { return nil }

// Restore tells what the store held when it was opened: for each owner its greatest
// session, the last sequence that the store knows of there, and those of its records
// that can be read, ascending. Records that the chain has ordered may be left out; the
// last one held never. It is called for each owner before the first View.
func (k *Keeper) Restore(owner order.Owner, session, last uint64, held []*Record) {}

// View takes the chain's state after a block.
func (k *Keeper) View(v *View) {}

// Certified tells of a certificate that was verified, whosever it is. It may unblock
// attestations of records that were found after a restart.
func (k *Keeper) Certified(h *order.BatchHeader) {}

// Screen tells cheaply what can be told before Check: an answer to give at once, or nil
// to go on with Check and Offer.
func (k *Keeper) Screen(b *order.SignedBatch) *Answer { return nil }

// Offer takes a batch that its owner offers, and the clock in milliseconds since the
// Unix epoch.
func (k *Keeper) Offer(clock uint64, c *Checked) Verdict { return Verdict{} }

// Stored tells that the record of the position is on disk.
func (k *Keeper) Stored(p order.Position) []Answer { return nil }

// Failed tells that the record of the position may not be on disk. It is stored again
// when the owner offers it again.
func (k *Keeper) Failed(p order.Position) []Answer { return nil }
