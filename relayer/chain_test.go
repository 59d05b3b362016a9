package relayer

import (
	"context"
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

const testChainID = "ordo-test"

// testChain is a sequencer chain in memory with one validator, whose commits are
// really signed.
type testChain struct {
	key     ed25519.PrivKey
	step    time.Duration // between two blocks
	genesis *cmttypes.GenesisDoc
	set     *cmttypes.ValidatorSet
	opened  atomic.Uint64 // from which height it was last read
	sources atomic.Int64  // that read it

	mu     sync.Mutex
	blocks []*testBlock
	grown  chan struct{} // closed and replaced with each block
}

type testBlock struct {
	header  *cmttypes.Header
	commit  *cmttypes.Commit
	txs     cmttypes.Txs
	order   *order.Block
	bundles []*order.Bundle // of the one batch of the block
}

func newTestChain() *testChain {
	key := ed25519.GenPrivKeyFromSecret([]byte("validator"))
	return &testChain{
		key: key, step: 100 * time.Millisecond, grown: make(chan struct{}),
		set: cmttypes.NewValidatorSet([]*cmttypes.Validator{cmttypes.NewValidator(key.PubKey(), 10)}),
		genesis: &cmttypes.GenesisDoc{
			ChainID: testChainID, InitialHeight: 1, GenesisTime: time.Now().Add(-time.Hour).UTC(),
			Validators: []cmttypes.GenesisValidator{{PubKey: key.PubKey(), Power: 10}},
		},
	}
}

// grow appends a block with one transaction list for each of the rollups.
func (c *testChain) grow(txs map[string][][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	height := int64(len(c.blocks) + 1)
	seed := sha256.Sum256([]byte("payer"))
	header := order.BatchHeader{Position: order.Position{Owner: order.Owner{1}, Mark: order.Mark{Session: 1, Sequence: uint64(height)}}}
	b := &testBlock{}
	for name, list := range txs {
		bundle := &order.Bundle{Expiry: uint64(height), FeeLimit: 1, Legs: []order.Leg{{RollupID: order.NewRollupID(name), Transactions: list}}}
		bundle.Sign(testChainID, header.Owner, stded25519.NewKeyFromSeed(seed[:]))
		b.bundles = append(b.bundles, bundle)
		header.Bundles = append(header.Bundles, bundle.Summary())
	}
	var ordered []order.Ordered
	for i := range header.Bundles {
		s := &header.Bundles[i]
		ordered = append(ordered, order.Ordered{ID: s.ID(testChainID), Summary: s, Batch: header.ID(testChainID), BatchIndex: uint64(i)})
	}
	b.order = order.NewBlock(uint64(height), ordered, 0, order.Times{})
	b.txs = cmttypes.Txs{b.order.Header().Encode(), []byte("certificates")}
	b.header = &cmttypes.Header{
		Version: cmtversion.Consensus{Block: version.BlockProtocol, App: 1}, ChainID: testChainID, Height: height,
		Time:           c.genesis.GenesisTime.Add(c.step),
		LastCommitHash: hash32("last commit"), DataHash: b.txs.Hash(), ValidatorsHash: c.set.Hash(), NextValidatorsHash: c.set.Hash(),
		ConsensusHash: hash32("consensus"), AppHash: hash32(fmt.Sprint(height)), LastResultsHash: hash32("results"),
		EvidenceHash: hash32("evidence"), ProposerAddress: c.set.Validators[0].Address,
	}
	if height > 1 {
		last := c.blocks[height-2]
		b.header.LastBlockID, b.header.Time = last.commit.BlockID, last.header.Time.Add(c.step)
	}
	id := cmttypes.BlockID{Hash: b.header.Hash(), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash32("parts")}}
	vote := &cmttypes.Vote{
		Type: cmtproto.PrecommitType, Height: height, BlockID: id, Timestamp: b.header.Time, ValidatorAddress: c.set.Validators[0].Address,
	}
	var err error
	if vote.Signature, err = c.key.Sign(cmttypes.VoteSignBytes(testChainID, vote.ToProto())); err != nil {
		panic(err)
	}
	b.commit = &cmttypes.Commit{Height: height, BlockID: id, Signatures: []cmttypes.CommitSig{vote.CommitSig()}}
	c.blocks = append(c.blocks, b)
	close(c.grown)
	c.grown = make(chan struct{})
}

// growBy appends n blocks with small transactions for alpha in each second one.
func (c *testChain) growBy(n int) {
	for range n {
		var txs map[string][][]byte
		if h := c.height() + 1; h%2 == 0 {
			txs = map[string][][]byte{"alpha": {fmt.Appendf(nil, "transaction of block %d", h)}}
		}
		c.grow(txs)
	}
}

func (c *testChain) height() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.blocks)
}

