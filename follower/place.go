package follower

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

const (
	// maxAwaited bounds the DA heights of a layer that are remembered because they hold blobs
	// above the next height.
	maxAwaited = 256
	// maxSets bounds the sets of a layer of which some parts have come.
	maxSets = 64
	// staleHeights is for how many DA heights a set without news stands before others: more
	// than pass while a relayer is away with half of a blob posted.
	staleHeights = 1 << 16
)

// place is where a reader stands on a layer, and where it must look again. To remember
// where a blob stands, not the blob, costs nothing to keep and survives a restart with the
// cursor. Its slices are replaced, never changed: cursors have them too.
type place struct {
	layer   string
	read    uint64 // the last height that was read whole
	awaited []awaited
	sets    []partSet
}

// awaited are DA heights that hold a blob whose first block was not yet next when
// they were read. They are read again when it is: relayers may land blobs out of
// order.
type awaited struct {
	first    uint64 // lowest sequencer height above the next that a blob there claims
	from, to uint64 // DA heights
}

// await notes that the DA height holds a blob from the sequencer height on. Beyond
// the bound the two that are farthest off become one that covers both.
func await(list []awaited, first, daHeight uint64) []awaited {
	for i, a := range list {
		if a.from == daHeight && a.to == daHeight {
			if first < a.first {
				list = slices.Clone(list)
				list[i].first = first
			}
			return list
		}
	}
	list = append(slices.Clone(list), awaited{first: first, from: daHeight, to: daHeight})
	if len(list) <= maxAwaited {
		return list
	}
	slices.SortFunc(list, func(a, b awaited) int { return cmp.Compare(a.first, b.first) })
	a, b := list[len(list)-2], list[len(list)-1]
	list[len(list)-2] = awaited{first: a.first, from: min(a.from, b.from), to: max(a.to, b.to)}
	return list[:len(list)-1]
}

// partSet is where the parts of a blob stand that have come so far, at several DA heights.
type partSet struct {
	partHeader // with any index
	at         []partAt
}

type partAt struct {
	index  uint16
	height uint64 // of the DA layer
}

func (s partSet) complete() bool { return len(s.at) == int(s.parts) }

// bytes is what whoever made the set up has paid for.
func (s partSet) bytes() int { return len(s.at) * s.size() }

// newest is the DA height of the part that came last.
func (s partSet) newest() (h uint64) {
	for _, p := range s.at {
		h = max(h, p.height)
	}
	return h
}

// heights are those that parts stand at, rising.
func (s partSet) heights() []uint64 {
	var out []uint64
	for _, p := range s.at {
		out = append(out, p.height)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// addPart notes that a part stands at a DA height. Beyond the bound a set makes way: one
// that is passed by the next block, or has had no part for long, and otherwise the one that
// cost least to make up. Among equals it is the older: who fills the table with sets that
// they never finish must do so again and again.
func addPart(sets []partSet, p partHeader, daHeight, next uint64) []partSet {
	sets = slices.Clone(sets)
	set := p.set()
	for i := range sets {
		if sets[i].set() != set {
			continue
		}
		if !slices.ContainsFunc(sets[i].at, func(a partAt) bool { return a.index == p.index }) {
			sets[i].at = append(slices.Clone(sets[i].at), partAt{p.index, daHeight})
		}
		return sets
	}
	sets = append(sets, partSet{p, []partAt{{p.index, daHeight}}})
	if len(sets) <= maxSets {
		return sets
	}
	worth := func(s partSet) int {
		switch {
		case s.last() < next:
			return -2
		case s.newest()+staleHeights < daHeight:
			return -1
		}
		return s.bytes()
	}
	least := 0
	for i := range sets {
		if worth(sets[i]) < worth(sets[least]) {
			least = i
		}
	}
	return slices.Delete(sets, least, least+1)
}

func dropSet(sets []partSet, set [sha256.Size]byte) []partSet {
	return slices.DeleteFunc(slices.Clone(sets), func(s partSet) bool { return s.set() == set })
}

func (p place) append(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(p.layer)))
	out = append(out, p.layer...)
	out = binary.AppendUvarint(out, p.read)
	out = binary.AppendUvarint(out, uint64(len(p.awaited)))
	for _, a := range p.awaited {
		for _, n := range []uint64{a.first, a.from, a.to} {
			out = binary.AppendUvarint(out, n)
		}
	}
	out = binary.AppendUvarint(out, uint64(len(p.sets)))
	for _, s := range p.sets {
		out = s.append(out)
		out = binary.AppendUvarint(out, uint64(len(s.at)))
		for _, a := range s.at {
			out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(a.index)), a.height)
		}
	}
	return out
}

func decodePlace(in *fields) place {
	var p place
	p.layer = string(in.bytes(in.count(maxLayerName)))
	p.read = in.number()
	for range in.count(maxAwaited) {
		p.awaited = append(p.awaited, awaited{first: in.number(), from: in.number(), to: in.number()})
	}
	for range in.count(maxSets) {
		header, err := parsePartHeader(in.bytes(partHeaderSize), DefaultBlobLimits)
		in.bad = in.bad || err != nil
		s := partSet{partHeader: header}
		for range in.count(MaxParts) {
			a := partAt{index: uint16(in.number()), height: in.number()}
			in.bad = in.bad || a.index >= s.parts
			s.at = append(s.at, a)
		}
		p.sets = append(p.sets, s)
	}
	return p
}
