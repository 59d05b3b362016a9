package availability

import (
	"cmp"
	"slices"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// add returns the ranges with one more. Those that overlap or touch become one, which has
// the layer and the height of the one added. Beyond the bound the shortest other one is
// forgotten, of several the lowest: short ones, which are easily confirmed, never displace
// what a rollup's relayer has published, nor what was just confirmed.
// The list given is not changed.
func add(ranges []*availabilityv1.Range, r availabilityv1.Range) []*availabilityv1.Range {
	out := make([]*availabilityv1.Range, 0, len(ranges)+1)
	for _, have := range ranges {
		// No height is the greatest number: both are of blocks that were made.
		if have.From <= r.To+1 && r.From <= have.To+1 {
			r.From, r.To = min(r.From, have.From), max(r.To, have.To)
			continue
		}
		out = append(out, have)
	}
	for len(out) >= MaxRanges {
		shortest := slices.MinFunc(out, byLength)
		out = slices.DeleteFunc(out, func(have *availabilityv1.Range) bool { return have == shortest })
	}
	i, _ := slices.BinarySearchFunc(out, r.From, func(have *availabilityv1.Range, from uint64) int { return cmp.Compare(have.From, from) })
	return slices.Insert(out, i, &r)
}

func byLength(a, b *availabilityv1.Range) int { return cmp.Compare(a.To-a.From, b.To-b.From) }

// toldFirst returns the ranges with the one to tell of first. That is the longest, of
// several the lowest, of those that have grown within so many blocks of the last that has:
// nobody hides a rollup by having a few blocks far above or below confirmed, and a block
// that nobody publishes does not hide for ever all that come after it.
func toldFirst(ranges []*availabilityv1.Range, within uint64) []*availabilityv1.Range {
	var moved uint64
	for _, r := range ranges {
		moved = max(moved, r.Moved)
	}
	told := -1
	for i, r := range ranges {
		if r.Moved+within >= moved && (told < 0 || byLength(r, ranges[told]) > 0) {
			told = i
		}
	}
	if told <= 0 {
		return ranges
	}
	out := append([]*availabilityv1.Range{ranges[told]}, ranges[:told]...)
	return append(out, ranges[told+1:]...)
}

// Covers reports whether one of the ranges has all blocks from..to.
func Covers(ranges []*availabilityv1.Range, from, to uint64) bool {
	return slices.ContainsFunc(ranges, func(r *availabilityv1.Range) bool { return r.From <= from && to <= r.To })
}
