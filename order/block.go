package order

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Ordered is a bundle with its ID on the chain.
type Ordered struct {
	ID     BundleID
	Bundle *Bundle
	// Summaries of the bundle's legs, as VerifyBatch returns them. Where they are nil
	// NewBlock hashes the legs, so that who has them at hand saves the work.
	Summaries []LegSummary
}

// Block is everything that one block of the sequencer chain orders, with the
// tree over it. It does not change once it is made: any number of goroutines may
// read it.
type Block struct {
	Height  uint64
	Bundles []Ordered
	Dropped uint64 // bundles that the block carries and does not order
	Bytes   uint64 // canonical bytes of the bundles ordered

	leaves []leaf // by rollup ID, then by position
	tree   tree
}

type leaf struct {
	rollup RollupID
	record LegRecord
	leg    *Leg
}

// NewBlock lays the bundles, given in the order of the block, into a commitment.
// It fails only where summaries are not of the bundle that they stand beside.
func NewBlock(height uint64, bundles []Ordered, dropped uint64) (*Block, error) {
	b := &Block{Height: height, Bundles: bundles, Dropped: dropped}
	legs := 0
	for _, o := range bundles {
		legs += len(o.Bundle.Legs)
	}
	b.leaves = make([]leaf, 0, legs)
	for i, o := range bundles {
		b.Bytes += uint64(o.Bundle.Size())
		summaries := o.Summaries
		if summaries == nil {
			summaries = o.Bundle.Summaries()
		}
		if len(summaries) != len(o.Bundle.Legs) {
			return nil, fmt.Errorf("bundle %s has %d legs and %d summaries", o.ID, len(o.Bundle.Legs), len(summaries))
		}
		for j, s := range summaries {
			leg := &o.Bundle.Legs[j]
			if s.RollupID != leg.RollupID {
				return nil, fmt.Errorf("bundle %s: leg %d is of rollup %s, its summary of %s", o.ID, j, leg.RollupID, s.RollupID)
			}
			b.leaves = append(b.leaves, leaf{leg.RollupID, LegRecord{
				BundleID: o.ID, BundleIndex: uint64(i), LegIndex: uint64(j), LegCount: uint64(len(summaries)),
				Digest: s.Digest, Length: s.Length, Count: s.Count,
			}, leg})
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
	return b, nil
}

// Commitment returns the root over the block's legs.
func (b *Block) Commitment() Commitment { return b.tree.root() }

// Header returns the ordering header: transaction 0 of the block.
func (b *Block) Header() Header {
	return Header{
		Version: HeaderVersion, Height: b.Height, Commitment: b.Commitment(),
		Bundles: uint64(len(b.Bundles)), Legs: uint64(len(b.leaves)), Dropped: b.Dropped, Bytes: b.Bytes,
	}
}

// Rollup returns the rollup's legs in order, with the proof that there are no
// others. What it returns aliases the block.
func (b *Block) Rollup(id RollupID) ([]*orderv1.RollupLeg, *orderv1.NamespaceProof, error) {
	start, end, proof := b.tree.prove(id)
	var legs []*orderv1.RollupLeg
	for i := start; i < end; i++ {
		legs = append(legs, &orderv1.RollupLeg{Record: b.leaves[i].record.Proto(), Transactions: b.leaves[i].leg.Transactions})
	}
	return legs, proof, nil
}
