package api

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/order"
)

// Keys of the index that tell which rollups blocks were for, by runs of presenceRun blocks:
//
//	r run rollup -> first height in the run; and last one, where it is known
//	R run        ->       there were more rollups than are noted
//
// A run is the number of its first block, 8 bytes.
const (
	keyPresence byte = 'r'
	keyCrowded  byte = 'R'
)

const (
	// presenceRun is how many blocks are told of together.
	presenceRun = 1024
	// maxPresent bounds the rollups that are noted of a run: anybody may name any.
	maxPresent = 1 << 14
)

// Presence tells which rollups the blocks of a run were for.
type Presence struct {
	First, Last uint64 // heights of the run
	// Crowded: there were others, too many to note.
	Crowded bool
	Rollups []RollupPresence // by ID
}

// RollupPresence is where a rollup's legs are in a run: in no block before or after.
type RollupPresence struct {
	Rollup      order.RollupID
	First, Last uint64
}

// present is the run that is being written. What a restart forgets of it is the
// last heights.
type present struct {
	run     uint64
	rollups map[order.RollupID]*RollupPresence
	crowded bool
}

func runOf(height uint64) uint64 { return height - height%presenceRun }

func presenceKey(run uint64, id order.RollupID) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{keyPresence}, run), id[:]...)
}

func crowdedKey(run uint64) []byte { return binary.BigEndian.AppendUint64([]byte{keyCrowded}, run) }

// addPresence notes whom the block was for.
func (x *index) addPresence(batch *pebble.Batch, s *served) error {
	if run := runOf(s.height); x.present.rollups == nil || x.present.run != run {
		for id, p := range x.present.rollups {
			if p.Last > 0 {
				v := binary.BigEndian.AppendUint64(nil, p.First)
				_ = batch.Set(presenceKey(x.present.run, id), binary.BigEndian.AppendUint64(v, p.Last), nil) // batches in memory do not fail
			}
		}
		if err := x.openRun(run); err != nil {
			return err
		}
	}
	for _, b := range s.order.Bundles {
		for i := range b.Summary.Legs {
			id := b.Summary.Legs[i].RollupID
			switch p := x.present.rollups[id]; {
			case p == nil && len(x.present.rollups) == maxPresent:
				if !x.present.crowded {
					x.present.crowded = true
					_ = batch.Set(crowdedKey(x.present.run), nil, nil)
				}
			case p == nil:
				x.present.rollups[id] = &RollupPresence{Rollup: id, First: s.height, Last: s.height}
				_ = batch.Set(presenceKey(x.present.run, id), binary.BigEndian.AppendUint64(nil, s.height), nil)
			case p.Last > 0: // or it was noted before a restart: nobody knows the last one
				p.Last = s.height
			}
		}
	}
	return nil
}

// openRun begins a run, or goes on with one after a restart.
func (x *index) openRun(run uint64) error {
	x.present = present{run: run, rollups: make(map[order.RollupID]*RollupPresence)}
	return x.eachPresence(run, run+presenceRun, func(_ uint64, p *RollupPresence) bool {
		if p == nil {
			x.present.crowded = true
			return true
		}
		p.Last = 0
		x.present.rollups[p.Rollup] = p
		return true
	})
}

// eachPresence calls yield for what is noted of the runs from..before, until it returns
// false: with nil for a run that is crowded, first all of those.
func (x *index) eachPresence(from, before uint64, yield func(run uint64, p *RollupPresence) bool) error {
	for _, prefix := range []byte{keyCrowded, keyPresence} {
		it, err := x.db.NewIter(&pebble.IterOptions{
			LowerBound: binary.BigEndian.AppendUint64([]byte{prefix}, from), UpperBound: binary.BigEndian.AppendUint64([]byte{prefix}, before),
		})
		if err != nil {
			return fmt.Errorf("read bundle index: %w", err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			key, value := it.Key(), it.Value()
			run := binary.BigEndian.Uint64(key[1:])
			var p *RollupPresence
			if prefix == keyPresence {
				if len(key) != 1+8+len(p.Rollup) || len(value) != 8 && len(value) != 16 {
					return errors.Join(fmt.Errorf("bundle index holds %x for %x, want one or two heights", value, key), it.Close())
				}
				p = &RollupPresence{Rollup: order.RollupID(key[9:]), First: binary.BigEndian.Uint64(value), Last: run + presenceRun - 1}
				if len(value) == 16 {
					p.Last = binary.BigEndian.Uint64(value[8:])
				}
			}
			if !yield(run, p) {
				break
			}
		}
		if err := it.Close(); err != nil {
			return fmt.Errorf("read bundle index: %w", err)
		}
	}
	return nil
}

// NextPresence returns the first run after the height that is over and had anything for
// anybody. Where there is none, it returns a run without rollups that ends before
// what is not over.
func (s *Server) NextPresence(after uint64) (Presence, error) {
	x := s.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	indexed, err := x.height()
	if err != nil {
		return Presence{}, err
	}
	over := runOf(indexed + 1)
	none := Presence{First: after + 1, Last: max(over, 1) - 1}
	from := runOf(after + presenceRun) // the first run that begins after it
	if after == 0 {
		from = 0
	}
	if from >= over {
		return none, nil
	}
	first := over
	err = x.eachPresence(from, over, func(run uint64, _ *RollupPresence) bool {
		first = min(first, run)
		return false
	})
	if err != nil {
		return Presence{}, err
	}
	if first == over {
		return none, nil
	}
	out := Presence{First: max(first, 1), Last: first + presenceRun - 1}
	err = x.eachPresence(first, first+1, func(_ uint64, p *RollupPresence) bool {
		if p == nil {
			out.Crowded = true
		} else {
			out.Rollups = append(out.Rollups, *p)
		}
		return true
	})
	return out, err
}

// ForgetPresence forgets the runs that end at the height or before.
func (s *Server) ForgetPresence(upTo uint64) error {
	x := s.index
	x.mu.Lock()
	defer x.mu.Unlock()
	batch := x.db.NewBatch()
	defer func() { _ = batch.Close() }()
	prunePresence(batch, upTo)
	return batch.Commit(pebble.NoSync)
}

// prunePresence forgets the runs that end at the height or before.
func prunePresence(batch *pebble.Batch, upTo uint64) {
	end := runOf(upTo + 1)
	for _, prefix := range []byte{keyPresence, keyCrowded} {
		_ = batch.DeleteRange([]byte{prefix}, binary.BigEndian.AppendUint64([]byte{prefix}, end), nil)
	}
}
