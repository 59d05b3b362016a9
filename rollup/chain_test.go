package rollup

import (
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"fmt"
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

// signedChain is a sequencer chain of one validator, whose commits are really signed.
type signedChain struct {
	key    ed25519.PrivKey
	doc    *cmttypes.GenesisDoc
	blocks []*orderv1.RollupBlock // for alpha
	last   cmttypes.BlockID
	step   time.Duration // from block to block
}

func newSignedChain() *signedChain {
	key := ed25519.GenPrivKeyFromSecret([]byte("validator"))
	return &signedChain{key: key, step: 100 * time.Millisecond, doc: &cmttypes.GenesisDoc{
		ChainID: testChainID, InitialHeight: 1, GenesisTime: time.Now().Add(-time.Hour).UTC(), ConsensusParams: cmttypes.DefaultConsensusParams(),
		Validators: []cmttypes.GenesisValidator{{PubKey: key.PubKey(), Power: 10, Address: key.PubKey().Address()}},
	}}
}

// order appends a block with one leg for alpha, or none.
func (c *signedChain) order(t *testing.T, txs ...[]byte) {
	t.Helper()
	alpha, height := order.NewRollupID("alpha"), int64(len(c.blocks)+1)
	header := order.BatchHeader{Position: order.Position{Owner: order.Owner{1}, Mark: order.Mark{Session: 1, Sequence: uint64(height)}}}
	var ordered []order.Ordered
	if len(txs) > 0 {
		bundle := &order.Bundle{Expiry: uint64(height), FeeLimit: 1, Legs: []order.Leg{{RollupID: alpha, Transactions: txs}}}
		seed := sha256.Sum256([]byte("payer"))
		bundle.Sign(testChainID, header.Owner, stded25519.NewKeyFromSeed(seed[:]))
		header.Bundles = []order.BundleSummary{bundle.Summary()}
		ordered = []order.Ordered{{ID: bundle.ID(testChainID), Summary: &header.Bundles[0], Batch: header.ID(testChainID)}}
	}
	b := order.NewBlock(uint64(height), ordered, 0, order.Times{})
	data := cmttypes.Txs{b.Header().Encode(), []byte("certificates")}
	set := cmttypes.NewValidatorSet([]*cmttypes.Validator{cmttypes.NewValidator(c.key.PubKey(), 10)})
	h := &cmttypes.Header{
		Version: cmtversion.Consensus{Block: version.BlockProtocol, App: 1}, ChainID: testChainID, Height: height, LastBlockID: c.last,
		Time: c.doc.GenesisTime.Add(time.Duration(height) * c.step), DataHash: data.Hash(),
		ValidatorsHash: set.Hash(), NextValidatorsHash: set.Hash(), ConsensusHash: hash32("consensus"), AppHash: hash32(fmt.Sprint(height)),
		LastCommitHash: hash32("commit"), LastResultsHash: hash32("results"), EvidenceHash: hash32("evidence"), ProposerAddress: set.Validators[0].Address,
	}
	c.last = cmttypes.BlockID{Hash: h.Hash(), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash32("parts")}}
	vote := &cmttypes.Vote{Type: cmtproto.PrecommitType, Height: height, BlockID: c.last, Timestamp: h.Time, ValidatorAddress: set.Validators[0].Address}
	var err error
	if vote.Signature, err = c.key.Sign(cmttypes.VoteSignBytes(testChainID, vote.ToProto())); err != nil {
		t.Fatal(err)
	}
	signed := &cmttypes.SignedHeader{Header: h, Commit: &cmttypes.Commit{Height: height, BlockID: c.last, Signatures: []cmttypes.CommitSig{vote.CommitSig()}}}
	records, proof := b.Rollup(alpha)
	path := data.Proof(0).Proof
	rb := &orderv1.RollupBlock{
		RollupId: alpha[:], SignedHeader: encoded(t, signed.ToProto()), OrderingHeader: data[0],
		OrderingHeaderProof: &orderv1.MerkleProof{Total: uint64(path.Total), Index: uint64(path.Index), Aunts: path.Aunts}, NamespaceProof: proof,
	}
	pb, err := set.ToProto()
	if err != nil {
		t.Fatal(err)
	}
	rb.Validators = encoded(t, pb)
	for _, r := range records {
		rb.Legs = append(rb.Legs, &orderv1.RollupLeg{Record: r.Proto(), Transactions: txs})
	}
	c.blocks = append(c.blocks, rb)
}

func encoded(t *testing.T, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func hash32(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// blob packs the blocks of the heights from..to.
func (c *signedChain) blob(t *testing.T, from, to int) []byte {
	t.Helper()
	raw, err := follower.EncodeBlob(c.blocks[from-1 : to])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
