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
// owner and self are in the committee, the header's bounds, the owner's signature and
// the payers' for this lane, and that the share is the one that self holds. It is what costs time:
// call it from many goroutines, after Keeper.Screen. The layout is that of the batch's
// epoch; that the offer came from the batch's owner is for the caller to see.
func Check(v *View, l *shard.Layout, self order.Owner, o *Offer) (*Checked, *Refusal) {
	if r := checkShare(v, l, self, o); r != nil {
		return nil, r
	}
	id, r := checkBatch(v, o.Batch)
	if r != nil {
		return nil, r
	}
	return &Checked{offer: o, id: id}, nil
}

// CheckOwn is Check for a batch that self made, signed and cut itself a moment ago, of bundles that it
// checked when it took them in: no more than what the view says of it may have changed.
func CheckOwn(v *View, self order.Owner, o *Offer) (*Checked, *Refusal) {
	if r := checkHeader(v, self, &o.Batch.Header); r != nil {
		return nil, r
	}
	return &Checked{offer: o, id: o.Batch.Header.ID(v.ChainID)}, nil
}

// checkShare comes first: it is cheaper than signatures.
func checkShare(v *View, l *shard.Layout, self order.Owner, o *Offer) *Refusal {
	h := &o.Batch.Header
	if r := checkHeader(v, self, h); r != nil {
		return r
	}
	run := l.Range(self[:])
	if o.Share.First != run.First || len(o.Share.Shards) != run.Count*l.ShardSize(int(h.Length)) ||
		l.Verify(shard.Root(h.Root), int(h.Length), o.Share) != nil {
		return &Refusal{Reason: ReasonShare}
	}
	return nil
}

// checkHeader checks what costs nothing.
func checkHeader(v *View, self order.Owner, h *order.BatchHeader) *Refusal {
	c := v.Committee(h.Epoch)
	if c == nil {
		return &Refusal{Reason: ReasonEpoch}
	}
	if i, ok := c.Index(self); !ok || c.Members[i].Key == ([32]byte{}) {
		return &Refusal{Reason: ReasonCommittee}
	}
	if h.Length > v.Params.MaxBatchBytes || h.Size() > order.MaxHeaderBytes {
		return &Refusal{Reason: ReasonHeader}
	}
	return nil
}

// checkBatch checks the signatures, which are the same for all members.
func checkBatch(v *View, b *order.SignedBatch) (order.BatchID, *Refusal) {
	id, err := v.Committee(b.Header.Epoch).VerifyBatch(v.ChainID, b)
	if errors.Is(err, order.ErrMember) {
		return id, &Refusal{Reason: ReasonCommittee}
	}
	if err != nil {
		return id, &Refusal{Reason: ReasonSignature}
	}
	if _, valid := order.VerifySummaries(v.ChainID, b.Header.Owner, b.Header.Bundles); slices.Contains(valid, false) {
		return id, &Refusal{Reason: ReasonPayer}
	}
	return id, nil
}
