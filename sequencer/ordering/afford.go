package ordering

import (
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/order"
)

// ErrUnpaid is returned where most of a batch would be dropped, so that nobody pays for it.
var ErrUnpaid = errors.New("most of the batch would not be paid for")

// Afford returns why a batch of these bundles should not be certified before a block of
// that height, or nil. What a block drops costs nobody anything, but every validator its
// share of the data: a lane must not be filled with it. The pool keeps such bundles out,
// so that of a correct owner's batch only some are dropped, which expire on the way or
// whose payer has spent the money elsewhere meanwhile.
//
// Errors: ErrTooLarge and ErrFee where that holds for any bundle; ErrExpired where it
// holds for those with more than half of the bytes; ErrUnpaid where these, those that
// come too early or twice, and those that their payers cannot pay together have.
func (r *Rules) Afford(bundles []order.BundleSummary) error {
	var total, expired, unpaid uint64
	ledger, here := newLedger(r.Balance), make(map[order.BundleID]struct{}, len(bundles))
	for i := range bundles {
		b := &bundles[i]
		id := b.ID(r.ChainID)
		if err := r.checkSize(b); err != nil {
			return fmt.Errorf("bundle %s: %w", id, err)
		}
		size := uint64(b.Size())
		total += size
		_, twice := here[id]
		here[id] = struct{}{}
		switch {
		case b.Expiry < r.Height:
			expired += size
		case twice || b.Expiry-r.Height > r.Params.MaxExpiryBlocks || !ledger.pay(b.Payer, r.Fee(b)):
			unpaid += size
		}
	}
	if expired > total/2 {
		return fmt.Errorf("%d of %d bytes: %w", expired, total, ErrExpired)
	}
	if expired+unpaid > total/2 {
		return fmt.Errorf("%d of %d bytes: %w", expired+unpaid, total, ErrUnpaid)
	}
	return nil
}
