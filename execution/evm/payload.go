package evm

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
)

// Payload returns a block of the chain as it is handed to another client over the Engine
// API: with the execution requests that its header has a hash of (EIP-7685), in order and
// without empty ones; nil before Prague. Requests are kept nowhere: where a block has
// some, which is rare, it is executed once more for them.
func (c *Client) Payload(number uint64) (*types.Block, [][]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	chain := c.BlockChain()
	// A crash may leave blocks above the head, which are of no chain.
	if head := chain.CurrentBlock(); number > head.Number.Uint64() {
		return nil, nil, fmt.Errorf("payload of block %d: the head is block %s", number, head.Number)
	}
	block := chain.GetBlockByNumber(number)
	if block == nil {
		return nil, nil, fmt.Errorf("payload of block %d: it is not on disk", number)
	}
	hash := block.RequestsHash()
	switch {
	case hash == nil:
		return block, nil, nil
	case *hash == types.EmptyRequestsHash:
		return block, [][]byte{}, nil
	}
	parent := chain.GetHeader(block.ParentHash(), number-1)
	if parent == nil {
		return nil, nil, fmt.Errorf("payload of block %d: its parent is not on disk", number)
	}
	state, err := chain.StateAt(parent.Root, parent.Number, parent.Time)
	if err != nil {
		return nil, nil, fmt.Errorf("payload of block %d: state of its parent: %w", number, err)
	}
	result, err := chain.Processor().Process(context.Background(), block, state, chain.JumpDestCache(), chain.PrecompileCache(), vm.Config{}, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("payload of block %d: execute it for its requests: %w", number, err)
	}
	if got := types.CalcRequestsHash(result.Requests); got != *hash {
		return nil, nil, fmt.Errorf("payload of block %d: executed again it has requests of hash %s, its header has %s", number, got, *hash)
	}
	return block, result.Requests, nil
}
