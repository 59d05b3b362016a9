package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/execution"
)

// putGathered notes a block of the order that waits for its rollup block, with its
// record. One that holds legs is on disk on return; an empty one that is lost is read again.
func (s *store) putGathered(b block, r record) (err error) {
	raw, err := b.encode()
	if err != nil {
		return err
	}
	batch := s.db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	if err := batch.Set(heightKey(keyGathered, b.Height), raw, nil); err != nil {
		return err
	}
	if err := batch.Set(heightKey(keyRecord, b.Height), r.encode(), nil); err != nil {
		return err
	}
	sync := pebble.NoSync
	if len(b.Legs) > 0 {
		sync = pebble.Sync
	}
	return batch.Commit(sync)
}

// gathered returns what was gathered at a height.
func (s *store) gathered(height uint64) (b block, ok bool, err error) {
	raw, ok, err := s.get(heightKey(keyGathered, height))
	if !ok || err != nil {
		return b, false, err
	}
	b, err = decodeBlock(raw)
	return b, err == nil, err
}

// keepGathered removes what is gathered at other heights than from first to last: what
// was executed, or what the chain was gathered for that is no more.
func (s *store) keepGathered(first, last uint64) (err error) {
	batch := s.db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	if err := batch.DeleteRange(heightKey(keyGathered, 0), heightKey(keyGathered, first), nil); err != nil {
		return err
	}
	if err := batch.DeleteRange(heightKey(keyGathered, last+1), heightKey(keyGathered, math.MaxUint64), nil); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

// recover takes in again what was taken in behind the soft head and made no rollup
// block: what waits for one, too. Where a crash came between the soft head's block and
// what is noted of it, what that was made from is taken in again.
func (d *driver) recover() error {
	from, on := d.at.height, record{Number: d.at.soft.Number, Head: d.at.soft.Hash}
	if d.at.soft.Number > 0 && d.at.height >= d.first {
		_, ok, err := d.store.record(d.at.height)
		if err != nil {
			return err
		}
		if !ok {
			if from, on, err = d.store.before(d.at.height); err != nil {
				return err
			}
		}
	}
	d.below = execution.Head{Number: on.Number, Hash: on.Head}
	for d.at.height = from; ; d.at.height++ {
		r, ok, err := d.store.record(d.at.height + 1)
		if err != nil {
			return err
		}
		if !ok || r.Head != on.Head {
			break
		}
		if !r.Waits {
			continue
		}
		b, ok, err := d.store.gathered(d.at.height + 1)
		if err != nil {
			return err
		}
		if !ok { // the chain's data was removed, and what it was gathered for is executed anew
			break
		}
		d.gathered = append(d.gathered, b)
		d.await(b.transactions())
	}
	if err := d.store.keepGathered(d.told()+1, d.at.height); err != nil {
		return fmt.Errorf("clear what was gathered: %w", err)
	}
	return nil
}

// before returns the last sequencer height below one that is noted and waits for no rollup
// block, and what is noted there. What lies between is what was not synced, or waits.
func (s *store) before(height uint64) (last uint64, r record, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: heightKey(keyRecord, height-min(height, maxMissed)), UpperBound: heightKey(keyRecord, height)})
	if err != nil {
		return 0, r, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	last = height - 1
	for ok := it.Last(); ok; ok = it.Prev() {
		if r, err = decodeRecord(it.Value()); err != nil {
			return 0, r, err
		}
		last = binary.BigEndian.Uint64(it.Key()[len(keyRecord):])
		if !r.Waits {
			return last, r, nil
		}
		last-- // the rollup begins with what waits
	}
	return last, r, it.Error()
}

// told returns the last sequencer height that observe was told of, or is about to be.
func (d *driver) told() uint64 {
	if len(d.gathered) > 0 {
		return d.gathered[0].Height - 1
	}
	return d.at.height
}
