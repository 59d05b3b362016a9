package availability

import (
	"cmp"
	"slices"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// add returns the ranges with one more. Those that overlap or touch become one, which has
// the layer and the height of the one added. Beyond the bound the highest is forgotten:
// a relayer that publishes in order is never held up by others that go ahead of it.
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
	i, _ := slices.BinarySearchFunc(out, r.From, func(have *availabilityv1.Range, from uint64) int { return cmp.Compare(have.From, from) })
	out = slices.Insert(out, i, &r)
	return out[:min(len(out), MaxRanges)]
}

// giveUp returns the ranges from the first on that may still grow together with those
// above it: one that has not grown for so many blocks is forgotten where there is a
// higher one. Otherwise a block that nobody publishes would hide all that come after it.
func giveUp(ranges []*availabilityv1.Range, height, after uint64) []*availabilityv1.Range {
	for len(ranges) > 1 && ranges[0].Moved+after < height {
		ranges = ranges[1:]
	}
	return ranges
}

// Covers reports whether one of the ranges has all blocks from..to.
func Covers(ranges []*availabilityv1.Range, from, to uint64) bool {
	return slices.ContainsFunc(ranges, func(r *availabilityv1.Range) bool { return r.From <= from && to <= r.To })
}
