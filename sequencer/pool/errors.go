package pool

import (
	"errors"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// Why the pool refuses a bundle. Beside these, order.ErrEncoding, order.ErrInvalid
// and order.ErrSignature tell of the bundle itself.
var (
	// ErrNoLane: this node is not in the epoch's committee, so no batch of its own can
	// be certified. Use the API of a validator.
	ErrNoLane = errors.New("this node has no lane in this epoch, use the API of a validator that has")
	// ErrFull: no room, or the payer's share of it is used up. Try again later, or at another validator.
	ErrFull = errors.New("pool is full, try again")
	// ErrNotReady: the chain has no block yet. Try again later.
	ErrNotReady = errors.New("chain has no block yet, try again")
	// ErrClosed: the node is shutting down. Try another validator.
	ErrClosed = errors.New("pool is closed")
	// ErrInsufficientFunds: the payer's balance does not cover the fee, after what it
	// would pay for its bundles that wait here.
	ErrInsufficientFunds = errors.New("payer's balance does not cover the fee")

	// ErrExpired: the next block's height is past the bundle's expiry.
	ErrExpired = ordering.ErrExpired
	// ErrExpiryTooFar: the expiry lies further ahead than the chain allows.
	ErrExpiryTooFar = ordering.ErrExpiryTooFar
	// ErrTooLarge: the bundle has more bytes than the chain allows.
	ErrTooLarge = ordering.ErrTooLarge
	// ErrFee: the fee is above the bundle's fee limit.
	ErrFee = ordering.ErrFee
	// ErrAlreadyOrdered: the chain has ordered this bundle.
	ErrAlreadyOrdered = ordering.ErrAlreadyOrdered
	// ErrDropped: the chain has dropped this bundle for good.
	ErrDropped = ordering.ErrDropped
)

// Temporary reports whether the same bundle may be accepted later.
func Temporary(err error) bool {
	for _, e := range []error{ErrNoLane, ErrFull, ErrNotReady, ErrClosed, ErrInsufficientFunds, ErrExpiryTooFar} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reason names an error in metrics.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		name string
	}{
		{ErrNoLane, "no_lane"}, {ErrFull, "full"}, {ErrNotReady, "not_ready"}, {ErrClosed, "closed"}, {ErrInsufficientFunds, "funds"},
		{ErrExpired, "expired"}, {ErrExpiryTooFar, "expiry_too_far"}, {ErrTooLarge, "too_large"}, {ErrFee, "fee"},
		{ErrAlreadyOrdered, "already_ordered"}, {ErrDropped, "dropped"},
		{order.ErrSignature, "signature"}, {order.ErrEncoding, "encoding"}, {order.ErrInvalid, "invalid"},
	} {
		if errors.Is(err, r.err) {
			return r.name
		}
	}
	return "other"
}
