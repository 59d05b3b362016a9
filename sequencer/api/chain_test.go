package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/merkle"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/sequencer/pool"
)

const chainID = "ordo-test"

var (
	alpha = order.NewRollupID("alpha")
	beta  = order.NewRollupID("beta")
	// laneOwner is that of the node's lane.
	laneOwner = order.Owner{1}
)

// testChain is CometBFT's own stores, filled with signed blocks.
type testChain struct {
	t       testing.TB
	keys    map[string]cmttypes.MockPV // by address
	state   sm.State
	Blocks  *store.BlockStore
	States  sm.Store
	last    *cmttypes.Commit
	doc     *cmttypes.GenesisDoc
	batches *testBatches
	lane    uint64 // sequence of the last batch
	serving []*api.Server
	// Ordinary transactions of the next block, with what becomes of them.
	ordinary cmttypes.Txs
	results  []*abci.ExecTxResult
}

func newTestChain(t testing.TB, validators int) *testChain {
	t.Helper()
	c := &testChain{
		t: t, keys: make(map[string]cmttypes.MockPV), last: &cmttypes.Commit{},
		Blocks: store.NewBlockStore(dbm.NewMemDB()), States: sm.NewStore(dbm.NewMemDB(), sm.StoreOptions{}),
		batches: newTestBatches(),
	}
	doc := &cmttypes.GenesisDoc{ChainID: chainID, GenesisTime: time.Unix(1_700_000_000, 0), ConsensusParams: cmttypes.DefaultConsensusParams()}
	for range validators {
		doc.Validators = append(doc.Validators, c.newValidator())
	}
	c.doc = doc
	state, err := sm.MakeGenesisState(doc)
	if err != nil {
		t.Fatal(err)
	}
	c.state = state
	c.save()
	return c
}

func (c *testChain) newValidator() cmttypes.GenesisValidator {
	pv := cmttypes.NewMockPV()
	key, _ := pv.GetPubKey()
	c.keys[string(key.Address())] = pv
	return cmttypes.GenesisValidator{Address: key.Address(), PubKey: key, Power: 10}
}

func (c *testChain) save() {
	if err := c.States.Save(c.state); err != nil {
		c.t.Fatal(err)
	}
}

// addValidator changes the set two blocks after the next.
func (c *testChain) addValidator() {
	v := c.newValidator()
	next := c.state.NextValidators.Copy()
	if err := next.UpdateWithChangeSet([]*cmttypes.Validator{cmttypes.NewValidator(v.PubKey, v.Power)}); err != nil {
		c.t.Fatal(err)
	}
	c.state.NextValidators = next
	c.state.LastHeightValidatorsChanged = c.state.LastBlockHeight + 1 + 1
	c.save()
}

// commit adds a block with the bundles, in batches of two; those in dropped are
// carried and not ordered.
func (c *testChain) commit(bundles []*order.Bundle, dropped ...int) uint64 {
	c.t.Helper()
	var certs []*order.Certificate
	for part := range slices.Chunk(bundles, 2) {
		certs = append(certs, c.disperse(part, &order.Batch{Bundles: part}))
	}
	return c.commitCertified(certs, dropped...)
}

// disperse makes the certificate of a batch that is said to hold the bundles, and has
// the content kept as shards.
func (c *testChain) disperse(bundles []*order.Bundle, content *order.Batch) *order.Certificate {
	c.t.Helper()
	c.lane++
	return c.batches.add(c.t, order.Mark{Session: 1, Sequence: c.lane}, bundles, content.Encode())
}

