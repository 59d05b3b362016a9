package api

import (
	"context"
	"errors"
	"fmt"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// BlockStore is what is read of CometBFT's block store. Its methods return nil
// for what is not there.
type BlockStore interface {
	Base() int64
	Height() int64
	LoadBlock(height int64) *cmttypes.Block
	LoadBlockCommit(height int64) *cmttypes.Commit
	LoadSeenCommit(height int64) *cmttypes.Commit
}

// StateStore is what is read of CometBFT's state store.
type StateStore interface {
	LoadFinalizeBlockResponse(height int64) (*abci.ResponseFinalizeBlock, error)
	LoadValidators(height int64) (*cmttypes.ValidatorSet, error)
}

// OutcomeFunc says what a block ordered and what it dropped, as ordering.Outcome
// does.
type OutcomeFunc func(chainID string, height uint64, txs [][]byte, results []*abci.ExecTxResult) (*order.Block, []ordering.Drop, error)

// Errors of reading a height, told apart by errors.Is.
var (
	errNotYet = errors.New("not committed yet")
	errPruned = errors.New("no longer stored")
	errClosed = errors.New("the node is shutting down")
)

const (
	// recentBytes bounds what the recent heights hold together, two full ones at least; the
	// newest one stays whatever its size.
	recentBytes = 52 << 20
	// recentHeights bounds their number: a block costs some kilobytes although it is empty.
	recentHeights = 64
	// legBytes is about what a leg takes in the tree.
	legBytes = 1 << 10
	// assembling bounds the blocks that are made at the same time.
	assembling = 4
)

// chain makes what each height serves.
type chain struct {
	id      string
	blocks  BlockStore
	states  StateStore
	outcome OutcomeFunc
	metrics *metrics
	head    *head
	recent  *cache[uint64, *served]
	batches *batches
	flight  singleflight.Group
	slots   chan struct{}

	open   sync.RWMutex // held for reading while the stores are read
	closed bool
}

func newChain(opts Options, b *batches, m *metrics) *chain {
	blocks, states := opts.Blocks, opts.States
	c := &chain{
		id: opts.ChainID, blocks: blocks, states: states, outcome: opts.Outcome, batches: b,
		metrics: m,
		head:    newHead(), recent: newCache[uint64, *served](recentHeights, recentBytes), slots: make(chan struct{}, assembling),
	}
	// A stopped node may hold one block more than it has results for: consensus
	// replays that block and announces it.
	for h := blocks.Height(); h > 0 && h >= blocks.Base(); h-- {
		if _, err := states.LoadFinalizeBlockResponse(h); err == nil {
			c.head.advance(uint64(h))
			m.head.Set(float64(h))
			break
		}
	}
	return c
}

// close returns once nothing reads the stores any more, nor will.
func (c *chain) close() {
	c.open.Lock()
	defer c.open.Unlock()
	c.closed = true
}

// latest returns the last height that is served; 0 where there is none.
func (c *chain) latest() uint64 { return c.head.height() }

// earliest returns the first height that is served; 0 where there is none.
func (c *chain) earliest() uint64 { return uint64(max(c.blocks.Base(), 0)) }

// at returns what the height serves. Errors: errNotYet, errPruned, errClosed.
func (c *chain) at(ctx context.Context, height uint64) (*served, error) {
	if height > c.latest() {
		return nil, fmt.Errorf("block %d is %w: the latest is %d", height, errNotYet, c.latest())
	}
	if height < c.earliest() {
		return nil, c.pruned(height)
	}
	if s, ok := c.recent.get(height); ok {
		return s, nil
	}
	// The work goes on for the others who wait for it when this caller goes away.
	ch := c.flight.DoChan(fmt.Sprint(height), func() (any, error) {
		c.slots <- struct{}{}
		defer func() { <-c.slots }()
		c.open.RLock()
		defer c.open.RUnlock()
		if c.closed {
			return nil, errClosed
		}
		s, err := c.assemble(height)
		if err != nil {
			return nil, err
		}
		c.recent.put(height, s)
		c.metrics.made.Inc()
		return s, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*served), nil
	}
}

func (c *chain) pruned(height uint64) error {
	return fmt.Errorf("block %d is %w: the earliest here is %d", height, errPruned, c.earliest())
}

// assemble makes what the height serves from the stores.
func (c *chain) assemble(height uint64) (*served, error) {
	h := int64(height) // no head lies above that
	block := c.blocks.LoadBlock(h)
	if block == nil {
		return nil, c.pruned(height)
	}
	// Every node serves the commit that the next block carries, once there is one.
	commit := c.blocks.LoadBlockCommit(h)
	if commit == nil {
		commit = c.blocks.LoadSeenCommit(h)
	}
	if commit == nil {
		return nil, c.pruned(height)
	}
	results, err := c.states.LoadFinalizeBlockResponse(h)
	if err != nil {
		return nil, fmt.Errorf("load results of block %d: %w", height, err)
	}
	validators, err := loadValidators(c.states, h)
	if err != nil {
		return nil, fmt.Errorf("load validators of block %d: %w", height, err)
	}
	txs := block.Txs.ToSliceOfBytes()
	if len(txs) == 0 {
		return nil, fmt.Errorf("block %d has no ordering header", height)
	}
	ordered, dropped, err := c.outcome(c.id, height, txs, results.TxResults)
	if err != nil {
		return nil, fmt.Errorf("read the order of block %d: %w", height, err)
	}
	claims, err := claimsOf(height, results.TxResults)
	if err != nil {
		return nil, fmt.Errorf("read the claims of block %d: %w", height, err)
	}
	manifest, err := ordering.DecodeManifest(txs[1])
	if err != nil {
		return nil, fmt.Errorf("read the certificates of block %d: %w", height, err)
	}
	cores := make(map[order.BatchID]order.BatchCore, len(manifest.Certificates))
	for _, cert := range manifest.Certificates {
		core := cert.Header.Core(c.id)
		cores[core.ID()] = core
	}
	signed, err := (&cmttypes.SignedHeader{Header: &block.Header, Commit: commit}).ToProto().Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode header of block %d: %w", height, err)
	}
	set, err := validators.ToProto()
	if err != nil {
		return nil, fmt.Errorf("encode validators of block %d: %w", height, err)
	}
	rawSet, err := set.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode validators of block %d: %w", height, err)
	}
	proof := block.Txs.Proof(0).Proof
	// What is decoded of transaction 1 is larger than its bytes, which are not kept.
	size := len(signed) + len(rawSet) + 2*len(txs[1]) + legBytes*int(ordered.Header().Legs)
	ran := executedOf(txs, results.TxResults)
	for _, r := range ran {
		size += 128 + len(r.log)
	}
	for _, c := range claims {
		size += 2 * proto.Size(c)
	}
	return &served{
		height: height, hash: block.Hash(), signedHeader: signed,
		validators: rawSet, validatorsHash: string(block.ValidatorsHash),
		header:      txs[0],
		headerProof: &orderv1.MerkleProof{Total: uint64(proof.Total), Index: uint64(proof.Index), Aunts: proof.Aunts},
		order:       ordered, docs: docsOf(c.id, ordered), dropped: dropped, claims: claims, executed: ran, batches: cores, size: size,
	}, nil
}

// docsOf returns the documents of the bundles that have several legs, by bundle. What they
// take counts as part of the legs in the tree.
func docsOf(chainID string, ordered *order.Block) []*orderv1.BundleDoc {
	docs := make([]*orderv1.BundleDoc, len(ordered.Bundles))
	for i, b := range ordered.Bundles {
		if len(b.Summary.Legs) > 1 {
			docs[i] = b.Summary.Doc(chainID)
		}
	}
	return docs
}

// loadValidators leaves out the proposer priorities where the store can: they are in no hash, and
// advancing them takes a step for each height since the set last changed.
func loadValidators(states StateStore, height int64) (*cmttypes.ValidatorSet, error) {
	if fast, ok := states.(interface {
		LoadValidatorsFast(height int64) (*cmttypes.ValidatorSet, error)
	}); ok {
		return fast.LoadValidatorsFast(height)
	}
	return states.LoadValidators(height)
}
