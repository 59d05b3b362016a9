package follower

import (
	"time"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Block is what one block of the sequencer chain orders for the rollup, verified.
// It is immutable.
type Block struct {
	Height uint64
	Hash   [32]byte // of the CometBFT header
	Time   time.Time
	Legs   []Leg // in order; none where the block orders nothing for the rollup
	// Void are the batches that the block shows to be void. Of theirs, all legs have been
	// held against the batch; of others, a leg with data is what its digest says.
	Void []order.BatchID
	// Proto is the block in wire form, made of what was verified, always with its
	// validator set: it can be handed on to anyone. Of a block that was read from DA it
	// has neither header nor validators: one commit is there for many.
	Proto *orderv1.RollupBlock

	checkpoint Checkpoint
}

// Leg is one leg of the rollup, as ordered.
type Leg struct {
	order.LegRecord
	Transactions [][]byte // none where it is void
	// Void says that the leg's batch does not hold what its owner said it would, as
	// whoever looks finds. The leg keeps its place in the order and does nothing.
	Void bool
	// Siblings are all legs of the leg's bundle, this one's too, by LegIndex; none where the
	// bundle has no other.
	Siblings []order.LegSummary
}

// Checkpoint returns the block as a point to resume from: what comes next is
// Height+1.
func (b *Block) Checkpoint() Checkpoint { return b.checkpoint }

// Transactions returns the transactions of all legs, in order.
func (b *Block) Transactions() [][]byte {
	n := 0
	for _, leg := range b.Legs {
		n += len(leg.Transactions)
	}
	txs := make([][]byte, 0, n)
	for _, leg := range b.Legs {
		txs = append(txs, leg.Transactions...)
	}
	return txs
}

// siblingBytes is about what a sibling takes in memory.
const siblingBytes = 256

func (l *Leg) weight() int64 {
	n := siblingBytes * int64(len(l.Siblings))
	if !l.Void {
		n += int64(l.Length)
	}
	return n
}

// weight is about what the block takes in memory: what legs and void batches hold.
func (b *Block) weight() int64 {
	n := int64(0)
	for i := range b.Legs {
		n += b.Legs[i].weight()
	}
	for _, v := range b.Proto.GetVoidBatches() {
		for _, s := range v.GetShares() {
			n += int64(len(s))
		}
	}
	return min(n, MaxBlockBytes)
}

// Position is where a transaction stands in a block.
type Position struct {
	Leg    int // in Block.Legs, which names the bundle
	Index  int // in the leg
	Offset int // in Block.Transactions
}

// Find returns the positions of the transactions that match. As the block is
// verified, so is that they are ordered there, and that no others are.
func (b *Block) Find(match func(tx []byte) bool) []Position {
	var found []Position
	offset := 0
	for i, leg := range b.Legs {
		for j, tx := range leg.Transactions {
			if match(tx) {
				found = append(found, Position{Leg: i, Index: j, Offset: offset})
			}
			offset++
		}
	}
	return found
}
