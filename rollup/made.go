package rollup

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/order"
)

// maxReasons bounds the bytes of reasons that are kept of one block: who orders garbage
// pays for its order, not for a place in every node's memory.
const maxReasons = 64 << 10

// made is what a rollup block was made from.
type made struct {
	Hash     execution.Hash
	Time     time.Time
	From, To uint64 // sequencer heights
	Heights  []uint64
	Bundles  []order.BundleID
	Skipped  []skip // the first of them
}

// skip is a transaction that was left out.
type skip struct {
	Height uint64
	Index  int // in its block of the order
	Reason string
}

// place is where a transaction was executed.
type place struct {
	Block, Index, Height uint64
}

const placeLen = 3 * 8

func newMade(o outcome) made {
	m := made{Hash: o.Head.Hash, Time: o.Head.Time, From: o.Blocks[0].Height, To: o.Blocks[len(o.Blocks)-1].Height}
	skipped, offset, room := o.Result.Skipped, 0, maxReasons
	for i := range o.Blocks {
		b := &o.Blocks[i]
		n := 0
		for j, l := range b.Legs {
			n += len(l.Txs)
			if id := order.BundleID(l.Bundle); j == 0 || id != order.BundleID(b.Legs[j-1].Bundle) {
				m.Bundles = append(m.Bundles, id)
			}
		}
		if len(b.Legs) > 0 {
			m.Heights = append(m.Heights, b.Height)
		}
		for ; len(skipped) > 0 && skipped[0].Index < offset+n; skipped = skipped[1:] {
			if room -= len(skipped[0].Reason) + 16; room >= 0 {
				m.Skipped = append(m.Skipped, skip{b.Height, skipped[0].Index - offset, skipped[0].Reason})
			}
		}
		offset += n
	}
	return m
}

// putOutcome notes the last block of the order that was told of, and what the rollup
// block was made from, if one was. It is on disk on return where nobody could tell it
// again: where the node keeps an index, and where verdicts of a domain may be part of it,
// which the domain knows of its last block alone.
func (s *store) putOutcome(r record, o outcome, hash func([]byte) [32]byte) (err error) {
	batch := s.db.NewBatch()
	defer func() { err = errors.Join(err, batch.Close()) }()
	last := o.Blocks[len(o.Blocks)-1].Height
	if err := batch.Set(heightKey(keyRecord, last), r.encode(), nil); err != nil {
		return err
	}
	if s.neverFirm {
		if err := s.prune(batch, o.Blocks[0].Height-1, last); err != nil {
			return fmt.Errorf("remove what is old: %w", err)
		}
	}
	if !o.Executed {
		return batch.Commit(pebble.NoSync)
	}
	if len(o.Blocks) > 1 {
		if err := batch.DeleteRange(heightKey(keyGathered, 0), heightKey(keyGathered, last), nil); err != nil {
			return err
		}
	}
	if err := setMade(batch, o.Head.Number, newMade(o)); err != nil {
		return err
	}
	sync := pebble.NoSync
	for i := range o.Blocks {
		height := binary.BigEndian.AppendUint64(nil, o.Blocks[i].Height)
		for _, l := range o.Blocks[i].Legs {
			if len(l.Rollups) > 1 {
				sync = pebble.Sync
			}
			if err := batch.Set(append([]byte(keyBundle), l.Bundle[:]...), height, nil); err != nil {
				return err
			}
		}
	}
	if hash == nil {
		return batch.Commit(sync)
	}
	if err := s.setPlaces(batch, o, hash); err != nil {
		return err
	}
	return batch.Commit(pebble.Sync)
}

func setMade(batch *pebble.Batch, number uint64, m made) error {
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(m); err != nil {
		return fmt.Errorf("encode what block %d was made from: %w", number, err)
	}
	return batch.Set(heightKey(keyMade, number), buf.Bytes(), nil)
}

// made returns what a rollup block was made from.
func (s *store) made(number uint64) (m made, ok bool, err error) {
	raw, ok, err := s.get(heightKey(keyMade, number))
	if !ok || err != nil {
		return m, false, err
	}
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&m); err != nil {
		return m, false, fmt.Errorf("decode what block %d was made from: %w", number, err)
	}
	return m, true, nil
}

// bundleHeight returns the sequencer height that ordered the bundle.
func (s *store) bundleHeight(id order.BundleID) (uint64, bool, error) {
	raw, ok, err := s.get(append([]byte(keyBundle), id[:]...))
	if !ok || err != nil || len(raw) != 8 {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(raw), true, nil
}

// pruneMade removes what is known of rollup blocks made below a sequencer height.
func (s *store) pruneMade(batch *pebble.Batch, height uint64) (err error) {
	r, ok, err := s.record(height)
	if !ok || err != nil {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: heightKey(keyMade, 0), UpperBound: heightKey(keyMade, r.Number)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		var m made
		if err := gob.NewDecoder(bytes.NewReader(it.Value())).Decode(&m); err != nil {
			return fmt.Errorf("decode what a block was made from: %w", err)
		}
		for _, id := range m.Bundles {
			if err := batch.Delete(append([]byte(keyBundle), id[:]...), nil); err != nil {
				return err
			}
		}
	}
	return batch.DeleteRange(heightKey(keyMade, 0), heightKey(keyMade, r.Number), nil)
}

// setPlaces notes where transactions were executed: of those that are the same, the first.
func (s *store) setPlaces(batch *pebble.Batch, o outcome, hash func([]byte) [32]byte) error {
	skipped := make(map[int]bool, len(o.Result.Skipped))
	for _, s := range o.Result.Skipped {
		skipped[s.Index] = true
	}
	offset, p := 0, place{Block: o.Head.Number}
	seen := make(map[[32]byte]bool)
	set := func(id [32]byte) error {
		seen[id] = true
		if known, ok, err := s.place(id); err != nil || ok && known.Height <= p.Height {
			return err
		}
		return batch.Set(append([]byte(keyPlace), id[:]...), p.encode(), nil)
	}
	for i := range o.Blocks {
		p.Height = o.Blocks[i].Height
		for _, tx := range o.Blocks[i].transactions() {
			if !skipped[offset] {
				if id := hash(tx); !seen[id] {
					if err := set(id); err != nil {
						return err
					}
				}
				p.Index++
			}
			offset++
		}
	}
	return nil
}

func (p place) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, placeLen), p.Block)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, p.Index), p.Height)
}

// place returns where a transaction was executed.
func (s *store) place(hash [32]byte) (p place, ok bool, err error) {
	raw, ok, err := s.get(append([]byte(keyPlace), hash[:]...))
	if !ok || err != nil {
		return p, false, err
	}
	if len(raw) != placeLen {
		return p, false, fmt.Errorf("place of %d bytes, want %d", len(raw), placeLen)
	}
	return place{binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:]), binary.BigEndian.Uint64(raw[16:])}, true, nil
}
