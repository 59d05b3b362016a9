package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// submitCodes says what each refusal of the pool is to a caller. Those that are
// not here are faults of this node.
var submitCodes = []struct {
	err  error
	code connect.Code
}{
	{order.ErrEncoding, connect.CodeInvalidArgument},
	{order.ErrInvalid, connect.CodeInvalidArgument},
	{order.ErrSignature, connect.CodeInvalidArgument},
	{pool.ErrTooLarge, connect.CodeInvalidArgument},
	{pool.ErrNoLane, connect.CodeFailedPrecondition},
	{pool.ErrExpired, connect.CodeFailedPrecondition},
	{pool.ErrExpiryTooFar, connect.CodeFailedPrecondition},
	{pool.ErrFee, connect.CodeFailedPrecondition},
	{pool.ErrInsufficientFunds, connect.CodeFailedPrecondition},
	{pool.ErrDropped, connect.CodeFailedPrecondition},
	{pool.ErrNotReady, connect.CodeUnavailable},
	{pool.ErrClosed, connect.CodeUnavailable},
	{context.Canceled, connect.CodeCanceled},
	{context.DeadlineExceeded, connect.CodeDeadlineExceeded},
}

// submitError gives an error of the pool its code.
func submitError(err error) error {
	if errors.Is(err, pool.ErrFull) {
		return retryable(err)
	}
	for _, c := range submitCodes {
		if errors.Is(err, c.err) {
			return connect.NewError(c.code, err)
		}
	}
	return connect.NewError(connect.CodeInternal, err)
}
