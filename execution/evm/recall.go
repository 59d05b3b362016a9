package evm

import (
	"context"
	"fmt"

	"github.com/ordo-network/ordo/execution"
)

var _ execution.Recaller = (*Client)(nil)

// Recall implements execution.Recaller for every block of the chain. Results are kept
// nowhere: the state before each block is, and the block is built on it once more, in
// memory. Where that gives the same hash, all else is the same too.
func (c *Client) Recall(_ context.Context, b execution.Block) (execution.Result, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return execution.Result{}, false, ErrClosed
	}
	chain := c.BlockChain()
	header := chain.CurrentBlock()
	for header != nil && header.Number.Sign() > 0 && SequencerHeight(header) > b.Height {
		header = chain.GetHeader(header.ParentHash, header.Number.Uint64()-1)
	}
	if header == nil || header.Number.Sign() == 0 || SequencerHeight(header) != b.Height {
		return execution.Result{}, false, nil
	}
	parent := chain.GetHeader(header.ParentHash, header.Number.Uint64()-1)
	if parent == nil {
		return execution.Result{}, false, nil
	}
	again, err := build(chain, parent, b, c.decodeBlock)
	if err != nil {
		return execution.Result{}, false, fmt.Errorf("recall sequencer block %d: %w", b.Height, err)
	}
	if again.block.Hash() != header.Hash() {
		return execution.Result{}, false, nil
	}
	return execution.Result{Head: headOf(header), Skipped: again.skipped, Outcomes: again.outcomes}, true, nil
}
