package ordering

import (
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/ordo-network/ordo/order"
)

// OwnTxs is the number of transactions at the head of each block that are not
// transactions of the Cosmos SDK: the ordering header and the batch.
const OwnTxs = 2

// KindInline marks a transaction 1 that carries its bundles in full. It leaves
// room for a transaction 1 that carries certificates, and it keeps an empty
// batch from being an empty transaction.
const KindInline = 0x01

// ErrLayout is returned for a block that is not laid out as every block must be.
var ErrLayout = errors.New("block is not laid out as header, batch, transactions")

// EncodeInline returns transaction 1 for the batch.
func EncodeInline(batch *order.Batch) []byte {
	return append([]byte{KindInline}, batch.Encode()...)
}

// DecodeInline returns the batch that transaction 1 carries. The result aliases
// raw. Errors: ErrLayout, order.ErrEncoding, order.ErrInvalid.
func DecodeInline(raw []byte) (*order.Batch, error) {
	if len(raw) == 0 || raw[0] != KindInline {
		return nil, fmt.Errorf("transaction 1 does not start with %#02x: %w", KindInline, ErrLayout)
	}
	return order.DecodeBatch(raw[1:])
}

// Outcome returns what a committed block ordered and dropped, from its
// transactions and their results. It trusts the results for what was dropped and
// checks them against the ordering header; signatures are not checked again. The
// block aliases txs.
func Outcome(chainID string, height uint64, txs [][]byte, results []*abci.ExecTxResult) (*order.Block, []Drop, error) {
	if len(txs) < OwnTxs || len(results) < OwnTxs {
		return nil, nil, fmt.Errorf("%d transactions, %d results: %w", len(txs), len(results), ErrLayout)
	}
	header, err := order.DecodeHeader(txs[0])
	if err != nil {
		return nil, nil, err
	}
	batch, err := DecodeInline(txs[1])
	if err != nil {
		return nil, nil, err
	}
	drops, err := DecodeDrops(results[1].GetData(), len(batch.Bundles))
	if err != nil {
		return nil, nil, err
	}
	ordered := make([]order.Ordered, 0, len(batch.Bundles))
	next := 0
	for i, b := range batch.Bundles {
		id := b.ID(chainID)
		if next < len(drops) && drops[next].Index == i {
			drops[next].ID = id
			next++
			continue
		}
		ordered = append(ordered, order.Ordered{ID: id, Bundle: b})
	}
	block, err := order.NewBlock(height, ordered, uint64(len(drops)))
	if err != nil {
		return nil, nil, err
	}
	if block.Header() != header {
		return nil, nil, fmt.Errorf("height %d: ordering header does not match batch and results: %w", height, ErrLayout)
	}
	return block, drops, nil
}
