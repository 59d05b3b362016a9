package rollup

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// block is what one block of the sequencer chain orders for the rollup, as it is
// executed, and kept until then.
type block struct {
	Height uint64
	Hash   execution.Hash
	Time   time.Time
	Legs   []leg
}

// leg is a leg with its transactions: none where it is void.
type leg struct {
	execution.Leg
	Batch order.BatchID // that brought it
	Txs   [][]byte
}

// newBlock takes from a block of the order what the rollup with the ID executes.
func newBlock(rollup order.RollupID, b *follower.Block) block {
	out := block{Height: b.Height, Hash: b.Hash, Time: b.Time, Legs: make([]leg, len(b.Legs))}
	for i, l := range b.Legs {
		rollups := []execution.Hash{execution.Hash(rollup)}
		if len(l.Siblings) > 0 {
			rollups = make([]execution.Hash, len(l.Siblings))
			for j, s := range l.Siblings {
				rollups[j] = execution.Hash(s.RollupID)
			}
		}
		out.Legs[i] = leg{
			Leg: execution.Leg{
				Height: b.Height, Bundle: execution.Hash(l.BundleID), Position: int(l.BundleIndex), Index: int(l.LegIndex),
				Rollups: rollups, Transactions: len(l.Transactions),
			},
			Batch: l.Batch, Txs: l.Transactions,
		}
	}
	return out
}

// transactions returns those of all legs, in order.
func (b *block) transactions() (txs [][]byte) {
	for _, l := range b.Legs {
		txs = append(txs, l.Txs...)
	}
	return txs
}

// behind returns the rollup block that b ends, when it stands behind what was gathered.
func (b *block) behind(gathered []block) execution.Block {
	out := execution.Block{Height: b.Height, Hash: b.Hash, Time: b.Time, Legs: []execution.Leg{}}
	add := func(b *block) {
		for _, l := range b.Legs {
			out.Legs = append(out.Legs, l.Leg)
			out.Transactions = append(out.Transactions, l.Txs...)
		}
	}
	for i := range gathered {
		add(&gathered[i])
	}
	add(b)
	return out
}

func (b *block) encode() ([]byte, error) {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(b); err != nil {
		return nil, fmt.Errorf("encode block %d: %w", b.Height, err)
	}
	return buf.Bytes(), nil
}

func decodeBlock(raw []byte) (b block, err error) {
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&b); err != nil {
		return b, fmt.Errorf("decode a gathered block: %w", err)
	}
	return b, nil
}
