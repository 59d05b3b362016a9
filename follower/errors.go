package follower

import (
	"errors"

	"github.com/ordo-network/ordo/order"
)

// Reasons to refuse a block, told apart by errors.Is. Each error's text names what
// was found and what was wanted.
var (
	// ErrMalformed: bytes that do not decode, or are over a bound.
	ErrMalformed = errors.New("malformed block")
	// ErrRollup: the block is another rollup's.
	ErrRollup = errors.New("block of another rollup")
	// ErrChainID: the header is of another chain.
	ErrChainID = errors.New("wrong chain ID")
	// ErrHeight: the block is not the one at the height that comes next.
	ErrHeight = errors.New("wrong height")
	// ErrHeader: the header is not the trusted one, or breaks a rule of headers.
	ErrHeader = errors.New("wrong header")
	// ErrValidators: the validator set is not the one that the chain has there.
	ErrValidators = errors.New("wrong validator set")
	// ErrCommit: the commit is for another block, lacks power, or a signature does
	// not verify.
	ErrCommit = errors.New("wrong commit")
	// ErrFuture: the validators signed a time that lies ahead of the local clock. The
	// clock is wrong, rather than whoever brought the block.
	ErrFuture = errors.New("block from the future")
	// ErrOrderingHeader: the ordering header is not transaction 0 of the block, or
	// does not describe it.
	ErrOrderingHeader = errors.New("wrong ordering header")
	// ErrAlteredLeg: a leg's transactions are not those of its record.
	ErrAlteredLeg = errors.New("altered leg")
	// ErrSiblings: a leg's bundle has other legs, and what came does not show which, or it has none.
	ErrSiblings = errors.New("other legs of the bundle are not shown")
	// ErrLegOrder: legs do not stand in the order of the block.
	ErrLegOrder = errors.New("legs out of order")
	// ErrMissingLeg: the block orders more legs for the rollup than were given.
	ErrMissingLeg = errors.New("missing leg")
	// ErrExtraLeg: more legs were given than the block orders for the rollup.
	ErrExtraLeg = errors.New("extra leg")
	// ErrVoid: a leg came without its data and it is not shown to be void, or one that
	// is came with data.
	ErrVoid = errors.New("leg is not shown to be void")
	// ErrNotVoid: a leg came without its data, and what should show that it is void
	// holds the data.
	ErrNotVoid = errors.New("leg is not void")
	// ErrVoidData: a leg came with data, and its batch is known to be void. Handlers of a
	// FirmReader return it for a block that they do not take for that: another blob may
	// hold the block with the proof.
	ErrVoidData = errors.New("data of a leg that is known to be void")
	// ErrAbsence: the proof that the block orders nothing for the rollup does not
	// verify.
	ErrAbsence = errors.New("absence is not proven")
	// ErrProof: the legs given are not those of the commitment.
	ErrProof = order.ErrProof
)

// ErrExpired says that the last trusted block is older than the trusting period:
// its validators may have unbonded since, and what they sign proves nothing. It
// is no fault of the block: a newer trusted height and hash are needed.
var ErrExpired = errors.New("trusted block has expired")

// ErrNotTrusted says that what was read is not the past of the block that is trusted.
var ErrNotTrusted = errors.New("not the past of the trusted block")

// reasons name the errors in metrics. The first that matches counts, so the
// particular stands before the general.
var reasons = []struct {
	err  error
	name string
}{
	{ErrRollup, "rollup"}, {ErrChainID, "chain_id"}, {ErrHeight, "height"}, {ErrValidators, "validators"},
	{ErrCommit, "commit"}, {ErrHeader, "header"}, {ErrFuture, "future"}, {ErrExpired, "expired"}, {ErrOrderingHeader, "ordering_header"},
	{ErrAlteredLeg, "altered_leg"}, {ErrSiblings, "siblings"}, {ErrLegOrder, "leg_order"}, {ErrMissingLeg, "missing_leg"}, {ErrExtraLeg, "extra_leg"},
	{ErrNotVoid, "not_void"}, {ErrVoidData, "void_data"}, {ErrVoid, "void"}, {ErrAbsence, "absence"}, {ErrProof, "proof"}, {ErrMalformed, "malformed"},
	{ErrBlobTooLarge, "blob_too_large"}, {ErrParts, "parts"}, {ErrBlob, "blob"},
}

func reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return "other"
}
