package gateway

import (
	"context"
	"errors"

	"github.com/ordo-network/ordo/gateway/receipt"
)

// Receipt returns the payer's signed word that the transaction was accepted for ordering,
// once that is on disk. It is the same one each time. Errors: ErrUnknown where the
// transaction is neither held nor remembered, ErrStopped.
func (g *Gateway) Receipt(ctx context.Context, hash [32]byte) (*receipt.Receipt, error) {
	return nil, errors.ErrUnsupported
}
