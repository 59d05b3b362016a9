package evm

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/execution"
)

const (
	// MaxTransactionBytes bounds one transaction: what the pools of Ethereum's
	// nodes accept. It is a rule of the chain: a larger one is skipped.
	MaxTransactionBytes = 128 << 10
	// maxBodyBytes keeps a block below EIP-7934's bound on its encoding, with
	// room for the header, as geth's miner does.
	maxBodyBytes = params.MaxBlockSize - 1_000_000
)

// Why a transaction is skipped, beside the reasons that geth gives.
var (
	errTerms    = errors.New("terms: they stand first in a leg, and hold for it alone")
	errTooLarge = fmt.Errorf("transaction larger than %d bytes", MaxTransactionBytes)
	errBlob     = errors.New("blob transaction: this chain carries no blobs")
	errBlock    = fmt.Errorf("block is full: %d bytes of transactions", maxBodyBytes)
)

// built is an executed block that is not written yet.
type built struct {
	block    *types.Block
	receipts types.Receipts
	state    *state.StateDB
	skipped  []execution.Skipped
	outcomes []execution.Outcome
}

// decoder reads the transactions of a block, or says why one cannot be.
type decoder func(signer types.Signer, b execution.Block) ([]*types.Transaction, []error)

// build executes the ordered transactions on the parent's state, together with the
// system calls of the forks, as geth's miner does: one by one, and a leg with terms as
// one. What cannot be applied leaves no trace in the state.
func build(chain *core.BlockChain, parent *types.Header, b execution.Block, decode decoder) (*built, error) {
	// The block's outcome must not hang on the caller giving up half way.
	ctx := context.Background()
	parts, err := split(b.Transactions, b.Legs)
	if err != nil {
		return nil, err
	}
	body, err := begin(ctx, chain, parent, b)
	if err != nil {
		return nil, err
	}
	defer body.release()
	draft := draft{body: body}
	txs, failed := decode(body.signer, b)
	for _, p := range parts {
		end := p.first + len(p.raw)
		if err := draft.apply(p, txs[p.first:end], failed[p.first:end]); err != nil {
			return nil, err
		}
	}
	return draft.seal(ctx)
}

// draft is a block in the making, with what became of each transaction so far.
type draft struct {
	*body
	skipped  []execution.Skipped
	outcomes []execution.Outcome
}

// apply applies a part of the block, or skips what of it cannot be. An error says that
// there can be no such block.
func (d *draft) apply(p part, txs []*types.Transaction, failed []error) error {
	if p.leg != nil {
		return d.applyLeg(*p.leg, p.raw, txs, failed)
	}
	for i, tx := range txs {
		d.applyOne(tx, len(p.raw[i]), failed[i])
	}
	return nil
}

// applyOne applies a transaction of that many bytes, if it could be decoded.
func (d *draft) applyOne(tx *types.Transaction, size int, err error) {
	if err == nil {
		_, err = d.add(tx, size)
	}
	if err != nil {
		d.skip(err.Error(), mayRetry(err))
		return
	}
	d.outcomes = append(d.outcomes, outcomeOf(d.receipts[len(d.receipts)-1]))
}

// skip notes that the next transaction is not applied.
func (d *draft) skip(reason string, retry bool) {
	d.skipped = append(d.skipped, execution.Skipped{Index: len(d.outcomes), Reason: reason, Retry: retry})
	d.outcomes = append(d.outcomes, execution.Outcome{})
}

// seal ends the block.
func (d *draft) seal(ctx context.Context) (*built, error) {
	block, err := d.body.seal(ctx)
	if err != nil {
		return nil, err
	}
	return &built{block: block, receipts: d.receipts, state: d.state, skipped: d.skipped, outcomes: d.outcomes}, nil
}

// mayRetry reports whether what was skipped for that reason may apply later. The
// state after the block would not tell: the missing transaction may have come later
// in the same block.
func mayRetry(err error) bool {
	return errors.Is(err, core.ErrNonceTooHigh) || errors.Is(err, core.ErrGasLimitReached) || errors.Is(err, errBlock)
}
