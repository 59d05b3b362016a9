package lane

import (
	"errors"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// ErrSession is returned for a batch that was built for a session that has ended: its
// bundles are handed out again by the source that was rewound.
var ErrSession = errors.New("the lane's session has ended, its bundles are dispersed again")

// DisperserOptions are what a Disperser works with.
type DisperserOptions struct {
	Self     order.Owner
	Keys     Keys
	Verifier *Verifier
	// WindowBytes and WindowBatches bound what is in flight: signed, not certified. All
	// shards of it are in memory, several times its bytes.
	WindowBytes   uint64
	WindowBatches int
	// RetryMin and RetryMax, in milliseconds, bound the time after which a member that
	// does not answer is sent a batch again. It doubles each time.
	RetryMin, RetryMax uint64
}

// Room is what may be dispersed now: one batch of at most that size. There is none
// where Bytes is 0.
type Room struct {
	Session     uint64
	Epoch       uint64 // whose committee the batch is coded for
	Bytes       int    // of the batch's encoding
	HeaderBytes int    // of the summaries in the header, each with order.SummarySizeInHeader
}

// Payload is a batch that is coded for the committee of Room.Epoch.
type Payload struct {
	Bundles []order.BundleSummary
	Length  int          // of the encoding
	Coded   *shard.Coded // kept until the batch is certified or given up
}

// Send is what goes to one member: the certificate if there is one, then the offer if
// there is one.
type Send struct {
	To          order.Owner
	Certificate *order.Certificate
	Offer       *Offer
}

// Ready is what a Disperser wants done, in the order of the fields.
type Ready struct {
	// Session, if not 0, is to be durable before anything else of this Ready: it is
	// what Restore is given after a restart.
	Session uint64
	// Ended, if not nil, says why a session ended: the source is to be rewound. Nothing
	// that was in flight will be certified.
	Ended error
	// Send goes to members, in this order for each. What cannot be sent may be
	// dropped: it is sent again. To may be this node.
	Send []Send
	// Persist is to be made durable, in this order. Then call Persisted for each.
	Persist []*order.Certificate
	// Announce goes to all members and this node's Book and Keeper. It is durable.
	Announce []*order.Certificate
	// Evidence goes to the chain.
	Evidence []Equivocation
}

// Disperser owns this node's lane.
type Disperser struct{}

// NewDisperser returns a disperser whose lane is closed until the first View.
func NewDisperser(o DisperserOptions) *Disperser { return nil }

// Restore tells, before the first View, what is on disk: the last session that was made
// durable, 0 if none was, and this owner's certificates, verified.
func (d *Disperser) Restore(session uint64, own []*order.Certificate) {}

// View takes the chain's state after a block.
func (d *Disperser) View(now uint64, v *View) {}

// Room tells what may be dispersed now.
func (d *Disperser) Room() Room { return Room{} }

// Disperse signs the batch and sends it off. The room is what the batch was built for.
// Errors: ErrSession.
func (d *Disperser) Disperse(now uint64, room Room, p Payload) (order.Position, error) {
	return order.Position{}, nil
}

// Connected tells that the member can be reached, anew. Until it is told, nothing is
// sent to that member; this node reaches itself from the start.
func (d *Disperser) Connected(now uint64, member order.Owner) {}

// Disconnected tells that the member cannot be reached.
func (d *Disperser) Disconnected(member order.Owner) {}

// Answered takes what a member said. Attestations are verified here, with those of
// others when there are enough. It reports whether the answer made sense.
func (d *Disperser) Answered(now uint64, from order.Owner, a *Answer) bool { return false }

// Persisted tells that the certificate at the mark is on disk.
func (d *Disperser) Persisted(m order.Mark) {}

// Tick sends again what was not answered in time. Deadline says when there is something
// to do, 0 for never.
func (d *Disperser) Tick(now uint64) {}

// Deadline returns when Tick is to be called next, 0 for never.
func (d *Disperser) Deadline() uint64 { return 0 }

// Ready returns what is to be done, and forgets it.
func (d *Disperser) Ready() Ready { return Ready{} }
