package evm

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/ordo-network/ordo/execution"
)

// Pending is the block after a head as it may come: what was tried out by
// Speculate and Extend, on a copy of the state that is never written. Its methods
// are safe for concurrent use; between two calls transactions may be added. Those
// that need no state do not wait for one to be executed.
type Pending struct {
	parent *types.Header
	header *types.Header
	idle   bool // made because somebody asked, not tried out

	mu   sync.Mutex // a StateDB serves one at a time
	body *body      // changed by extend alone

	view     sync.RWMutex // never held while a transaction is executed
	txs      types.Transactions
	receipts types.Receipts
	index    map[common.Hash]int
	nonces   map[common.Address]uint64 // of accounts whose transactions are there
	block    *types.Block              // made of txs when it was asked for
}

func newPending(chain *core.BlockChain, parent *types.Header, b execution.Block) (*Pending, error) {
	body, err := begin(context.Background(), chain, parent, b)
	if err != nil {
		return nil, err
	}
	body.release()
	return &Pending{
		parent: parent, header: types.CopyHeader(body.header), body: body,
		index: make(map[common.Hash]int), nonces: make(map[common.Address]uint64),
	}, nil
}

// extend executes transactions; readers get in between.
func (p *Pending) extend(ctx context.Context, raw [][]byte, legs []execution.Leg, known *decoded) ([]execution.Outcome, error) {
	parts, err := split(raw, legs)
	if err != nil {
		return nil, err
	}
	p.body.prepare()
	defer p.body.release()
	draft := draft{body: p.body}
	for _, part := range parts {
		if err := p.extendPart(ctx, &draft, part, known); err != nil {
			return nil, err
		}
	}
	return append(draft.outcomes, make([]execution.Outcome, len(raw)-len(draft.outcomes))...), nil
}

func (p *Pending) extendPart(ctx context.Context, draft *draft, all part, known *decoded) error {
	// In small parts: once the block is full, the rest costs nothing. Legs with terms are
	// not cut.
	const most = 64
	for rest := all.raw; len(rest) > 0 && p.body.gas.Available(false) >= params.TxGas; {
		n := min(len(rest), most)
		if all.leg != nil {
			n = len(rest)
		}
		raw := rest[:n]
		rest = rest[n:]
		txs, failed := decode(p.body.signer, raw, nil, known)
		for i, tx := range txs {
			if failed[i] == nil {
				known.put(raw[i], tx)
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if all.leg != nil {
			if err := p.step(func() error { return draft.applyLeg(*all.leg, raw, txs, failed) }); err != nil {
				return err
			}
			continue
		}
		for i, tx := range txs {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := p.step(func() error { draft.applyOne(tx, len(raw[i]), failed[i]); return nil }); err != nil {
				return err
			}
		}
		var err error
		if p.Read(func(s *state.StateDB) { err = s.Error() }); err != nil {
			return fmt.Errorf("read state: %w", err)
		}
	}
	return nil
}

// step lets apply add transactions to the block, and then shows them.
func (p *Pending) step(apply func() error) error {
	p.mu.Lock()
	before := len(p.body.txs)
	err := apply()
	nonces := make(map[common.Address]uint64)
	for _, tx := range p.body.txs[before:] {
		if from, err := types.Sender(p.body.signer, tx); err == nil {
			nonces[from] = p.body.state.GetNonce(from)
		}
		for _, auth := range tx.SetCodeAuthorizations() {
			if from, err := auth.Authority(); err == nil {
				nonces[from] = p.body.state.GetNonce(from)
			}
		}
	}
	p.mu.Unlock()
	if err != nil || len(p.body.txs) == before {
		return err
	}
	p.view.Lock()
	defer p.view.Unlock()
	n := len(p.body.txs)
	p.txs, p.receipts = p.body.txs[:n:n], p.body.receipts[:n:n]
	for i, tx := range p.txs[before:] {
		p.index[tx.Hash()] = before + i
	}
	maps.Copy(p.nonces, nonces)
	return nil
}

// Parent returns the hash of the block below.
func (p *Pending) Parent() common.Hash { return p.parent.Hash() }

// Header returns the block's header: number, time, gas limit and base fee are those
// that a block would have now. What follows from execution is not filled in.
func (p *Pending) Header() *types.Header { return types.CopyHeader(p.header) }

// Block returns the block so far and its receipts, which nobody may change. The
// state root is zero: it costs more than all the rest, and nobody could use it.
func (p *Pending) Block() (*types.Block, types.Receipts) {
	p.view.Lock()
	defer p.view.Unlock()
	if p.block == nil || len(p.block.Transactions()) != len(p.txs) {
		header := types.CopyHeader(p.header)
		if n := len(p.receipts); n > 0 {
			header.GasUsed = p.receipts[n-1].CumulativeGasUsed
		}
		content := &types.Body{Transactions: p.txs, Withdrawals: []*types.Withdrawal{}}
		p.block = types.NewBlock(header, content, p.receipts, trie.NewStackTrie(nil))
	}
	return p.block, p.receipts
}

// Transaction returns a transaction of the block, its receipt, which nobody may
// change, and its index.
func (p *Pending) Transaction(hash common.Hash) (*types.Transaction, *types.Receipt, int, bool) {
	p.view.RLock()
	defer p.view.RUnlock()
	i, ok := p.index[hash]
	if !ok {
		return nil, nil, 0, false
	}
	return p.txs[i], p.receipts[i], i, true
}

// Nonce returns the next nonce of an account that has transactions in the block;
// for any other it returns 0, and the head's state has it.
func (p *Pending) Nonce(addr common.Address) uint64 {
	p.view.RLock()
	defer p.view.RUnlock()
	return p.nonces[addr]
}

// Read lets f read the state behind the block so far. f must be short, and must
// not keep the state or change it.
func (p *Pending) Read(f func(*state.StateDB)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.body.state)
}

// Fork returns a copy of the state behind the block so far, for the caller to use
// up. It costs with what the block has touched.
func (p *Pending) Fork() *state.StateDB {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.body.state.Copy()
}

var _ execution.LegSpeculator = (*Client)(nil)

// speculation is the part of a client that tries out blocks.
type speculation struct {
	known decoded

	running sync.Mutex // held by Speculate and Extend

	mu      sync.Mutex
	pending *Pending
	changed chan struct{} // closed when pending is another one, or longer
	closed  bool
}

func (s *speculation) show(p *Pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = p
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *speculation) current() (*Pending, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending, s.closed
}

// close waits for what is being tried out: it reads the database.
func (s *speculation) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Lock()
	defer s.running.Unlock()
}

