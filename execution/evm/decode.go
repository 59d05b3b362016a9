package evm

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

// decodeBlock is decode for all transactions of a block, which may have been decoded before
// its turn.
func (c *Client) decodeBlock(signer types.Signer, b execution.Block) ([]*types.Transaction, []error) {
	return decode(signer, b.Transactions, c.ahead.get(b), &c.speculation.known)
}

// decode reads transactions from bytes that nobody has checked, and recovers their
// senders, which costs more than executing a transfer: on all processors, and only
// for those that are not known, or decoded already (in early, nil for none).
func decode(signer types.Signer, raw [][]byte, early []*types.Transaction, known *decoded) ([]*types.Transaction, []error) {
	txs, failed := make([]*types.Transaction, len(raw)), make([]error, len(raw))
	if early != nil {
		txs = early
	}
	workers := min(runtime.GOMAXPROCS(0), (len(raw)+3)/4)
	var wg sync.WaitGroup
	for first := range workers {
		wg.Go(func() {
			for i := first; i < len(raw); i += workers {
				if txs[i] == nil {
					txs[i] = known.get(raw[i])
				}
				if txs[i] == nil {
					txs[i], failed[i] = decodeTransaction(signer, raw[i])
				} else if _, err := types.Sender(signer, txs[i]); err != nil {
					// It was decoded under the rules of a fork that this block is not of.
					txs[i], failed[i] = nil, fmt.Errorf("recover sender: %w", err)
				}
			}
		})
	}
	wg.Wait()
	return txs, failed
}

func decodeTransaction(signer types.Signer, raw []byte) (*types.Transaction, error) {
	switch {
	case len(raw) > MaxTransactionBytes:
		return nil, errTooLarge
	case terms.Is(raw):
		return nil, errTerms
	case len(raw) > 0 && raw[0] == types.BlobTxType:
		return nil, errBlob
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("decode transaction: %w", err)
	}
	if _, err := types.Sender(signer, tx); err != nil { // kept inside tx
		return nil, fmt.Errorf("recover sender: %w", err)
	}
	tx.Hash() // also kept
	return tx, nil
}

const (
	// decodedBytes bounds one of the two halves of what is kept decoded.
	decodedBytes = 8 << 20
	// decodedOverhead is about what a transaction takes beside its bytes.
	decodedOverhead = 600
)

// decoded keeps transactions that were tried out, with their senders, by the hash
// of their bytes: they come again when a block is tried anew, and when they are
// ordered. What it holds follows from the bytes alone, so whether a transaction is
// there or not makes no difference but in time.
type decoded struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]*types.Transaction
	bytes      int // in young
}

func (d *decoded) get(raw []byte) *types.Transaction {
	if d == nil {
		return nil
	}
	key := sha256.Sum256(raw)
	d.mu.Lock()
	defer d.mu.Unlock()
	if tx := d.young[key]; tx != nil {
		return tx
	}
	return d.old[key]
}

func (d *decoded) put(raw []byte, tx *types.Transaction) {
	key := sha256.Sum256(raw)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.young[key] != nil {
		return
	}
	if d.young == nil || d.bytes > decodedBytes {
		d.young, d.old, d.bytes = make(map[[sha256.Size]byte]*types.Transaction), d.young, 0
	}
	d.young[key] = tx
	d.bytes += len(raw) + decodedOverhead
}
