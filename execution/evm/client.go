// Package evm executes a rollup with go-ethereum, embedded as a library. In come
// a geth genesis JSON and the ordered transactions of each sequencer block, in
// Ethereum's canonical binary encoding (EIP-2718); out go heads, and geth's own
// chain, state and JSON-RPC services for whoever serves them.
//
// What always holds: a block depends on the genesis and on the blocks given so
// far, on nothing else, so every node has the same block hashes; no transaction
// bytes can stop the chain, what does not apply is skipped with a reason; and when
// Execute returns, the block is synced to disk. The transaction pool, the miner
// and the peer-to-peer side of geth run idle.
package evm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/execution"
)

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("execution client is closed")

// Config is what a Client needs.
type Config struct {
	DataDir string        // of this chain alone; made if missing
	Genesis *core.Genesis // see CheckGenesis; LoadGenesis reads one from a file
	// CacheMB is the memory for the database's caches and write buffers, in MiB.
	// Zero means DefaultCacheMB.
	CacheMB int
	// Logger takes geth's warnings and errors; nil means slog.Default. geth has one
	// logger in a process: that of the last New.
	Logger *slog.Logger
}

// DefaultCacheMB keeps a rollup process small.
const DefaultCacheMB = 96

// Client is an execution.Client. Its chain may be read by any number of
// goroutines while it executes.
type Client struct {
	stack *node.Node
	eth   *eth.Ethereum
	apis  []rpc.API

	mu     sync.Mutex // one call at a time; guards closed
	closed bool

	ahead       ahead
	speculation speculation
}

var _ execution.Client = (*Client)(nil)

// New opens the chain in the data directory, making it from the genesis where
// there is none. Errors: ErrGenesis.
func New(cfg Config) (*Client, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("open evm: no data directory given")
	}
	if err := CheckGenesis(cfg.Genesis); err != nil {
		return nil, fmt.Errorf("open evm: %w", err)
	}
	stack, backend, err := openGeth(cfg)
	if err != nil {
		return nil, fmt.Errorf("open evm in %s: %w", cfg.DataDir, err)
	}
	c := &Client{stack: stack, eth: backend, apis: newAPIs(backend)}
	c.speculation.changed = make(chan struct{})
	// The genesis is firm by definition. Saying so keeps the tags safe and
	// finalized from being errors on a young chain.
	if chain := c.BlockChain(); chain.CurrentFinalBlock() == nil {
		c.setFirm(chain.Genesis().Header())
	}
	return c, nil
}

// Ethereum returns geth's node service, for its API backend. Nothing may be added
// to its transaction pool, which is closed, and its chain is changed by this
// client alone.
func (c *Client) Ethereum() *eth.Ethereum { return c.eth }

// APIs returns geth's JSON-RPC services that are safe to show to the public: eth
// with filters and subscriptions, net, web3, txpool, and of debug what reads the
// chain. Where geth would ask its pool they answer from the head, and methods that
// send transactions refuse: whoever takes transactions registers services of its
// own after these, and they override single methods.
func (c *Client) APIs() []rpc.API { return c.apis }

// BlockChain returns the chain, for reading. Subscribers to its feeds must keep
// up: a block is done when every subscriber took its event.
func (c *Client) BlockChain() *core.BlockChain { return c.eth.BlockChain() }

// Open implements execution.Client.
func (c *Client) Open(context.Context) (execution.Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return execution.Session{}, ErrClosed
	}
	soft, firm := c.BlockChain().CurrentBlock(), c.BlockChain().CurrentFinalBlock()
	// After a power loss geth may have gone back to an earlier head.
	if firm == nil || firm.Number.Cmp(soft.Number) > 0 {
		firm = soft
	}
	return execution.Session{Soft: headOf(soft), Firm: headOf(firm)}, nil
}

// Execute implements execution.Client. The transactions may be any bytes.
func (c *Client) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return execution.Result{}, ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return execution.Result{}, err
	}
	soft, err := c.softHead(parent, b)
	if err != nil {
		return execution.Result{}, fmt.Errorf("execute sequencer block %d: %w", b.Height, err)
	}
	built, err := build(c.BlockChain(), soft, b, c.decodeBlock)
	if err != nil {
		return execution.Result{}, fmt.Errorf("execute sequencer block %d: %w", b.Height, err)
	}
	return c.finish(built)
}

// softHead returns the soft head, where the block may come next on that parent.
func (c *Client) softHead(parent execution.Hash, b execution.Block) (*types.Header, error) {
	soft := c.BlockChain().CurrentBlock()
	if soft.Hash() != common.Hash(parent) {
		return nil, fmt.Errorf("parent %x, soft head is %s: %w", parent, soft.Hash(), execution.ErrParent)
	}
	if last := SequencerHeight(soft); b.Height <= last {
		return nil, fmt.Errorf("soft head was made from %d: %w", last, execution.ErrHeight)
	}
	return soft, nil
}

// finish makes an executed block the soft head.
func (c *Client) finish(b *built) (execution.Result, error) {
	if err := c.write(b); err != nil {
		return execution.Result{}, fmt.Errorf("write rollup block %d: %w", b.block.NumberU64(), err)
	}
	return execution.Result{Head: headOf(b.block.Header()), Skipped: b.skipped, Outcomes: b.outcomes}, nil
}

// SetFirm implements execution.Client. It sets geth's safe and finalized blocks.
func (c *Client) SetFirm(_ context.Context, firm execution.Hash) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	chain := c.BlockChain()
	header := chain.GetHeaderByHash(firm)
	switch {
	case header == nil:
		return fmt.Errorf("set firm head %x: no such block: %w", firm, execution.ErrFirm)
	case header.Number.Cmp(chain.CurrentBlock().Number) > 0 || chain.GetCanonicalHash(header.Number.Uint64()) != header.Hash():
		// Left by a crash between writing a block and making it the head.
		return fmt.Errorf("set firm head %x: block %s is not part of the chain: %w", firm, header.Number, execution.ErrFirm)
	}
	switch current := chain.CurrentFinalBlock(); {
	case header.Number.Cmp(current.Number) < 0:
		return fmt.Errorf("set firm head %x: block %s is below the firm head %s: %w", firm, header.Number, current.Number, execution.ErrFirm)
	case header.Hash() == current.Hash():
		return nil
	}
	c.setFirm(header)
	return c.sync()
}

func (c *Client) setFirm(header *types.Header) {
	c.BlockChain().SetFinalized(header) // kept on disk
	c.BlockChain().SetSafe(header)      // in memory; geth starts it at finalized
}

// Close implements execution.Client.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.ahead.close()
	c.speculation.close()
	if err := closeGeth(c.stack, c.eth); err != nil {
		return fmt.Errorf("close evm: %w", err)
	}
	return nil
}

func headOf(h *types.Header) execution.Head {
	return execution.Head{
		Number: h.Number.Uint64(),
		Hash:   h.Hash(),
		Height: SequencerHeight(h),
		Time:   time.Unix(int64(h.Time), 0).UTC(),
	}
}