// commitCertified adds a block with the certificates.
func (c *testChain) commitCertified(certs []*order.Certificate, dropped ...int) uint64 {
	c.t.Helper()
	height := c.state.LastBlockHeight + 1
	txs, drops, err := layOut(uint64(height), certs, dropped)
	if err != nil {
		c.t.Fatal(err)
	}
	txs, results := append(txs, c.ordinary...), append([]*abci.ExecTxResult{{}, {Data: drops}}, c.results...)
	c.ordinary, c.results = nil, nil
	proposer := c.state.Validators.GetProposer().Address
	b, err := c.state.MakeBlock(height, txs, c.last, nil, proposer)
	if err != nil {
		c.t.Fatal(err)
	}
	b.Time = c.state.LastBlockTime.Add(time.Second)
	parts, err := b.MakePartSet(cmttypes.BlockPartSizeBytes)
	if err != nil {
		c.t.Fatal(err)
	}
	id := cmttypes.BlockID{Hash: b.Hash(), PartSetHeader: parts.Header()}
	seen := c.sign(id, height, b.Time)
	c.Blocks.SaveBlock(b, parts, seen)
	err = c.States.SaveFinalizeBlockResponse(height, &abci.ResponseFinalizeBlock{
		TxResults: results, AppHash: []byte{1},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.last = seen
	c.state.LastBlockHeight, c.state.LastBlockID, c.state.LastBlockTime = height, id, b.Time
	c.state.LastValidators, c.state.Validators = c.state.Validators, c.state.NextValidators
	c.state.NextValidators = c.state.NextValidators.CopyIncrementProposerPriority(1)
	c.save()
	for _, s := range c.serving {
		s.Advance(uint64(height))
	}
	return uint64(height)
}

// sign makes a commit of all validators but, where there are enough, the last.
func (c *testChain) sign(id cmttypes.BlockID, height int64, at time.Time) *cmttypes.Commit {
	commit := &cmttypes.Commit{Height: height, BlockID: id}
	for i, v := range c.state.Validators.Validators {
		if i == 3 {
			commit.Signatures = append(commit.Signatures, cmttypes.NewCommitSigAbsent())
			continue
		}
		vote := &cmtproto.Vote{
			Type: cmtproto.PrecommitType, Height: height, BlockID: id.ToProto(), Timestamp: at,
			ValidatorAddress: v.Address, ValidatorIndex: int32(i),
		}
		if err := c.keys[string(v.Address)].SignVote(chainID, vote); err != nil {
			c.t.Fatal(err)
		}
		commit.Signatures = append(commit.Signatures, cmttypes.CommitSig{
			BlockIDFlag: cmttypes.BlockIDFlagCommit, ValidatorAddress: v.Address, Timestamp: at, Signature: vote.Signature,
		})
	}
	return commit
}

// layOut makes the block's first transactions and the result of the second.
func layOut(height uint64, certs []*order.Certificate, dropped []int) (cmttypes.Txs, []byte, error) {
	var ordered []order.Ordered
	var drops []ordering.Drop
	carried := 0
	for _, cert := range certs {
		id := cert.Header.ID(chainID)
		for i := range cert.Header.Bundles {
			s := &cert.Header.Bundles[i]
			if slices.Contains(dropped, carried) {
				drops = append(drops, ordering.Drop{Index: carried, Reason: ordering.DropFunds})
			} else {
				ordered = append(ordered, order.Ordered{ID: s.ID(chainID), Summary: s, Batch: id, BatchIndex: uint64(i)})
			}
			carried++
		}
	}
	times := order.Times{}
	if len(certs) > 0 {
		times = order.Times{First: height, Last: height}
	}
	manifest, err := (&ordering.Manifest{Certificates: certs}).Encode()
	block := order.NewBlock(height, ordered, uint64(len(drops)), times)
	return cmttypes.Txs{block.Header().Encode(), manifest}, ordering.EncodeDrops(drops), err
}

// testPool stands for the chain's pool.
type testPool struct {
	mu   sync.Mutex
	held map[order.BundleID]bool
	left []pool.Left
	fail error
}

func (p *testPool) Submit(_ context.Context, raw []byte) (order.BundleID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return order.BundleID{}, p.fail
	}
	b, err := order.DecodeBundle(raw)
	if err != nil {
		return order.BundleID{}, err
	}
	ids, valid := order.VerifySummaries(chainID, laneOwner, []order.BundleSummary{b.Summary()})
	if !valid[0] {
		return ids[0], order.ErrSignature
	}
	if p.held == nil {
		p.held = make(map[order.BundleID]bool)
	}
	p.held[ids[0]] = true
	return ids[0], nil
}

func (p *testPool) Has(id order.BundleID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held[id]
}

func (p *testPool) Left() []pool.Left {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.left)
}

func (p *testPool) Forget(left []pool.Left) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range left {
		delete(p.held, l.ID)
		p.left = slices.DeleteFunc(p.left, func(o pool.Left) bool { return o == l })
	}
}

