package lane

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// Keys finds the private key of a public attestation key; nil where this node does not
// have it. A node signs for an epoch with the key that the epoch's committee lists.
type Keys func(public [32]byte) ed25519.PrivateKey

// ErrBundles is wrapped by what is wrong with bundles of a batch for good.
var ErrBundles = errors.New("bundles that are not for a batch")

// Offer is what the owner of a lane sends to a member of the committee.
type Offer struct {
	Batch *order.SignedBatch
	Share *shard.Share // all shards of that member
}

// Answer is what a member says to the owner of a lane about a batch: an attestation,
// or why there is none.
type Answer struct {
	Position    order.Position
	Batch       order.BatchID
	Attestation *order.Attestation // or
	Refusal     *Refusal
}

// Refusal says why a member does not attest a batch. It is an error.
type Refusal struct {
	Reason Reason
	// Expect is the position that the member would attest next, for ReasonSequence.
	Expect order.Mark
}

// Reason is the kind of a refusal. The numbers are those of the wire.
type Reason uint8

// Reasons that may pass.
const (
	// ReasonEpoch: the member knows no committee of the batch's epoch, because the
	// epoch is over or the member has not seen it begin.
	ReasonEpoch Reason = iota + 1
	// ReasonSequence: the batch does not follow on what the member attested, or has
	// the certificate of, in that lane. The refusal says what would.
	ReasonSequence
	// ReasonQuota: too much of the lane is attested and not ordered.
	ReasonQuota
	// ReasonBusy: the member's disk or processor has no room now.
	ReasonBusy
	// ReasonUnpaid: by the state that the member knows, most of the batch will be dropped
	// without being paid for.
	ReasonUnpaid
)

// Reasons that do not pass.
const (
	// ReasonDone: the position is certified or ordered; the member's attestation is
	// of no use.
	ReasonDone Reason = iota + 16
	// ReasonSession: the lane went on to a later session.
	ReasonSession
	// ReasonConflict: the owner signed another batch for the position.
	ReasonConflict
	// ReasonLost: the member's disk does not say any more what it attested there.
	ReasonLost
	// ReasonCommittee: the member, or the owner, is not in the epoch's committee, or
	// has no key there.
	ReasonCommittee
	// ReasonHeader: the header breaks a bound.
	ReasonHeader
	// ReasonSignature: the owner's signature does not verify.
	ReasonSignature
	// ReasonPayer: a bundle's signature does not verify.
	ReasonPayer
	// ReasonShare: the share is not the one that the member holds.
	ReasonShare
	// ReasonBundles: the chain's rules do not allow a bundle, or most have expired.
	ReasonBundles
)

var reasons = map[Reason]string{
	ReasonEpoch:     "the batch is not of an epoch that is open here; try again after the next block",
	ReasonSequence:  "the batch does not follow on what is known of the lane here",
	ReasonQuota:     "too much of the lane waits to be ordered; wait for blocks",
	ReasonBusy:      "no room now; try again later",
	ReasonUnpaid:    "most of the batch would not be paid for by the state that is known here",
	ReasonDone:      "the position is certified already",
	ReasonSession:   "the lane has begun a later session",
	ReasonConflict:  "another batch was signed for the position",
	ReasonLost:      "what was attested for the position is not known any more",
	ReasonCommittee: "owner and attester must both be in the committee, with a key",
	ReasonHeader:    "the batch's header breaks a bound",
	ReasonSignature: "the owner's signature does not verify",
	ReasonPayer:     "a payer's signature does not verify",
	ReasonShare:     "the share is not the one that is held here",
	ReasonBundles:   "a bundle is too large or its fee limit too low, or most of them have expired",
}

// Known tells whether the reason is one of those above. A peer may send anything.
func (r Reason) Known() bool { return reasons[r] != "" }

// Final tells whether the member will never attest the batch.
func (r Reason) Final() bool { return r >= ReasonDone }

func (r Reason) String() string {
	if s := reasons[r]; s != "" {
		return s
	}
	return fmt.Sprintf("unknown reason %d", uint8(r))
}

// Error says what was wrong, and what would be right where that is known.
func (r *Refusal) Error() string {
	if r.Reason == ReasonSequence {
		return fmt.Sprintf("%s: expected session %d, sequence %d", r.Reason, r.Expect.Session, r.Expect.Sequence)
	}
	return r.Reason.String()
}
