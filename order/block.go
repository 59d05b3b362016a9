package order

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/celestiaorg/nmt"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Ordered is a bundle with its ID on the chain.
type Ordered struct {
	ID     BundleID
	Bundle *Bundle
}

// Block is everything that one block of the sequencer chain orders, with the
// tree over it.
type Block struct {
	Height  uint64
	Bundles []Ordered
	Dropped uint64 // bundles that the block carries and does not order
	Bytes   uint64 // canonical bytes of the bundles ordered

	leaves []leaf // by rollup ID, then by position
	tree   *nmt.NamespacedMerkleTree
	root   Commitment
}

type leaf struct {
	rollup RollupID
	record LegRecord
	leg    *Leg
}

// NewBlock lays the bundles, given in the order of the block, into a commitment.
func NewBlock(height uint64, bundles []Ordered, dropped uint64) (*Block, error) {
	b := &Block{Height: height, Bundles: bundles, Dropped: dropped, tree: newTree()}
	for i, o := range bundles {
		b.Bytes += uint64(o.Bundle.Size())
		for j := range o.Bundle.Legs {
			leg := &o.Bundle.Legs[j]
			s := leg.Summary()
			b.leaves = append(b.leaves, leaf{leg.RollupID, LegRecord{
				BundleID: o.ID, BundleIndex: uint64(i), LegIndex: uint64(j), LegCount: uint64(len(o.Bundle.Legs)),
				Digest: s.Digest, Length: s.Length, Count: s.Count,
			}, leg})
		}
	}
	slices.SortStableFunc(b.leaves, func(x, y leaf) int { return bytes.Compare(x.rollup[:], y.rollup[:]) })
	for _, l := range b.leaves {
		if err := b.tree.Push(append(append([]byte(nil), l.rollup[:]...), l.record.Encode()...)); err != nil {
			return nil, fmt.Errorf("commit leg of rollup %s: %w", l.rollup, err)
		}
	}
	root, err := b.tree.Root()
	if err != nil {
		return nil, fmt.Errorf("commitment: %w", err)
	}
	b.root = Commitment(root)
	return b, nil
}

// Commitment returns the root over the block's legs.
func (b *Block) Commitment() Commitment { return b.root }

// Header returns the ordering header: transaction 0 of the block.
func (b *Block) Header() Header {
	return Header{
		Version: HeaderVersion, Height: b.Height, Commitment: b.root,
		Bundles: uint64(len(b.Bundles)), Legs: uint64(len(b.leaves)), Dropped: b.Dropped, Bytes: b.Bytes,
	}
}

// Rollup returns the rollup's legs in order, with the proof that there are no others.
func (b *Block) Rollup(id RollupID) ([]*orderv1.RollupLeg, *orderv1.NamespaceProof, error) {
	proof, err := proveNamespace(b.tree, id)
	if err != nil {
		return nil, nil, err
	}
	var legs []*orderv1.RollupLeg
	i, _ := slices.BinarySearchFunc(b.leaves, id, func(l leaf, id RollupID) int { return bytes.Compare(l.rollup[:], id[:]) })
	for ; i < len(b.leaves) && b.leaves[i].rollup == id; i++ {
		legs = append(legs, &orderv1.RollupLeg{Record: b.leaves[i].record.Proto(), Transactions: b.leaves[i].leg.Transactions})
	}
	return legs, proof, nil
}