// leave has the bundle leave without a block.
func (p *testPool) leave(id order.BundleID, expiry uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = append(p.left, pool.Left{ID: id, Expiry: expiry})
}

func (p *testPool) set(fail error, forget ...order.BundleID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = fail
	for _, id := range forget {
		delete(p.held, id)
	}
}

var payerKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

var nonce int // makes bundles of one test process distinct
var nonceMu sync.Mutex

func newBundle(expiry uint64, rollups ...order.RollupID) *order.Bundle {
	nonceMu.Lock()
	nonce++
	tx := fmt.Appendf(nil, "transaction %d", nonce)
	nonceMu.Unlock()
	b := &order.Bundle{Expiry: expiry, FeeLimit: 100}
	for _, r := range rollups {
		b.Legs = append(b.Legs, order.Leg{RollupID: r, Transactions: [][]byte{tx, append([]byte("second "), tx...)}})
	}
	b.Sign(chainID, laneOwner, payerKey)
	return b
}

// serve starts a server over the chain and returns its URL and how to stop it.
func serve(t testing.TB, c *testChain, change func(*api.Options)) (url string, stop func()) {
	t.Helper()
	opts := api.Options{
		ChainID: chainID, Version: "test", Blocks: c.Blocks, States: c.States, Outcome: ordering.Outcome, Pool: new(testPool),
		Batches: c.batches.retriever(t), Lanes: newTestLanes(),
		Committee: func(_ context.Context, epoch uint64) (*order.Committee, error) { return committee(epoch) },
		Params: func(context.Context) (api.Params, error) {
			return api.Params{FeePerKilobyte: 3, MaxExpiryBlocks: 100, MaxBundleBytes: order.MaxBundleBytes, Epoch: testEpoch}, nil
		},
		CatchingUp: func() bool { return false },
		IndexDir:   t.TempDir(), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&opts)
	}
	if opts.Limits.Heartbeat == 0 {
		opts.Limits.Heartbeat = time.Hour // most tests count blocks
	}
	s, err := api.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.serving = append(c.serving, s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

// verify checks a rollup block as a follower would, and returns its transactions.
func verify(t testing.TB, b *orderv1.RollupBlock, id order.RollupID, height uint64, set *cmttypes.ValidatorSet) ([][]byte, *cmttypes.ValidatorSet) {
	t.Helper()
	fail := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatalf("block %d: %v", height, err)
		}
	}
	if len(b.Validators) > 0 {
		raw := new(cmtproto.ValidatorSet)
		fail(raw.Unmarshal(b.Validators))
		var err error
		set, err = cmttypes.ValidatorSetFromProto(raw)
		fail(err)
	}
	raw := new(cmtproto.SignedHeader)
	fail(raw.Unmarshal(b.SignedHeader))
	signed, err := cmttypes.SignedHeaderFromProto(raw)
	fail(err)
	fail(signed.ValidateBasic(chainID))
	if uint64(signed.Height) != height {
		t.Fatalf("block of height %d, want %d", signed.Height, height)
	}
	if !bytes.Equal(set.Hash(), signed.ValidatorsHash) {
		t.Fatalf("block %d: validators do not hash to the header's", height)
	}
	fail(set.VerifyCommitLight(chainID, signed.Commit.BlockID, signed.Height, signed.Commit))
	proof := merkle.Proof{Total: int64(b.OrderingHeaderProof.Total), Index: int64(b.OrderingHeaderProof.Index), Aunts: b.OrderingHeaderProof.Aunts}
	leaf := cmttypes.Tx(b.OrderingHeader).Hash()
	proof.LeafHash = merkle.HashFromByteSlices([][]byte{leaf})
	fail(proof.Verify(signed.DataHash, leaf))
	h, err := order.DecodeHeader(b.OrderingHeader)
	fail(err)
	var records []order.LegRecord
	var txs [][]byte
	for _, l := range b.Legs {
		r, err := order.LegRecordFromProto(l.Record)
		fail(err)
		if order.LegDigest(l.Transactions) != r.Digest {
			t.Fatalf("block %d: leg does not match its digest", height)
		}
		records = append(records, r)
		txs = append(txs, l.Transactions...)
	}
	fail(h.Commitment.VerifyNamespace(id, records, b.NamespaceProof))
	return txs, set
}

func (c *testChain) height() uint64 { return uint64(c.Blocks.Height()) }
