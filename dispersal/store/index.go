package store

import (
	"cmp"
	"math"
	"slices"
)

// laneKey names a lane's session.
type laneKey struct {
	owner   string
	session uint64
}

// entry says where a record is. With its place in the map it takes 70 to 120 bytes.
type entry struct {
	tag     uint64
	segment uint32
	offset  uint32
	length  uint32
	digest  digest
	damaged bool // known to be
}

// index finds records. It is guarded by the store's lock.
type index struct {
	lanes    map[laneKey]map[uint64]entry
	segments map[uint32]*segment
}

// find returns the key's record. One whose segment was dropped is not there.
func (x *index) find(k Key) (entry, bool) {
	e, ok := x.lanes[laneKey{string(k.Owner), k.Session}][k.Sequence]
	if ok {
		_, ok = x.segments[e.segment]
	}
	return e, ok
}

// add takes records in the order of writing: the later is the repair of the earlier,
// unless it is itself known to be damaged.
func (x *index) add(g *segment, r *indexed) {
	h := &r.header
	e := entry{tag: h.tag, segment: g.number, offset: r.offset, length: h.length, digest: h.digest, damaged: r.damaged}
	g.tag = max(g.tag, h.tag)
	if old, ok := x.find(h.key); ok && e.damaged && !old.damaged {
		return
	}
	k := laneKey{string(h.key.Owner), h.key.Session}
	if x.lanes[k] == nil {
		x.lanes[k] = make(map[uint64]entry)
	}
	x.lanes[k][h.key.Sequence] = e
}

// sweep forgets the lane's records whose segments were dropped.
func (x *index) sweep(k laneKey) {
	lane := x.lanes[k]
	for sequence, e := range lane {
		if _, ok := x.segments[e.segment]; !ok {
			delete(lane, sequence)
		}
	}
	if len(lane) == 0 {
		delete(x.lanes, k)
	}
}

// contiguous returns the end of the run of undamaged records that starts at from.
func (x *index) contiguous(k laneKey, from uint64) (last uint64, ok bool) {
	lane := x.lanes[k]
	for sequence := from; ; sequence++ {
		e, held := lane[sequence]
		if _, there := x.segments[e.segment]; !held || !there || e.damaged {
			return last, ok
		}
		last, ok = sequence, true
		if sequence == math.MaxUint64 {
			return last, ok
		}
	}
}

// Lane is what the store holds of one session of a lane.
type Lane struct {
	Owner   []byte
	Session uint64
	// First and Last are the lowest and highest sequence held, damaged or not. A
	// sequence up to Last that is not held was pruned, lost, or never put.
	First, Last uint64
	Records     int
}

// Lanes lists the lanes' sessions by owner and session.
func (s *Store) Lanes() []Lane {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Lane
	for k, lane := range s.index.lanes {
		l := Lane{Owner: []byte(k.owner), Session: k.session, First: math.MaxUint64}
		for sequence, e := range lane {
			if _, ok := s.index.segments[e.segment]; !ok {
				continue
			}
			l.First, l.Last, l.Records = min(l.First, sequence), max(l.Last, sequence), l.Records+1
		}
		if l.Records > 0 {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Lane) int {
		return cmp.Or(slices.Compare(a.Owner, b.Owner), cmp.Compare(a.Session, b.Session))
	})
	return out
}

// Contiguous returns the last sequence of the unbroken run of records of the lane
// that starts at from, and false where from itself is not held. A record known to be
// damaged ends the run until it is put again or repaired. A validator that restarts
// calls it with the first sequence that the chain has not ordered.
func (s *Store) Contiguous(owner []byte, session, from uint64) (last uint64, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.index.contiguous(laneKey{string(owner), session}, from)
}
