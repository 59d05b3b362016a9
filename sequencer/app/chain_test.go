package app_test

import (
	"bytes"
	"context"
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

const chainID = "ordo-test"

var alpha, beta = order.NewRollupID("alpha"), order.NewRollupID("beta")

// payer returns the key of a payer; the genesis of a test chain funds the first ones.
func payer(i int) stded25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "payer %d", i))
	return stded25519.NewKeyFromSeed(seed[:])
}

func payerKey(i int) order.Payer { return order.Payer(payer(i).Public().(stded25519.PublicKey)) }

func payerAddress(i int) sdk.AccAddress { return ordering.Address(payerKey(i)) }

func operator(i int) *secp256k1.PrivKey {
	return secp256k1.GenPrivKeyFromSecret(fmt.Appendf(nil, "operator %d", i))
}

func consensusKey(i int) *ed25519.PrivKey {
	return ed25519.GenPrivKeyFromSecret(fmt.Appendf(nil, "consensus %d", i))
}

// chain drives one application as CometBFT and dispersal do. The application is that
// of validator 0, whose lane takes what is submitted; the others attest at once.
type chain struct {
	t       testingT
	db      dbm.DB
	dir     string
	app     *app.App
	abci    abci.Application
	genesis *cmttypes.GenesisDoc
	vals    []abci.Validator
	height  int64
	time    time.Time
	log     *bytes.Buffer
	lanes   *lanes
	session uint64

	// Of the last block's votes.
	round int32
	flags map[int]cmtproto.BlockIDFlag // of validators that did not vote for it
	said  [][]byte                     // vote extensions, by validator
	keys  map[int]*ed25519.PrivKey     // of validators that have changed theirs
}

func (c *chain) logger() log.Logger { return log.NewLogger(c.log, log.OutputJSONOption()) }

// testingT is a test, or one run of a property.
type testingT interface {
	require.TestingT
	Helper()
}

const (
	blockTime    = 100 * time.Millisecond
	funded       = 4 // payers in the genesis
	funds        = 1_000_000_000
	genesisStake = 100_000_000
)

func newGenesis(t testingT, validators int) *cmttypes.GenesisDoc {
	enc, err := app.NewEncoding()
	require.NoError(t, err)
	g, err := app.NewGenesis(enc)
	require.NoError(t, err)
	for i := range validators {
		require.NoError(t, g.AddAccount(sdk.AccAddress(operator(i).PubKey().Address()), 10*genesisStake))
		tx, err := app.NewValidatorTx(enc, chainID, fmt.Sprintf("v%d", i), operator(i), consensusKey(i).PubKey(), genesisStake)
		require.NoError(t, err)
		g.AddValidators(tx)
		g.AddAttester(operatorAddress(i), newAttestationKey(i).Public().(stded25519.PublicKey), fmt.Sprintf("v%d.example:7000", i), fmt.Sprintf("http://v%d.example:8080", i))
	}
	for i := range funded {
		require.NoError(t, g.AddAccount(payerAddress(i), funds))
	}
	doc, err := g.Doc(chainID, time.Unix(1_700_000_000, 0).UTC())
	require.NoError(t, err)
	return doc
}

