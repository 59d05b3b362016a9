package ordering

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cometbft/cometbft/crypto/tmhash"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
)

// What can be wrong with a bundle besides its form and signature.
var (
	// ErrExpired: the block's height is past the bundle's expiry.
	ErrExpired = errors.New("bundle has expired")
	// ErrExpiryTooFar: the expiry lies further ahead than the rules allow.
	ErrExpiryTooFar = errors.New("bundle's expiry is too far ahead")
	// ErrTooLarge: the bundle has more bytes than the rules allow.
	ErrTooLarge = errors.New("bundle is too large")
	// ErrFee: the fee is above what the payer agreed to pay.
	ErrFee = errors.New("fee is above the bundle's fee limit")
	// ErrAlreadyOrdered: the chain has ordered this bundle.
	ErrAlreadyOrdered = errors.New("bundle is already ordered")
	// ErrDropped: the chain has dropped this bundle for good.
	ErrDropped = errors.New("bundle was dropped")
)

// ErrCanonical is returned for certificates that do not stand in canonical order.
var ErrCanonical = errors.New("certificates are not in canonical order")

// Rules are what the state before a block says about that block.
type Rules struct {
	ChainID string
	Height  uint64 // of the block
	Params  Params
	// Fate says what became of a bundle that an earlier block carried.
	Fate func(order.BundleID) (Fate, bool)
	// Balance returns what the payer can spend, in uordo.
	Balance func(order.Payer) uint64

	// What follows is about certificates; who looks at bundles only leaves it out.

	// Lane returns where a lane stands.
	Lane func(order.Owner) order.LaneState
	// Committee returns the committee of an epoch whose batches the block may order,
	// and nil of any other.
	Committee func(epoch uint64) *order.Committee
	// Moved reports whether the block before this one moved the lane.
	Moved func(order.Owner) bool
	// Verify checks a certificate against the committee of its epoch.
	Verify func(*order.Committee, *order.Certificate) error
	Limits order.BlockLimits
}

// Charge is what one payer owes for a block.
type Charge struct {
	Payer  sdk.AccAddress
	Amount uint64 // in uordo
}

// Evaluation is what a block makes of its certificates.
type Evaluation struct {
	Block        *order.Block
	Certificates []*order.Certificate
	IDs          []order.BundleID // of all bundles that the block carries, in its order
	Drops        []Drop
	Lanes        []order.LaneEnd // where the lanes stand that it moves, by owner
	Charges      []Charge        // one per payer, by address
	Carried      Carried         // what it leaves in the window
}

// Address returns the account that a payer's key stands for.
func Address(p order.Payer) sdk.AccAddress { return sdk.AccAddress(tmhash.SumTruncated(p[:])) }

// Fee returns what the bundle costs, in uordo.
func (r *Rules) Fee(b *order.BundleSummary) uint64 {
	return Fee(uint64(b.Size()), r.Params.FeePerKilobyte)
}

// Check returns why the block would not order the bundle with that ID, or nil. Form
// and signature are not looked at, nor the payer's balance. Errors: ErrExpired,
// ErrExpiryTooFar, ErrTooLarge, ErrFee, ErrAlreadyOrdered, ErrDropped.
func (r *Rules) Check(b *order.BundleSummary, id order.BundleID) error {
	if fate, ok := r.Fate(id); ok {
		if fate.Reason == 0 {
			return fmt.Errorf("at height %d: %w", fate.Height, ErrAlreadyOrdered)
		}
		return fmt.Errorf("at height %d, because %s: %w", fate.Height, fate.Reason, ErrDropped)
	}
	if b.Expiry < r.Height {
		return fmt.Errorf("expiry %d, the next block has height %d: %w", b.Expiry, r.Height, ErrExpired)
	}
	if b.Expiry-r.Height > r.Params.MaxExpiryBlocks {
		return fmt.Errorf("expiry %d, at most %d: %w", b.Expiry, r.Height+r.Params.MaxExpiryBlocks, ErrExpiryTooFar)
	}
	return r.checkSize(b)
}

// checkSize returns what is wrong with a bundle whatever the height. Errors: ErrTooLarge, ErrFee.
func (r *Rules) checkSize(b *order.BundleSummary) error {
	if size := uint64(b.Size()); size > r.Params.MaxBundleBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", size, r.Params.MaxBundleBytes, ErrTooLarge)
	}
	if fee := r.Fee(b); fee > b.FeeLimit {
		return fmt.Errorf("fee %d uordo, limit %d uordo: %w", fee, b.FeeLimit, ErrFee)
	}
	return nil
}

