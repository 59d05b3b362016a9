package follower

import (
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

const testChainID = "ordo-test"

var (
	alpha = order.NewRollupID("alpha")
	beta  = order.NewRollupID("beta")
	gamma = order.NewRollupID("gamma")
	delta = order.NewRollupID("delta")
	// between is absent where delta and alpha are present, and sorts between them.
	between = func() order.RollupID { id := alpha; id[31]--; return id }()
)

// validator is a key with its power.
type validator struct {
	key   ed25519.PrivKey
	power int64
}

// testValidators returns n validators from a seed on; equal numbers are equal keys.
func testValidators(from, n int) []validator {
	out := make([]validator, n)
	for i := range out {
		out[i] = validator{key: ed25519.GenPrivKeyFromSecret(fmt.Appendf(nil, "validator %d", from+i)), power: 10}
	}
	return out
}

func validatorSet(vals []validator) *cmttypes.ValidatorSet {
	list := make([]*cmttypes.Validator, len(vals))
	for i, v := range vals {
		list[i] = cmttypes.NewValidator(v.key.PubKey(), v.power)
	}
	return cmttypes.NewValidatorSet(list)
}

// testChain is a chain in memory whose commits are really signed. Blocks are
// appended; what has been appended never changes.
type testChain struct {
	genesis *cmttypes.GenesisDoc

	mu     sync.Mutex
	vals   []validator // sign the next block
	blocks []*testBlock
	grown  chan struct{} // closed and replaced with each block
}

type testBlock struct {
	header  *cmttypes.Header
	commit  *cmttypes.Commit
	set     *cmttypes.ValidatorSet
	txs     cmttypes.Txs
	order   *order.Block
	batches map[order.BatchID]*testBatch
}

func newTestChain(vals []validator) *testChain {
	c := &testChain{vals: vals, grown: make(chan struct{}), genesis: &cmttypes.GenesisDoc{
		ChainID: testChainID, InitialHeight: 1, GenesisTime: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC),
	}}
	for _, v := range vals {
		c.genesis.Validators = append(c.genesis.Validators, cmttypes.GenesisValidator{PubKey: v.key.PubKey(), Power: v.power})
	}
	return c
}

// bundle makes a signed bundle with one leg per rollup, of the given transactions.
func bundle(n int, txs [][]byte, rollups ...order.RollupID) *order.Bundle {
	b := &order.Bundle{Expiry: uint64(n) + 100, FeeLimit: 1000}
	for _, id := range rollups {
		b.Legs = append(b.Legs, order.Leg{RollupID: id, Transactions: txs})
	}
	seed := sha256.Sum256([]byte("payer"))
	b.Sign(testChainID, order.Owner{1}, stded25519.NewKeyFromSeed(seed[:]))
	return b
}

// txs makes transactions that no other call with another n makes.
func txs(n, count int) [][]byte {
	out := make([][]byte, count)
	for i := range out {
		out[i] = fmt.Appendf(nil, "transaction %d/%d", n, i)
	}
	return out
}

// append adds a block that orders the bundles, in batches of two; next, where given,
// are the validators from the block after it on.
func (c *testChain) append(bundles []*order.Bundle, next ...validator) *testBlock {
	var batches []*testBatch
	for part := range slices.Chunk(bundles, 2) {
		batches = append(batches, newTestBatch(c.height()+1, len(batches), part))
	}
	return c.appendBatches(batches, next...)
}

// appendBatches adds a block that orders the batches.
func (c *testChain) appendBatches(batches []*testBatch, next ...validator) *testBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	height := int64(len(c.blocks) + 1)
	set, nextSet := validatorSet(c.vals), validatorSet(c.vals)
	if len(next) > 0 {
		nextSet = validatorSet(next)
	}
	b := &testBlock{set: set, batches: make(map[order.BatchID]*testBatch)}
	var ordered []order.Ordered
	for _, batch := range batches {
		id := batch.header.ID(testChainID)
		b.batches[id] = batch
		for i, bundle := range batch.bundles {
			ordered = append(ordered, order.Ordered{
				ID: bundle.ID(testChainID), Summary: &batch.header.Bundles[i], Batch: id, BatchIndex: uint64(i),
			})
		}
	}
	b.order = order.NewBlock(uint64(height), ordered, 0, order.Times{First: uint64(height), Last: uint64(height) + 1})
	b.txs = cmttypes.Txs{b.order.Header().Encode(), []byte("certificates"), []byte("some staking transaction")}
	b.header = &cmttypes.Header{
		Version: cmtversion.Consensus{Block: version.BlockProtocol, App: 1}, ChainID: testChainID, Height: height,
		Time:           c.genesis.GenesisTime.Add(time.Duration(height-1) * 100 * time.Millisecond),
		LastCommitHash: hash32(fmt.Sprint("last commit ", height)), DataHash: b.txs.Hash(), ValidatorsHash: set.Hash(), NextValidatorsHash: nextSet.Hash(),
		ConsensusHash: hash32("consensus"), AppHash: hash32(fmt.Sprint("app ", height)), LastResultsHash: hash32("results"),
		EvidenceHash: hash32("evidence"), ProposerAddress: set.Validators[0].Address,
	}
	if height > 1 {
		b.header.LastBlockID = c.blocks[height-2].commit.BlockID
	}
	b.commit = signCommit(b.header, set, c.vals)
	c.blocks = append(c.blocks, b)
	if len(next) > 0 {
		c.vals = next
	}
	close(c.grown)
	c.grown = make(chan struct{})
	return b
}

