package gateway

import (
	"context"
	"time"

	"github.com/ordo-network/ordo/gateway/receipt"
)

// Receipt returns the payer's signed word that the transaction was accepted for ordering,
// once that is on disk. It is the same one each time, as long as the key is. Errors:
// ErrUnknown where the transaction is neither held nor remembered, ErrStopped.
func (g *Gateway) Receipt(ctx context.Context, hash [32]byte) (*receipt.Receipt, error) {
	r := &receipt.Receipt{ChainID: g.cfg.ChainID, RollupID: g.cfg.RollupID, TxHash: hash}
	g.mu.RLock()
	received, bundle, ok := g.core.acceptance(hash)
	g.mu.RUnlock()
	if !ok {
		return nil, ErrUnknown
	}
	if err := g.Flush(ctx); err != nil { // nobody may be told before
		return nil, err
	}
	r.Received, r.Bundle = millis(received), bundle
	r.Sign(g.cfg.Key)
	return r, nil
}

// acceptance tells when the transaction came, and with which user's bundle where it did not
// come by itself.
func (c *core) acceptance(hash [32]byte) (received time.Time, bundle [32]byte, ok bool) {
	if e := c.txs[hash]; e != nil {
		return e.received, bundle, true
	}
	if r := c.history.get(hash); r != nil {
		return r.Received, bundle, true
	}
	if p, _ := c.parcelOf(hash); p != nil {
		return p.received, p.ref, true
	}
	return time.Time{}, bundle, false
}
