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

// What can be wrong with a bundle besides its form and signature. A proposer that
// carries such a bundle makes its block invalid.
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

// Rules are what the state before a block says about bundles in that block.
type Rules struct {
	Height uint64 // of the block
	Params Params
	// Fate says what became of a bundle that an earlier block carried.
	Fate func(order.BundleID) (Fate, bool)
	// Balance returns what the payer can spend, in uordo.
	Balance func(order.Payer) uint64
	// Verify checks the payers' signatures and returns the bundles with their IDs.
	Verify func(...*order.Bundle) ([]order.Ordered, error)
}

// Charge is what one payer owes for a block.
type Charge struct {
	Payer  sdk.AccAddress
	Amount uint64 // in uordo
}

// Evaluation is what a block makes of its batch.
type Evaluation struct {
	Block   *order.Block
	IDs     []order.BundleID // of all bundles of the batch, in its order
	Drops   []Drop
	Until   uint64   // the latest expiry among them
	Charges []Charge // one per payer, by address
}

// Address returns the account that a payer's key stands for.
func Address(p order.Payer) sdk.AccAddress { return sdk.AccAddress(tmhash.SumTruncated(p[:])) }

// Fee returns what the bundle costs, in uordo.
func (r *Rules) Fee(b *order.Bundle) uint64 { return Fee(uint64(b.Size()), r.Params.FeePerKilobyte) }

// Check returns why the block must not carry the bundle with that ID, or nil.
// Form and signature are not looked at. Errors: ErrExpired, ErrExpiryTooFar,
// ErrTooLarge, ErrFee, ErrAlreadyOrdered, ErrDropped.
func (r *Rules) Check(b *order.Bundle, id order.BundleID) error {
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
	if size := uint64(b.Size()); size > r.Params.MaxBundleBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", size, r.Params.MaxBundleBytes, ErrTooLarge)
	}
	if fee := r.Fee(b); fee > b.FeeLimit {
		return fmt.Errorf("fee %d uordo, limit %d uordo: %w", fee, b.FeeLimit, ErrFee)
	}
	return nil
}

// Evaluate decides what a block with this batch orders. It is a pure function of
// the rules and the batch. An error means that no honest proposer carries the
// batch; it is one of those of Check, order.ErrSignature or order.ErrInvalid.
func (r *Rules) Evaluate(batch *order.Batch) (*Evaluation, error) {
	if size := uint64(batch.Size()); size > r.Params.MaxBatchBytes {
		return nil, fmt.Errorf("batch of %d bytes, at most %d: %w", size, r.Params.MaxBatchBytes, order.ErrInvalid)
	}
	carried, err := r.Verify(batch.Bundles...)
	if err != nil {
		return nil, err
	}
	var (
		e       = &Evaluation{IDs: make([]order.BundleID, 0, len(carried))}
		ordered = make([]order.Ordered, 0, len(carried))
		here    = make(map[order.BundleID]struct{}, len(carried))
		ledger  = NewLedger(r.Balance)
	)
	for i, o := range carried {
		if err := r.Check(o.Bundle, o.ID); err != nil {
			return nil, fmt.Errorf("bundle %d, %s: %w", i, o.ID, err)
		}
		if _, twice := here[o.ID]; twice {
			return nil, fmt.Errorf("bundle %d, %s: second time in the batch: %w", i, o.ID, ErrAlreadyOrdered)
		}
		here[o.ID] = struct{}{}
		e.IDs = append(e.IDs, o.ID)
		e.Until = max(e.Until, o.Bundle.Expiry)
		if ledger.Pay(o.Bundle.Payer, r.Fee(o.Bundle)) {
			ordered = append(ordered, o)
		} else {
			e.Drops = append(e.Drops, Drop{Index: i, ID: o.ID, Reason: DropFunds})
		}
	}
	block, err := order.NewBlock(r.Height, ordered, uint64(len(e.Drops)))
	if err != nil {
		return nil, err
	}
	e.Block, e.Charges = block, ledger.charges()
	return e, nil
}

// Ledger adds up what payers owe within one block.
type Ledger struct {
	balance func(order.Payer) uint64
	owed    map[order.Payer]uint64
	left    map[order.Payer]uint64
}

// NewLedger starts at the balances before the block.
func NewLedger(balance func(order.Payer) uint64) *Ledger {
	return &Ledger{balance: balance, owed: make(map[order.Payer]uint64), left: make(map[order.Payer]uint64)}
}

// Pay takes the fee from what the payer has left, or reports that it cannot.
func (l *Ledger) Pay(p order.Payer, fee uint64) bool {
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

func (l *Ledger) charges() []Charge {
	out := make([]Charge, 0, len(l.owed))
	for p, amount := range l.owed {
		if amount > 0 {
			out = append(out, Charge{Payer: Address(p), Amount: amount})
		}
	}
	slices.SortFunc(out, func(a, b Charge) int { return bytes.Compare(a.Payer, b.Payer) })
	return out
}

// Carried returns the record that the block leaves in the window.
func (e *Evaluation) Carried() Carried {
	return Carried{Height: e.Block.Height, Until: e.Until, IDs: e.IDs, Drops: e.Drops}
}