// Speculate implements execution.Speculator.
func (c *Client) Speculate(ctx context.Context, parent execution.Hash, b execution.Block) ([]execution.Outcome, error) {
	s := &c.speculation
	s.running.Lock()
	defer s.running.Unlock()
	if _, closed := s.current(); closed {
		return nil, ErrClosed
	}
	head := c.BlockChain().CurrentBlock()
	if head.Hash() != common.Hash(parent) {
		return nil, fmt.Errorf("speculate on %x, soft head is %s: %w", parent, head.Hash(), execution.ErrParent)
	}
	p, err := newPending(c.BlockChain(), head, b)
	if err != nil {
		return nil, fmt.Errorf("speculate: %w", err)
	}
	out, err := p.extend(ctx, b.Transactions, b.Legs, &s.known)
	if err != nil {
		return nil, fmt.Errorf("speculate: %w", err)
	}
	s.show(p)
	return out, nil
}

// Extend implements execution.Speculator.
func (c *Client) Extend(ctx context.Context, parent execution.Hash, txs [][]byte) ([]execution.Outcome, error) {
	return c.ExtendLegs(ctx, parent, txs, nil)
}

// ExtendLegs implements execution.LegSpeculator.
func (c *Client) ExtendLegs(ctx context.Context, parent execution.Hash, txs [][]byte, legs []execution.Leg) ([]execution.Outcome, error) {
	s := &c.speculation
	s.running.Lock()
	defer s.running.Unlock()
	p, closed := s.current()
	if closed {
		return nil, ErrClosed
	}
	if head := c.BlockChain().CurrentBlock(); p == nil || p.idle || p.Parent() != common.Hash(parent) || head.Hash() != common.Hash(parent) {
		return nil, fmt.Errorf("extend speculation on %x, soft head is %s: %w", parent, head.Hash(), execution.ErrParent)
	}
	out, err := p.extend(ctx, txs, legs, &s.known)
	s.show(p) // also what was added before an error
	if err != nil {
		return nil, fmt.Errorf("extend speculation: %w", err)
	}
	return out, nil
}

// Pending returns the block that may come next, and a channel that is closed when
// there is another one or it has grown. Where nothing was tried out on the head, or
// on the one before it while a new trial is on its way, it is a block without
// transactions.
func (c *Client) Pending() (*Pending, <-chan struct{}, error) {
	s := &c.speculation
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, ErrClosed
	}
	head := c.BlockChain().CurrentBlock()
	if p := s.pending; p != nil && (p.Parent() == head.Hash() || p.Parent() == head.ParentHash && !p.idle) {
		return p, s.changed, nil
	}
	p, err := newPending(c.BlockChain(), head, execution.Block{Height: SequencerHeight(head) + 1, Time: time.Now()})
	if err != nil {
		return nil, nil, fmt.Errorf("pending block: %w", err)
	}
	p.idle, s.pending = true, p
	return p, s.changed, nil
}

// outcomeOf sums up what a transaction did. Where it stands in the block does not
// count, so the gas used before it and the indices of its logs do not either.
func outcomeOf(r *types.Receipt) (out execution.Outcome) {
	h := sha256.New()
	writeUint(h, r.Status, r.GasUsed, uint64(len(r.Logs)))
	for _, log := range r.Logs {
		writeUint(h, uint64(len(log.Topics)), uint64(len(log.Data)))
		h.Write(log.Address[:])
		for _, topic := range log.Topics {
			h.Write(topic[:])
		}
		h.Write(log.Data)
	}
	h.Sum(out[:0])
	return out
}

func writeUint(h hash.Hash, values ...uint64) {
	for _, v := range values {
		h.Write(binary.BigEndian.AppendUint64(nil, v))
	}
}
