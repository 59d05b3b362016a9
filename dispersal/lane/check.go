package lane

import (
	"errors"
	"slices"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// Checked is an offer that passed Check.
type Checked struct {
	offer *Offer
	id    order.BatchID
}

// Check checks all of an offer that does not depend on what was attested before: that
// owner and self are in the committee, the header's bounds, the owner's and the payers'
// signatures, and that the share is the one that self holds. It is what costs time:
// call it from many goroutines, after Keeper.Screen. The layout is that of the batch's
// epoch; that the offer came from the batch's owner is for the caller to see.
func Check(v *View, l *shard.Layout, self order.Owner, o *Offer) (*Checked, *Refusal) {
	h := &o.Batch.Header
	c := v.Committee(h.Epoch)
	if c == nil {
		return nil, &Refusal{Reason: ReasonEpoch}
	}
	if i, ok := c.Index(self); !ok || c.Members[i].Key == ([32]byte{}) {
		return nil, &Refusal{Reason: ReasonCommittee}
	}
	if h.Length > v.Params.MaxBatchBytes || h.Size() > order.MaxHeaderBytes {
		return nil, &Refusal{Reason: ReasonHeader}
	}
	run := l.Range(self[:])
	if o.Share.First != run.First || len(o.Share.Shards) != run.Count*l.ShardSize(int(h.Length)) {
		return nil, &Refusal{Reason: ReasonShare}
	}
	id, err := c.VerifyBatch(v.ChainID, o.Batch)
	if errors.Is(err, order.ErrMember) {
		return nil, &Refusal{Reason: ReasonCommittee}
	}
	if err != nil {
		return nil, &Refusal{Reason: ReasonSignature}
	}
	if l.Verify(shard.Root(h.Root), int(h.Length), o.Share) != nil {
		return nil, &Refusal{Reason: ReasonShare}
	}
	if _, valid := order.VerifySummaries(v.ChainID, h.Bundles); slices.Contains(valid, false) {
		return nil, &Refusal{Reason: ReasonPayer}
	}
	return &Checked{offer: o, id: id}, nil
}
