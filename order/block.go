package order

import (
	"bytes"
	"cmp"
	"slices"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Ordered is a bundle that a block orders: what the chain knows of it, and where its
// data is.
type Ordered struct {
	ID         BundleID
	Summary    *BundleSummary
	Batch      BatchID
	BatchIndex uint64 // position in the batch
}

// Block is everything that one block of the sequencer chain orders, with the
// tree over it. It does not change once it is made: any number of goroutines may
// read it.
type Block struct {
	Height  uint64
	Bundles []Ordered
	Dropped uint64 // bundles that the block carries and does not order
	Bytes   uint64 // canonical bytes of the bundles ordered
	Times   Times

	leaves []leaf // by rollup ID, then by position
	tree   tree
}

type leaf struct {
	rollup RollupID
	record LegRecord
}

// NewBlock lays the bundles, given in the order of the block, into a commitment.
func NewBlock(height uint64, bundles []Ordered, dropped uint64, times Times) *Block {
	b := &Block{Height: height, Bundles: bundles, Dropped: dropped, Times: times}
	legs := 0
	for _, o := range bundles {
		legs += len(o.Summary.Legs)
	}
	b.leaves = make([]leaf, 0, legs)
	for i, o := range bundles {
		b.Bytes += uint64(o.Summary.Size())
		for j, s := range o.Summary.Legs {
			b.leaves = append(b.leaves, leaf{s.RollupID, LegRecord{
				BundleID: o.ID, BundleIndex: uint64(i), LegIndex: uint64(j), LegCount: uint64(len(o.Summary.Legs)),
				Digest: s.Digest, Length: s.Length, Count: s.Count, Batch: o.Batch, BatchIndex: o.BatchIndex,
			}})
		}
	}
	slices.SortFunc(b.leaves, func(x, y leaf) int {
		if c := bytes.Compare(x.rollup[:], y.rollup[:]); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(x.record.BundleIndex, y.record.BundleIndex), cmp.Compare(x.record.LegIndex, y.record.LegIndex))
	})
	hashes := make([]node, len(b.leaves))
	var scratch []byte
	for i := range b.leaves {
		hashes[i], scratch = hashLeaf(&b.leaves[i].rollup, &b.leaves[i].record, scratch)
	}
	b.tree = newTree(hashes)
	return b
}

// Commitment returns the root over the block's legs.
func (b *Block) Commitment() Commitment { return b.tree.root() }

// Header returns the ordering header: transaction 0 of the block.
func (b *Block) Header() Header {
	return Header{
		Version: HeaderVersion, Height: b.Height, Commitment: b.Commitment(),
		Bundles: uint64(len(b.Bundles)), Legs: uint64(len(b.leaves)), Dropped: b.Dropped, Bytes: b.Bytes, Times: b.Times,
	}
}

// Rollup returns the records of the rollup's legs in order, with the proof that there
// are no others. The proof aliases the block.
func (b *Block) Rollup(id RollupID) ([]LegRecord, *orderv1.NamespaceProof) {
	start, end, proof := b.tree.prove(id)
	records := make([]LegRecord, 0, end-start)
	for i := start; i < end; i++ {
		records = append(records, b.leaves[i].record)
	}
	return records, proof
}
