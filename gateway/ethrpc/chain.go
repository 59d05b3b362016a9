package ethrpc

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/gateway"
)

// Chain answers from the soft head's state. It is the gateway.Chain of a rollup
// that geth executes.
type Chain struct {
	bc *core.BlockChain

	mu   sync.Mutex
	last *head
}

var _ gateway.Chain = (*Chain)(nil)

// NewChain returns the chain's answers.
func NewChain(bc *core.BlockChain) *Chain { return &Chain{bc: bc} }

// NextNonce implements gateway.Chain.
func (c *Chain) NextNonce(sender string) (uint64, error) {
	addr, err := senderAddress(sender)
	if err != nil {
		return 0, err
	}
	h, err := c.head()
	if err != nil {
		return 0, err
	}
	return h.nonce(addr), nil
}

// Executed implements gateway.Chain.
func (c *Chain) Executed(hash [32]byte) (bool, error) {
	lookup, _ := c.bc.GetCanonicalTransaction(hash)
	return lookup != nil, nil
}

// head is the state of one block. State objects are read once and kept.
type head struct {
	header *types.Header
	mu     sync.Mutex // a StateDB serves one reader at a time
	state  *state.StateDB
}

func (c *Chain) head() (*head, error) {
	header := c.bc.CurrentBlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && c.last.header.Hash() == header.Hash() {
		return c.last, nil
	}
	db, err := c.bc.StateAt(header.Root, header.Number, header.Time)
	if err != nil {
		return nil, fmt.Errorf("state of block %d: %w", header.Number, err)
	}
	c.last = &head{header: header, state: db}
	return c.last, nil
}

func (h *head) nonce(addr common.Address) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.GetNonce(addr)
}

// senderName is how the gateway calls an account.
func senderName(addr common.Address) string { return "0x" + hex.EncodeToString(addr[:]) }

func senderAddress(name string) (addr common.Address, err error) {
	b, err := hex.DecodeString(strings.TrimPrefix(name, "0x"))
	if err != nil || len(b) != len(addr) {
		return addr, fmt.Errorf("sender %q is not an address", name)
	}
	return common.BytesToAddress(b), nil
}
