package follower

import (
	"fmt"

	"github.com/cometbft/cometbft/crypto/merkle"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// openBlock verifies what a block holds against its header, whose commit holds.
func openBlock(rollup order.RollupID, rb *orderv1.RollupBlock, lb *lightBlock) (*Block, error) {
	header, err := openHeader(rb, lb.signed.Header)
	if err != nil {
		return nil, err
	}
	b, err := openContent(rollup, header, rb, nil)
	if err != nil {
		return nil, err
	}
	signed, err := lb.signed.ToProto().Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode signed header: %w", err)
	}
	b.complete(rb, lb, signed)
	return b, nil
}

// openAt verifies what a block of a run holds against its header. Its Proto has no more
// than a blob says of a block.
func openAt(rollup order.RollupID, r *run, height uint64, rb *orderv1.RollupBlock) (*Block, error) {
	at := height - r.first
	header, err := openHeader(rb, r.headers[at])
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	b, err := openContent(rollup, header, rb, nil)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", height, err)
	}
	b.at(r.headers[at], r.hashes[at], r.validators)
	b.orderedBy(rb)
	return b, nil
}

// held is what a block holds for a rollup: a RollupBlock, or a RollupPart.
type held interface {
	GetNamespaceProof() *orderv1.NamespaceProof
	GetLegs() []*orderv1.RollupLeg
	GetVoidBatches() []*orderv1.VoidBatch
}

// openContent verifies what a block holds for a rollup, what is told of other legs too, against
// the ordering header, which is the block's. Known are batches that were shown to be void already, for openVoids. The Block lacks what
// only the CometBFT header tells. Its Proto has what was verified
// here, and no more.
func openContent(rollup order.RollupID, header order.Header, in held, known map[order.BatchID]proven) (*Block, error) {
	records, err := openRecords(in, header)
	if err != nil {
		return nil, err
	}
	// The proof costs a hash per leg, so it stands before the data is hashed.
	if err := header.Commitment.VerifyNamespace(rollup, records, in.GetNamespaceProof()); err != nil {
		if len(records) == 0 {
			return nil, fmt.Errorf("%w: %w", err, ErrAbsence)
		}
		return nil, fmt.Errorf("legs against commitment %x: %w", header.Commitment.Bytes()[64:], err)
	}
	b := &Block{Height: header.Height, Legs: make([]Leg, len(records))}
	docs := make([]*orderv1.BundleDoc, len(records))
	lacking := make(map[order.BatchID]bool) // batches of legs that came without data
	for i, r := range records {
		b.Legs[i] = Leg{LegRecord: r, Transactions: in.GetLegs()[i].GetTransactions()}
		doc := in.GetLegs()[i].GetBundle()
		if bundle, err := r.OpenDoc(rollup, doc); err != nil {
			return nil, fmt.Errorf("leg %d: %w: %w", i, err, ErrSiblings)
		} else if bundle != nil {
			b.Legs[i].Siblings, docs[i] = bundle.Legs, bundle.Doc(doc.GetChainId())
		}
		if len(b.Legs[i].Transactions) == 0 {
			lacking[r.Batch] = true
		} else if got, want := summary(rollup, b.Legs[i].Transactions), recorded(rollup, r); got != want {
			return nil, fmt.Errorf("leg %d of bundle %s has digest %s, length %d and %d transactions, want %s, %d and %d: %w",
				i, r.BundleID, got.Digest, got.Length, got.Count, want.Digest, want.Length, want.Count, ErrAlteredLeg)
		}
	}
	voids, ids, err := openVoids(rollup, in.GetVoidBatches(), b.Legs, lacking, known)
	if err != nil {
		return nil, err
	}
	proof := in.GetNamespaceProof()
	b.Void, b.Proto = ids, &orderv1.RollupBlock{
		RollupId:       rollup[:],
		NamespaceProof: &orderv1.NamespaceProof{Start: proof.GetStart(), End: proof.GetEnd(), Nodes: proof.GetNodes(), LeafHash: proof.GetLeafHash()},
		Legs:           make([]*orderv1.RollupLeg, len(records)), VoidBatches: voids,
	}
	for i, r := range records {
		b.Proto.Legs[i] = &orderv1.RollupLeg{Record: r.Proto(), Transactions: in.GetLegs()[i].GetTransactions(), Bundle: docs[i]}
	}
	return b, nil
}

// at says which block of the chain it is.
func (b *Block) at(header *cmttypes.Header, hash [32]byte, vals *validators) {
	b.Hash, b.Time, b.checkpoint = hash, header.Time, Checkpoint{header: header, validators: vals}
}

