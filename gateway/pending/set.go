package pending

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
)

// Bounds on what is held. A chain that orders several times a second keeps a
// rollup far below them.
const (
	maxBundles      = 1 << 13
	maxTransactions = 1 << 15
	maxBytes        = 16 << 20
	// maxWait is after how many heights a bundle that was not ordered is given up: an
	// honest chain orders a certificate within a few.
	maxWait = 100
	// maxSettled bounds the IDs remembered of bundles that were ordered: each of two
	// halves.
	maxSettled = 1 << 14
	// maxLanes bounds the lanes remembered.
	maxLanes = 4 * order.MaxMembers
)

// place is where a bundle will stand in the order. Places compare as the chain
// orders.
type place struct {
	time uint64 // order time, raised as the chain does
	order.Position
	index uint64 // in the batch
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.time, q.time), p.Compare(q.Position), cmp.Compare(p.index, q.index))
}

// entry is a bundle that is certified, as somebody said, and not ordered.
type entry struct {
	place
	id     order.BundleID
	batch  order.BatchID
	txs    [][]byte
	legs   []execution.Leg // that the transactions come in
	size   int
	source int       // who said so
	seen   uint64    // sequencer height at which it came
	heard  time.Time // and when; zero once it was tried out
	fates  []fate    // of the transactions

	trying bool                // right now
	gone   bool                // settled meanwhile,
	final  []execution.Outcome // with this
}

// gatheredEntries returns the bundles of a gathered block, in order.
func gatheredEntries(b Gathered) (entries []*entry) {
	for _, l := range b.Legs {
		id := order.BundleID(l.Bundle)
		last := len(entries) - 1
		if last < 0 || entries[last].id != id {
			entries = append(entries, &entry{id: id, batch: l.Batch})
			last++
		}
		e := entries[last] // or another leg of it
		e.txs, e.legs = append(e.txs, l.Transactions...), append(e.legs, l.Leg)
		e.fates = make([]fate, len(e.txs))
	}
	return entries
}

// same reports whether what was said of a bundle is what was ordered.
func (e *entry) same(ordered *entry) bool {
	return len(e.legs) == len(ordered.legs) && len(e.legs[0].Rollups) == len(ordered.legs[0].Rollups) && slices.EqualFunc(e.txs, ordered.txs, bytes.Equal)
}

// fate is what was shown of a transaction.
type fate struct {
	shown execution.Outcome // when it was first executed; zero for never
	mixed bool              // shown otherwise since
}

// show notes what a trial made of the transaction.
func (f *fate) show(o execution.Outcome) {
	if f.shown == (execution.Outcome{}) {
		f.shown = o
	} else if o != f.shown {
		f.mixed = true
	}
}

// lane is what is known of one lane.
type lane struct {
	last    order.Mark // of the last batch taken in
	time    uint64     // its order time
	decided order.Mark // what stands at or before it was ordered or dropped
}

// set holds entries in the order to come. It is not safe for concurrent use.
type set struct {
	entries []*entry // by place
	byID    map[order.BundleID]*entry
	lanes   map[order.Owner]*lane
	txs     int
	bytes   int

	// What was ordered may be said to be certified later: the node that executes may be ahead.
	settled, settledBefore map[order.BundleID]struct{}
}

func newSet() *set {
	return &set{
		byID: make(map[order.BundleID]*entry), lanes: make(map[order.Owner]*lane), settled: make(map[order.BundleID]struct{}),
	}
}

// lane returns what is known of the owner's lane. Who makes up owners loses what
// is known of the true ones, which costs the right place of a few bundles.
func (s *set) lane(owner order.Owner) *lane {
	l := s.lanes[owner]
	if l == nil {
		if len(s.lanes) >= maxLanes {
			clear(s.lanes)
		}
		l = new(lane)
		s.lanes[owner] = l
	}
	return l
}

// add takes in a batch at a sequencer height and returns how many bundles were
// taken, and how many there was no room for.
func (s *set) add(b gateway.Certified, source int, height uint64, now time.Time) (taken, refused int) {
	l := s.lane(b.Position.Owner)
	if b.Position.Mark.Compare(l.decided) <= 0 {
		return 0, 0
	}
	at := b.OrderTime
	if b.Position.Mark.Compare(l.last) > 0 {
		at = max(at, l.time)
		l.last, l.time = b.Position.Mark, at
	}
	for _, x := range b.Bundles {
		if s.knows(x.ID) {
			continue
		}
		e := &entry{
			place: place{at, b.Position, x.Index}, id: x.ID, batch: b.Batch, txs: x.Transactions,
			source: source, seen: height, heard: now, fates: make([]fate, len(x.Transactions)),
			// Which rollups its legs are for is not said, nor where one leg ends.
			legs: []execution.Leg{{Height: height + 1, Bundle: execution.Hash(x.ID), Rollups: make([]execution.Hash, max(x.Legs, 1)), Transactions: len(x.Transactions)}},
		}
		for _, tx := range x.Transactions {
			e.size += len(tx)
		}
		if len(s.entries) >= maxBundles || s.txs+len(e.txs) > maxTransactions || s.bytes+e.size > maxBytes {
			refused++
			continue
		}
		i, _ := slices.BinarySearchFunc(s.entries, e.place, func(e *entry, p place) int { return e.compare(p) })
		s.entries = slices.Insert(s.entries, i, e)
		s.byID[e.id] = e
		s.txs, s.bytes = s.txs+len(e.txs), s.bytes+e.size
		taken++
	}
	return taken, refused
}

func (s *set) knows(id order.BundleID) bool {
	_, now := s.settled[id]
	_, before := s.settledBefore[id]
	return now || before || s.byID[id] != nil
}

// order takes in that bundles were ordered, all those of one height with a leg for
// the rollup, and returns the entries for them; and the entries that will not be
// ordered any more: the chain has passed them in their lane, and so dropped them.
func (s *set) order(bundles []OrderedBundle) (ordered map[order.BundleID]*entry, passed []*entry) {
	ordered = make(map[order.BundleID]*entry)
	for _, b := range bundles {
		id := b.ID
		if len(s.settled) >= maxSettled {
			s.settled, s.settledBefore = make(map[order.BundleID]struct{}), s.settled
		}
		s.settled[id] = struct{}{}
		if e := s.byID[id]; e != nil {
			ordered[id] = e
			// A bundle may stand in several lanes, and count in another one.
			if l := s.lane(e.Owner); e.batch == b.Batch && e.Mark.Compare(l.decided) > 0 {
				l.decided = e.Mark
			}
		}
	}
	if len(ordered) == 0 {
		return ordered, nil
	}
	passed = s.remove(func(e *entry) bool {
		return ordered[e.id] != nil || e.Mark.Compare(s.lane(e.Owner).decided) <= 0
	})
	return ordered, slices.DeleteFunc(passed, func(e *entry) bool { return ordered[e.id] != nil })
}

// expire returns the entries that waited for too long.
func (s *set) expire(height uint64) []*entry {
	return s.remove(func(e *entry) bool { return e.seen+maxWait < height })
}

func (s *set) remove(is func(*entry) bool) (removed []*entry) {
	s.entries = slices.DeleteFunc(s.entries, func(e *entry) bool {
		if !is(e) {
			return false
		}
		removed = append(removed, e)
		delete(s.byID, e.id)
		s.txs, s.bytes = s.txs-len(e.txs), s.bytes-e.size
		return true
	})
	return removed
}
