package engine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/execution"
)

// The journal feeds a client that fell back, which may do so below the firm block: it
// keeps as many blocks below that as a client could lose. Above the firm block it keeps
// all, so where no DA layer makes blocks firm it grows with the chain.
const (
	// keepBelowFirm is 18 hours of blocks that are a second apart.
	keepBelowFirm = 1 << 16
	// pruneEvery is how many blocks are removed at once, at least, for each range that is
	// deleted is one more thing for reads to look at; and pruneMost at most.
	pruneEvery = 256
	pruneMost  = 16 * pruneEvery
)

// ErrPruned is returned where a client has lost more blocks than are kept for it.
var ErrPruned = errors.New("the execution client has lost blocks that this node does not keep any more: " +
	"give the client a copy of another one's data; or remove its chain, and data/op from the node's home, to have the order executed anew from the DA layer")

// prune adds to a batch, which makes a block the firm one, what removes old blocks. After
// a crash all of the batch is on disk, or nothing is and the next one removes them.
func (j *journal) prune(batch *pebble.Batch, firm uint64) error {
	if firm <= j.keep {
		return nil
	}
	oldest, err := j.oldest()
	if err != nil {
		return err
	}
	end := min(firm-j.keep, oldest+pruneMost)
	if end < oldest+pruneEvery {
		return nil
	}
	iter, err := j.db.NewIter(&pebble.IterOptions{LowerBound: blockKey(oldest), UpperBound: blockKey(end)})
	if err != nil {
		return fmt.Errorf("read the journal of blocks: %w", err)
	}
	for ok := iter.First(); ok && err == nil; ok = iter.Next() {
		var r record
		if err = json.Unmarshal(iter.Value(), &r); err == nil {
			err = batch.Delete(hashKey(execution.Hash(r.Hash)), nil)
		}
	}
	if err := errors.Join(err, iter.Close(), batch.DeleteRange(blockKey(0), blockKey(end), nil)); err != nil {
		return fmt.Errorf("remove blocks below %d from the journal: %w", end, err)
	}
	return nil
}

// oldest returns the number of the first block that is kept, 1 where there is none.
func (j *journal) oldest() (uint64, error) {
	iter, err := j.db.NewIter(&pebble.IterOptions{LowerBound: []byte("b"), UpperBound: []byte("c")})
	if err != nil {
		return 0, fmt.Errorf("read the journal of blocks: %w", err)
	}
	number := uint64(1)
	if iter.First() {
		number = binary.BigEndian.Uint64(iter.Key()[1:])
	}
	if err := iter.Close(); err != nil {
		return 0, fmt.Errorf("read the journal of blocks: %w", err)
	}
	return number, nil
}

// missing says why a block is not in the journal.
func (j *journal) missing(number uint64) error {
	oldest, err := j.oldest()
	if err != nil {
		return err
	}
	if number < oldest {
		return fmt.Errorf("block %d is wanted, block %d is the first that is kept: %w", number, oldest, ErrPruned)
	}
	return fmt.Errorf("block %d is not in the journal", number)
}