// open opens the application with lanes that hold nothing yet.
func (c *chain) open() {
	a, err := app.New(c.logger(), c.db, app.Options{ChainID: chainID, PoolDir: c.dir, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(c.t, err)
	a.Pool().SetLane(laneOwner(0), func() bool { return true })
	c.lanes = newLanes()
	a.SetLanes(c.lanes)
	c.app, c.abci = a, a.ABCI()
	c.session++
}

// newChain starts a chain and makes its first block.
func newChain(t *testing.T) *chain { return newChainOf(t, 2) }

func newChainOf(t *testing.T, validators int) *chain {
	c := start(t, newGenesis(t, validators), t.TempDir())
	t.Cleanup(func() { _ = c.app.Pool().Close() })
	return c
}

func start(t testingT, genesis *cmttypes.GenesisDoc, dir string) *chain {
	return startOn(t, genesis, dbm.NewMemDB(), dir)
}

func startOn(t testingT, genesis *cmttypes.GenesisDoc, db dbm.DB, dir string) *chain {
	c := initiate(t, genesis, db, dir)
	c.block()
	return c
}

// initiate opens an application and gives it the genesis.
func initiate(t testingT, genesis *cmttypes.GenesisDoc, db dbm.DB, dir string) *chain {
	c := &chain{t: t, db: db, dir: dir, genesis: genesis, time: genesis.GenesisTime, log: new(bytes.Buffer)}
	c.open()
	params := genesis.ConsensusParams.ToProto()
	res, err := c.abci.InitChain(context.Background(), &abci.RequestInitChain{
		Time: genesis.GenesisTime, ChainId: chainID, InitialHeight: 1, ConsensusParams: &params, AppStateBytes: genesis.AppState,
	})
	require.NoError(t, err)
	for i := range len(res.Validators) {
		c.vals = append(c.vals, abci.Validator{Address: consensusKey(i).PubKey().Address(), Power: res.Validators[i].Power})
	}
	return c
}

func (c *chain) commit() abci.CommitInfo {
	info := abci.CommitInfo{}
	for _, v := range c.votes().Votes {
		info.Votes = append(info.Votes, abci.VoteInfo{Validator: v.Validator, BlockIdFlag: v.BlockIdFlag})
	}
	info.Round = c.votes().Round
	return info
}

// votes returns the commit of the last block as its next proposer has it.
func (c *chain) votes() abci.ExtendedCommitInfo {
	if c.height == 0 {
		return abci.ExtendedCommitInfo{}
	}
	info := abci.ExtendedCommitInfo{Round: c.round}
	for i, v := range c.vals {
		vote := abci.ExtendedVoteInfo{Validator: v, BlockIdFlag: cmtproto.BlockIDFlagCommit}
		if flag, ok := c.flags[i]; ok {
			vote.BlockIdFlag = flag
		}
		if vote.BlockIdFlag == cmtproto.BlockIDFlagCommit {
			vote.VoteExtension = c.said[i]
			vote.ExtensionSignature = c.signExtension(i, c.said[i])
		}
		info.Votes = append(info.Votes, vote)
	}
	return info
}

func (c *chain) signExtension(i int, said []byte) []byte {
	key, changed := c.keys[i]
	if !changed {
		key = consensusKey(i)
	}
	sig, err := key.Sign(cmttypes.VoteExtensionSignBytes(chainID, &cmtproto.Vote{Height: c.height, Round: c.round, Extension: said}))
	require.NoError(c.t, err)
	return sig
}

func (c *chain) nextTime() time.Time { return c.time.Add(blockTime) }

func (c *chain) prepareSized(maxTxBytes int64) [][]byte {
	res, err := c.abci.PrepareProposal(context.Background(), &abci.RequestPrepareProposal{
		MaxTxBytes: maxTxBytes, LocalLastCommit: c.votes(), Height: c.height + 1, Time: c.nextTime(), ProposerAddress: c.vals[0].Address,
	})
	require.NoError(c.t, err)
	return res.Txs
}

func (c *chain) prepare() [][]byte {
	txs := c.prepareSized(4 << 20)
	require.GreaterOrEqual(c.t, len(txs), ordering.OwnTxs, c.log.String())
	return txs
}

func (c *chain) process(txs [][]byte) bool { return c.processWith(txs, c.commit()) }

func (c *chain) processWith(txs [][]byte, last abci.CommitInfo) bool {
	res, err := c.abci.ProcessProposal(context.Background(), &abci.RequestProcessProposal{
		Txs: txs, ProposedLastCommit: last, Height: c.height + 1, Time: c.nextTime(), ProposerAddress: c.vals[0].Address, Hash: []byte("hash"),
	})
	require.NoError(c.t, err)
	return res.IsAccepted()
}

// vote asks the application for its vote extension, which all validators repeat until
// a test says otherwise.
func (c *chain) vote() [][]byte {
	res, err := c.abci.ExtendVote(context.Background(), &abci.RequestExtendVote{Height: c.height + 1, Hash: []byte("hash")})
	require.NoError(c.t, err)
	return slices.Repeat([][]byte{res.VoteExtension}, len(c.vals))
}

// hear asks the application whether it takes the vote of validator i for the next block.
func (c *chain) hear(i int, said []byte) bool {
	res, err := c.abci.VerifyVoteExtension(context.Background(), &abci.RequestVerifyVoteExtension{
		Height: c.height + 1, Hash: []byte("hash"), ValidatorAddress: c.vals[i].Address, VoteExtension: said,
	})
	require.NoError(c.t, err)
	return res.IsAccepted()
}

func (c *chain) finalize(txs [][]byte) (*abci.ResponseFinalizeBlock, error) {
	return c.abci.FinalizeBlock(context.Background(), &abci.RequestFinalizeBlock{
		Txs: txs, DecidedLastCommit: c.commit(), Height: c.height + 1, Time: c.nextTime(), ProposerAddress: c.vals[0].Address, Hash: []byte("hash"),
	})
}

func (c *chain) save(said [][]byte) {
	_, err := c.abci.Commit(context.Background(), &abci.RequestCommit{})
	require.NoError(c.t, err)
	c.height++
	c.time = c.nextTime()
	c.said, c.flags, c.round = said, nil, 0
}

type outcome struct {
	txs   [][]byte
	res   *abci.ResponseFinalizeBlock
	block *order.Block
	drops []ordering.Drop
}

// apply executes and commits a block that the application must accept.
func (c *chain) apply(txs [][]byte) outcome {
	require.True(c.t, c.process(txs), "block refused: %s", c.log)
	said := c.vote()
	res, err := c.finalize(txs)
	require.NoError(c.t, err)
	require.Len(c.t, res.TxResults, len(txs))
	block, drops, err := ordering.Outcome(chainID, uint64(c.height+1), txs, res.TxResults)
	require.NoError(c.t, err)
	c.save(said)
	return outcome{txs, res, block, drops}
}

// block certifies what was submitted, lets the application propose, and applies that.
func (c *chain) block() outcome {
	c.disperse()
	return c.apply(c.prepare())
}

func (c *chain) bundle(i int, edit func(*order.Bundle)) *order.Bundle {
	b := &order.Bundle{
		Expiry: uint64(c.height) + 20, FeeLimit: 1000,
		Legs: []order.Leg{{RollupID: alpha, Transactions: [][]byte{[]byte("tx")}}, {RollupID: beta, Transactions: [][]byte{[]byte("ty")}}},
	}
	if edit != nil {
		edit(b)
	}
	b.Sign(chainID, laneOwner(0), payer(i))
	return b
}

func (c *chain) submit(b *order.Bundle) order.BundleID {
	id, err := c.app.Pool().Submit(context.Background(), b.Encode())
	require.NoError(c.t, err)
	return id
}

func data(s string) func(*order.Bundle) {
	return func(b *order.Bundle) { b.Legs[0].Transactions = [][]byte{[]byte(s)} }
}

func TestBundleIsOrdered(t *testing.T) {
	c := newChain(t)
	id := c.submit(c.bundle(0, nil))
	require.True(t, c.app.Pool().Has(id))
	out := c.block()
	require.Len(t, out.block.Bundles, 1)
	require.Equal(t, id, out.block.Bundles[0].ID)
	require.False(t, c.app.Pool().Has(id))
}
