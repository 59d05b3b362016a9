package relayer

import (
	"cmp"
	"context"
	"slices"
	"time"
)

const (
	// nearBlocks is how far apart the next heights of rollups may lie that are read
	// together: those ahead see that many blocks again.
	nearBlocks = 64
	// maxReaders bounds the streams from sequencer nodes.
	maxReaders = 8
	// arrangeEvery is how often readers are arranged anew at most.
	arrangeEvery = 200 * time.Millisecond
)

// reader is one stream of the order for some rollups whose next heights lie near each
// other. A rollup that has no room for more leaves it, so that the others go on.
type reader struct {
	members []*rollup
	cancel  context.CancelFunc
}

// active returns how many members still take its blocks.
func (g *reader) active() int {
	n := 0
	for _, r := range g.members {
		if r.reader == g {
			n++
		}
	}
	return n
}

// arrange gives rollups that have room again a reader, and makes one reader of those
// that have come near each other.
func (c *core) arrange(now time.Time, d *todo) {
	c.readers = slices.DeleteFunc(c.readers, func(g *reader) bool {
		idle := g.active() == 0
		if idle {
			d.stop = append(d.stop, g)
		}
		return idle
	})
	var reading []*rollup
	loose := false
	for _, r := range c.rollups {
		if r.reader == nil && !r.room(c.batch, 2) {
			continue
		}
		reading = append(reading, r)
		loose = loose || r.reader == nil
	}
	if !loose && len(c.readers) < 2 {
		return
	}
	if now.Before(c.arrangeAt) {
		d.at(c.arrangeAt)
		return
	}
	c.arrangeAt = now.Add(arrangeEvery)
	if len(c.readers) > 1 {
		d.at(c.arrangeAt)
	}
	var keep []*reader
	for _, members := range divide(reading) {
		if g := members[0].reader; g != nil && g.active() == len(members) && !slices.ContainsFunc(members, func(r *rollup) bool { return r.reader != g }) {
			keep = append(keep, g)
			continue
		}
		g := &reader{members: members}
		keep = append(keep, g)
		d.start = append(d.start, g)
	}
	for _, g := range c.readers {
		if !slices.Contains(keep, g) {
			d.stop = append(d.stop, g)
		}
	}
	for _, g := range d.start {
		for _, r := range g.members {
			r.reader = g
		}
	}
	c.readers = keep
}

// divide groups rollups that are read together. Those of which nothing was read yet are by
// themselves: they begin with the chain's genesis, and where that is too long ago to be
// trusted, that must not hold up others.
func divide(rollups []*rollup) [][]*rollup {
	var begun, fresh []*rollup
	for _, r := range rollups {
		if r.checkpoint.IsZero() {
			fresh = append(fresh, r)
		} else {
			begun = append(begun, r)
		}
	}
	if len(begun) == 0 || len(fresh) == 0 {
		return near(rollups, maxReaders)
	}
	return append(near(begun, maxReaders-1), fresh)
}

// near groups rollups by their next heights, where the gaps between them are widest.
func near(rollups []*rollup, most int) [][]*rollup {
	if len(rollups) == 0 {
		return nil
	}
	sorted := slices.Clone(rollups)
	slices.SortStableFunc(sorted, func(a, b *rollup) int { return cmp.Compare(a.next, b.next) })
	gap := func(i int) uint64 { return sorted[i].next - sorted[i-1].next } // below rollup i
	var cuts []int
	for i := 1; i < len(sorted); i++ {
		if gap(i) > nearBlocks {
			cuts = append(cuts, i)
		}
	}
	if len(cuts) >= most {
		slices.SortStableFunc(cuts, func(a, b int) int { return cmp.Compare(gap(b), gap(a)) })
		cuts = cuts[:most-1]
		slices.Sort(cuts)
	}
	var out [][]*rollup
	from := 0
	for _, to := range append(cuts, len(sorted)) {
		out = append(out, sorted[from:to:to])
		from = to
	}
	return out
}