func (c *testChain) at(height uint64) (*testBlock, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if height > uint64(len(c.blocks)) {
		return nil, c.grown
	}
	return c.blocks[height-1], nil
}

// rollupBlock is what a sequencer node serves.
func (c *testChain) rollupBlock(height uint64, id order.RollupID) *orderv1.RollupBlock {
	b, _ := c.at(height)
	records, proof := b.order.Rollup(id)
	var legs []*orderv1.RollupLeg
	for _, r := range records {
		legs = append(legs, &orderv1.RollupLeg{Record: r.Proto(), Transactions: b.bundles[r.BatchIndex].Legs[r.LegIndex].Transactions})
	}
	signed, err := (&cmttypes.SignedHeader{Header: b.header, Commit: b.commit}).ToProto().Marshal()
	if err != nil {
		panic(err)
	}
	set, err := c.set.ToProto()
	if err != nil {
		panic(err)
	}
	validators, err := set.Marshal()
	if err != nil {
		panic(err)
	}
	path := b.txs.Proof(0)
	return &orderv1.RollupBlock{
		RollupId: id[:], SignedHeader: signed, Validators: validators, OrderingHeader: b.txs[0],
		OrderingHeaderProof: &orderv1.MerkleProof{Total: uint64(path.Proof.Total), Index: uint64(path.Proof.Index), Aunts: path.Proof.Aunts},
		NamespaceProof:      proof, Legs: legs,
	}
}

func (c *testChain) trust(t testing.TB) follower.Trust {
	t.Helper()
	trust, err := follower.TrustGenesis(c.genesis)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// open is Options.Open over the chain.
func (c *testChain) open(t testing.TB) func([]order.RollupID, follower.Checkpoint) (Source, error) {
	return func(ids []order.RollupID, cp follower.Checkpoint) (Source, error) {
		trust := c.trust(t)
		if !cp.IsZero() {
			var err error
			if trust, err = follower.TrustCheckpoint(cp); err != nil {
				return nil, err
			}
		}
		return &testSource{chain: c, ids: ids, trust: trust}, nil
	}
}

// testSource reads the chain as a group does, without a network between.
type testSource struct {
	chain *testChain
	ids   []order.RollupID
	trust follower.Trust
}

func (s *testSource) Run(ctx context.Context, from uint64, handle func(context.Context, []*follower.Block) error) error {
	s.chain.opened.Store(from)
	s.chain.sources.Add(1)
	defer s.chain.sources.Add(-1)
	verifiers := make([]*follower.Verifier, len(s.ids))
	for i, id := range s.ids {
		verifiers[i] = follower.NewVerifier(id, s.trust, follower.Options{})
		if err := verifiers[i].StartAt(from); err != nil {
			return err
		}
	}
	for height := from; ; height++ {
		for b, grown := s.chain.at(height); b == nil; b, grown = s.chain.at(height) {
			select {
			case <-grown:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		blocks := make([]*follower.Block, len(s.ids))
		for i, id := range s.ids {
			var err error
			if blocks[i], err = verifiers[i].Next(s.chain.rollupBlock(height, id), time.Now()); err != nil {
				return err
			}
		}
		if err := handle(ctx, blocks); err != nil {
			return err
		}
	}
}

func hash32(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