// grow adds n blocks that each order bundles for alpha, gamma and delta; by ID they
// sort delta, alpha, gamma, beta.
func (c *testChain) grow(n int) {
	for range n {
		h := c.height() + 1
		c.append([]*order.Bundle{
			bundle(h, txs(10*h, 2), alpha), bundle(h, txs(10*h+1, 1), gamma),
			bundle(h, txs(10*h+2, 3), alpha, gamma), bundle(h, txs(10*h+3, 1), alpha),
			bundle(h, txs(10*h+4, 1), delta),
		})
	}
}

func (c *testChain) height() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.blocks)
}

// at returns the block at the height; where there is none yet, a channel that
// is closed when there is more.
func (c *testChain) at(height int) (*testBlock, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if height > len(c.blocks) {
		return nil, c.grown
	}
	return c.blocks[height-1], nil
}

// now is a local time at which all blocks so far are fresh.
func (c *testChain) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.genesis.GenesisTime.Add(time.Duration(len(c.blocks)) * 100 * time.Millisecond)
}

func (c *testChain) trust(t testing.TB) Trust {
	t.Helper()
	trust, err := TrustGenesis(c.genesis)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func hash32(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// signCommit has the signers sign the header for the set.
func signCommit(h *cmttypes.Header, set *cmttypes.ValidatorSet, signers []validator) *cmttypes.Commit {
	commit := &cmttypes.Commit{Height: h.Height, Round: 0, BlockID: cmttypes.BlockID{
		Hash: h.Hash(), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash32(fmt.Sprint("parts ", h.Height))},
	}}
	for i, v := range set.Validators {
		at := slices.IndexFunc(signers, func(s validator) bool { return s.key.PubKey().Equals(v.PubKey) })
		if at < 0 {
			commit.Signatures = append(commit.Signatures, cmttypes.NewCommitSigAbsent())
			continue
		}
		vote := &cmttypes.Vote{
			Type: cmtproto.PrecommitType, Height: h.Height, BlockID: commit.BlockID, Timestamp: h.Time.Add(time.Millisecond),
			ValidatorAddress: v.Address, ValidatorIndex: int32(i),
		}
		sig, err := signers[at].key.Sign(cmttypes.VoteSignBytes(h.ChainID, vote.ToProto()))
		if err != nil {
			panic(err)
		}
		vote.Signature = sig
		commit.Signatures = append(commit.Signatures, vote.CommitSig())
	}
	return commit
}

// rollupBlock is what a sequencer node serves, with its validator set.
func (b *testBlock) rollupBlock(id order.RollupID) *orderv1.RollupBlock {
	records, proof := b.order.Rollup(id)
	path := b.txs.Proof(0)
	rb := &orderv1.RollupBlock{
		RollupId: id[:], SignedHeader: signedHeader(b.header, b.commit), Validators: encodeSet(b.set), OrderingHeader: b.txs[0],
		OrderingHeaderProof: &orderv1.MerkleProof{Total: uint64(path.Proof.Total), Index: uint64(path.Proof.Index), Aunts: path.Proof.Aunts},
		NamespaceProof:      proof,
	}
	shown := make(map[order.BatchID]bool)
	for _, r := range records {
		leg, batch := &orderv1.RollupLeg{Record: r.Proto()}, b.batches[r.Batch]
		if r.LegCount > 1 {
			leg.Bundle = b.order.Bundles[r.BundleIndex].Summary.Doc(testChainID)
		}
		rb.Legs = append(rb.Legs, leg)
		if !batch.void {
			leg.Transactions = batch.bundles[r.BatchIndex].Legs[r.LegIndex].Transactions
		} else if !shown[r.Batch] {
			shown[r.Batch] = true
			rb.VoidBatches = append(rb.VoidBatches, batch.proof(0, 1))
		}
	}
	return rb
}

func signedHeader(h *cmttypes.Header, c *cmttypes.Commit) []byte {
	raw, err := (&cmttypes.SignedHeader{Header: h, Commit: c}).ToProto().Marshal()
	if err != nil {
		panic(err)
	}
	return raw
}

func encodeSet(set *cmttypes.ValidatorSet) []byte {
	pb, err := set.ToProto()
	if err != nil {
		panic(err)
	}
	raw, err := pb.Marshal()
	if err != nil {
		panic(err)
	}
	return raw
}
