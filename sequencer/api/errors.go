package api

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
)

// Errors of the pool that a caller can act on.
var (
	ErrFull           = errors.New("the pool is full")
	ErrAlreadyOrdered = errors.New("the bundle was ordered already")
)

// submitError gives an error of the pool its code.
func submitError(err error) error {
	switch {
	case errors.Is(err, order.ErrEncoding), errors.Is(err, order.ErrInvalid), errors.Is(err, order.ErrSignature):
		return connect.NewError(connect.CodeInvalidArgument, err)
	case errors.Is(err, ErrFull):
		return retryable(err)
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	default:
		return connect.NewError(connect.CodeInternal, err)
	}
}