// dropReason returns the reason that stands for an error of Check.
func dropReason(err error) DropReason {
	switch {
	case errors.Is(err, ErrAlreadyOrdered), errors.Is(err, ErrDropped):
		return DropDuplicate
	case errors.Is(err, ErrExpired):
		return DropExpired
	case errors.Is(err, ErrExpiryTooFar):
		return DropExpiryTooFar
	case errors.Is(err, ErrTooLarge):
		return DropTooLarge
	}
	return DropFee
}

// Evaluate decides what a block with these certificates orders, where its validators'
// reports require those marks. It is a pure function of the rules and its arguments.
// An error means that no honest proposer carries the certificates; it is one of
// ErrCanonical, order.ErrCensored, order.ErrLimits, order.ErrLane, or an error of
// order.Committee.Verify. Whatever a bundle lacks is no error but a drop. Payers'
// signatures are not looked at: a certificate stands for them.
func (r *Rules) Evaluate(certs []*order.Certificate, required []order.Tip) (*Evaluation, error) {
	// What is cheap comes first, so that a hostile proposal costs little.
	if err := order.CheckReach(r.Limits, r.Height, certs, r.Lane, required); err != nil {
		return nil, err
	}
	placed, ends, err := order.Arrange(certs, r.Lane, r.Committee)
	if err != nil {
		return nil, err
	}
	for i, p := range placed {
		if p.Certificate != certs[i] {
			return nil, fmt.Errorf("certificate %d is of batch %s, its place is that of %s: %w",
				i, certs[i].Header.Position, p.Certificate.Header.Position, ErrCanonical)
		}
	}
	for _, c := range certs {
		if err := r.Verify(r.Committee(c.Header.Epoch), c); err != nil {
			return nil, err
		}
	}
	e := &Evaluation{Certificates: certs, Lanes: ends}
	ordered := r.judge(e, carriedBy(r.ChainID, certs))
	var times order.Times
	if len(placed) > 0 {
		times = order.Times{First: placed[0].OrderTime, Last: placed[len(placed)-1].OrderTime}
	}
	e.Block = order.NewBlock(r.Height, ordered, uint64(len(e.Drops)), times)
	return e, nil
}

// judge says of each bundle, in the block's order, whether it is ordered, and what its
// payer then owes.
func (r *Rules) judge(e *Evaluation, carried []order.Ordered) []order.Ordered {
	var (
		ordered = make([]order.Ordered, 0, len(carried))
		here    = make(map[order.BundleID]struct{}, len(carried))
		ledger  = newLedger(r.Balance)
	)
	e.IDs = make([]order.BundleID, 0, len(carried))
	e.Carried.Height = r.Height
	for i, o := range carried {
		e.IDs = append(e.IDs, o.ID)
		var reason DropReason
		if _, twice := here[o.ID]; twice {
			reason = DropDuplicate
		} else if err := r.Check(o.Summary, o.ID); err != nil {
			reason = dropReason(err)
		} else if !ledger.pay(o.Summary.Payer, r.Fee(o.Summary)) {
			reason = DropFunds
		}
		if reason == 0 {
			ordered = append(ordered, o)
		} else {
			e.Drops = append(e.Drops, Drop{Index: i, ID: o.ID, Reason: reason})
		}
		if reason == 0 || reason.final() {
			here[o.ID] = struct{}{}
			e.Carried.add(o.ID, reason, o.Summary.Expiry)
		}
	}
	e.Charges = ledger.charges()
	return ordered
}

// ledger adds up what payers owe within one block.
type ledger struct {
	balance func(order.Payer) uint64
	owed    map[order.Payer]uint64
	left    map[order.Payer]uint64
}

// newLedger starts at the balances before the block.
func newLedger(balance func(order.Payer) uint64) *ledger {
	return &ledger{balance: balance, owed: make(map[order.Payer]uint64), left: make(map[order.Payer]uint64)}
}

// pay takes the fee from what the payer has left, or reports that it cannot.
func (l *ledger) pay(p order.Payer, fee uint64) bool {
	left, ok := l.left[p]
	if !ok {
		left = l.balance(p)
		l.left[p] = left
	}
	if fee > left {
		return false
	}
	l.left[p] = left - fee
	l.owed[p] += fee
	return true
}

func (l *ledger) charges() []Charge {
	out := make([]Charge, 0, len(l.owed))
	for p, amount := range l.owed {
		if amount > 0 {
			out = append(out, Charge{Payer: Address(p), Amount: amount})
		}
	}
	slices.SortFunc(out, func(a, b Charge) int { return bytes.Compare(a.Payer, b.Payer) })
	return out
}