// complete adds what the header tells, and to the wire form the header with its commit, of
// which the signed header is the encoding. What hangs on rb unread (unknown fields, proposer
// priorities) does not travel further.
func (b *Block) complete(rb *orderv1.RollupBlock, lb *lightBlock, signed []byte) {
	b.at(lb.signed.Header, lb.hash, lb.validators)
	b.Proto.SignedHeader, b.Proto.Validators = signed, lb.validators.encoded
	b.orderedBy(rb)
}

// orderedBy adds the ordering header to the wire form.
func (b *Block) orderedBy(rb *orderv1.RollupBlock) {
	path := rb.GetOrderingHeaderProof()
	b.Proto.OrderingHeader = rb.GetOrderingHeader()
	b.Proto.OrderingHeaderProof = &orderv1.MerkleProof{Total: path.GetTotal(), Index: path.GetIndex(), Aunts: path.GetAunts()}
}

func summary(rollup order.RollupID, txs [][]byte) order.LegSummary {
	return order.Leg{RollupID: rollup, Transactions: txs}.Summary()
}

// recorded is the summary that a leg's record stands for.
func recorded(rollup order.RollupID, r order.LegRecord) order.LegSummary {
	return order.LegSummary{RollupID: rollup, Digest: r.Digest, Length: r.Length, Count: r.Count}
}

// openHeader verifies that the ordering header is transaction 0 of the block.
func openHeader(rb *orderv1.RollupBlock, block *cmttypes.Header) (order.Header, error) {
	raw, path := rb.GetOrderingHeader(), rb.GetOrderingHeaderProof()
	if err := atMost("ordering header", len(raw), maxOrderingHeaderBytes); err != nil {
		return order.Header{}, err
	}
	if err := atMost("hashes of the ordering header's proof", len(path.GetAunts()), maxProofHashes); err != nil {
		return order.Header{}, err
	}
	if path.GetIndex() != 0 || path.GetTotal() == 0 || path.GetTotal() > maxHeight {
		return order.Header{}, fmt.Errorf("proof is for transaction %d of %d, want 0 of at least 1: %w", path.GetIndex(), path.GetTotal(), ErrOrderingHeader)
	}
	for i, aunt := range path.GetAunts() {
		if len(aunt) != len(order.Digest{}) {
			return order.Header{}, fmt.Errorf("hash %d of the proof has %d bytes, want %d: %w", i, len(aunt), len(order.Digest{}), ErrOrderingHeader)
		}
	}
	// A leaf of CometBFT's data hash is the hash of a transaction, hashed as a leaf.
	tx := cmttypes.Tx(raw)
	proof := cmttypes.TxProof{RootHash: block.DataHash, Data: tx, Proof: merkle.Proof{
		Total: int64(path.GetTotal()), LeafHash: merkle.HashFromByteSlices([][]byte{tx.Hash()}), Aunts: path.GetAunts(),
	}}
	if err := proof.Validate(block.DataHash); err != nil {
		return order.Header{}, fmt.Errorf("ordering header %X is not transaction 0 under data hash %X: %w: %w", tx.Hash(), block.DataHash, err, ErrOrderingHeader)
	}
	header, err := order.DecodeHeader(raw)
	if err != nil {
		return order.Header{}, fmt.Errorf("%w: %w", err, ErrOrderingHeader)
	}
	if header.Height != uint64(block.Height) {
		return order.Header{}, fmt.Errorf("ordering header is for height %d, block has %d: %w", header.Height, block.Height, ErrOrderingHeader)
	}
	return header, nil
}

// openRecords reads the legs' records and compares their number and order with
// what header and proof say. The proof is not verified here: these checks give the
// plain cases their names.
func openRecords(in held, header order.Header) ([]order.LegRecord, error) {
	legs, proof := in.GetLegs(), in.GetNamespaceProof()
	if uint64(len(legs)) > header.Legs {
		return nil, fmt.Errorf("%d legs, the block has %d of all rollups: %w", len(legs), header.Legs, ErrExtraLeg)
	}
	if covered := proof.GetEnd() - proof.GetStart(); len(proof.GetLeafHash()) == 0 && covered != uint64(len(legs)) {
		if covered > uint64(len(legs)) {
			return nil, fmt.Errorf("%d legs, the proof covers %d: %w", len(legs), covered, ErrMissingLeg)
		}
		return nil, fmt.Errorf("%d legs, the proof covers %d: %w", len(legs), covered, ErrExtraLeg)
	}
	records := make([]order.LegRecord, len(legs))
	for i, leg := range legs {
		var err error
		if records[i], err = order.LegRecordFromProto(leg.GetRecord()); err != nil {
			return nil, fmt.Errorf("leg %d: %w: %w", i, err, ErrMalformed)
		}
		if i > 0 && records[i].BundleIndex <= records[i-1].BundleIndex {
			return nil, fmt.Errorf("leg %d is of bundle %d, after one of bundle %d: %w", i, records[i].BundleIndex, records[i-1].BundleIndex, ErrLegOrder)
		}
	}
	return records, nil
}
