package ordering

import (
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/ordo-network/ordo/order"
)

// OwnTxs is the number of transactions at the head of each block that are not
// transactions of the Cosmos SDK: the ordering header and the manifest.
const OwnTxs = 2

// ErrLayout is returned for a block that is not laid out as every block must be.
var ErrLayout = errors.New("block is not laid out as header, manifest, transactions")

// Outcome returns what a committed block ordered and dropped, from its
// transactions and their results. Neither the bundles' data nor the state is needed:
// it trusts the results for what was dropped and the ordering header for the order
// times, and checks the rest of the header against them; signatures are not checked
// again.
func Outcome(chainID string, height uint64, txs [][]byte, results []*abci.ExecTxResult) (*order.Block, []Drop, error) {
	if len(txs) < OwnTxs || len(results) < OwnTxs {
		return nil, nil, fmt.Errorf("%d transactions, %d results: %w", len(txs), len(results), ErrLayout)
	}
	header, err := order.DecodeHeader(txs[0])
	if err != nil {
		return nil, nil, err
	}
	manifest, err := DecodeManifest(txs[1])
	if err != nil {
		return nil, nil, err
	}
	carried := carriedBy(chainID, manifest.Certificates)
	drops, err := DecodeDrops(results[1].GetData(), len(carried))
	if err != nil {
		return nil, nil, err
	}
	ordered := make([]order.Ordered, 0, len(carried)-len(drops))
	next := 0
	for i, o := range carried {
		if next < len(drops) && drops[next].Index == i {
			drops[next].ID = o.ID
			next++
			continue
		}
		ordered = append(ordered, o)
	}
	block := order.NewBlock(height, ordered, uint64(len(drops)), header.Times)
	if block.Header() != header {
		return nil, nil, fmt.Errorf("height %d: ordering header does not match certificates and results: %w", height, ErrLayout)
	}
	return block, drops, nil
}

// carriedBy lists the bundles of certificates in the block's order. What it returns
// points into the certificates.
func carriedBy(chainID string, certs []*order.Certificate) []order.Ordered {
	n := 0
	for _, c := range certs {
		n += len(c.Header.Bundles)
	}
	out := make([]order.Ordered, 0, n)
	for _, c := range certs {
		batch := c.Header.ID(chainID)
		for i := range c.Header.Bundles {
			s := &c.Header.Bundles[i]
			out = append(out, order.Ordered{ID: s.ID(chainID), Summary: s, Batch: batch, BatchIndex: uint64(i)})
		}
	}
	return out
}
