package availability

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// Ranges are the runs of the set of heights that were added, as long as they are few.
func TestRangesAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ranges []*availabilityv1.Range
		set := make(map[uint64]bool)
		for range rapid.IntRange(1, 30).Draw(t, "claims") {
			from := rapid.Uint64Range(1, 24).Draw(t, "from") // too few runs to reach the bound
			to := from + rapid.Uint64Range(0, 6).Draw(t, "more")
			ranges = add(ranges, availabilityv1.Range{From: from, To: to})
			if !Covers(ranges, from, to) {
				t.Fatalf("%d-%d is not in %v", from, to, ranges)
			}
			for h := from; h <= to; h++ {
				set[h] = true
			}
			for i, r := range ranges {
				if r.From > r.To || i > 0 && r.From <= ranges[i-1].To+1 {
					t.Fatalf("range %d of %v", i, ranges)
				}
			}
			for h := range uint64(40) {
				if Covers(ranges, h, h) != set[h] {
					t.Fatalf("height %d: %v", h, ranges)
				}
			}
		}
	})
}

// Over the bound the shortest range goes, whatever its place, but for the one that grew.
func TestTheLongRangesStay(t *testing.T) {
	var ranges []*availabilityv1.Range
	ranges = add(ranges, availabilityv1.Range{From: 5000, To: 9000})
	for i := range uint64(3 * MaxRanges) {
		ranges = add(ranges, availabilityv1.Range{From: 2*i + 1, To: 2*i + 1})
		if !Covers(ranges, 2*i+1, 2*i+1) || !Covers(ranges, 5000, 9000) {
			t.Fatalf("after %d: %v", i, ranges)
		}
	}
	ranges = add(ranges, availabilityv1.Range{From: 20_000, To: 20_001})
	for i := range uint64(3 * MaxRanges) {
		ranges = add(ranges, availabilityv1.Range{From: 30_000 + 2*i, To: 30_000 + 2*i})
	}
	if len(ranges) != MaxRanges || !Covers(ranges, 5000, 9000) || !Covers(ranges, 20_000, 20_001) {
		t.Fatalf("%d ranges: %v", len(ranges), ranges)
	}
	if last := uint64(30_000 + 2*(3*MaxRanges-1)); !Covers(ranges, last, last) {
		t.Fatalf("what was added last is not in %v", ranges)
	}
	if !slices.IsSortedFunc(ranges, func(a, b *availabilityv1.Range) int { return cmp.Compare(a.From, b.From) }) {
		t.Fatalf("out of order: %v", ranges)
	}
}

// The longest range that still grows is told of, wherever it is.
func TestToldFirst(t *testing.T) {
	r := func(from, to, moved uint64) *availabilityv1.Range {
		return &availabilityv1.Range{From: from, To: to, Moved: moved}
	}
	for name, tc := range map[string]struct {
		ranges []*availabilityv1.Range
		want   []uint64 // where they begin
	}{
		"none":                      {nil, nil},
		"one":                       {[]*availabilityv1.Range{r(5, 9, 1)}, []uint64{5}},
		"short ones around":         {[]*availabilityv1.Range{r(1, 1, 200), r(5, 90, 150), r(95, 95, 210)}, []uint64{5, 1, 95}},
		"as long":                   {[]*availabilityv1.Range{r(1, 10, 100), r(21, 30, 120)}, []uint64{1, 21}},
		"a gap that may be filled":  {[]*availabilityv1.Range{r(1, 1000, 100), r(1002, 1010, 200)}, []uint64{1, 1002}},
		"a gap that is given up":    {[]*availabilityv1.Range{r(1, 1000, 100), r(1002, 1010, 201)}, []uint64{1002, 1}},
		"nothing grows any more":    {[]*availabilityv1.Range{r(1, 4, 1), r(7, 20, 2)}, []uint64{7, 1}},
		"the lowest is the longest": {[]*availabilityv1.Range{r(1, 90, 100), r(95, 97, 101)}, []uint64{1, 95}},
	} {
		before := slices.Clone(tc.ranges)
		var got []uint64
		for _, x := range toldFirst(tc.ranges, 100) {
			got = append(got, x.From)
		}
		if !slices.Equal(got, tc.want) || !slices.Equal(before, tc.ranges) {
			t.Errorf("%s: %v, want %v; given %v", name, got, tc.want, tc.ranges)
		}
	}
}

// The tally is the same for any order of the ballots, and what it says is what the
// thresholds say; no claim is confirmed by liars of less than a third, or denied by them.
func TestTally(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		validators := rapid.IntRange(1, 12).Draw(t, "validators")
		var ballots []Ballot
		var power uint64
		yes, no := make(map[uint64]uint64), make(map[uint64]uint64)
		for range validators {
			b := Ballot{Power: rapid.Uint64Range(1, 1<<40).Draw(t, "power")}
			power += b.Power
			for n := range uint64(5) {
				switch rapid.IntRange(0, 2).Draw(t, "says") {
				case 0:
					b.Confirmed = append(b.Confirmed, n)
					yes[n] += b.Power
				case 1:
					b.Denied = append(b.Denied, n)
					no[n] += b.Power
				}
			}
			ballots = append(ballots, b)
		}
		got := tally(power, ballots)
		if again := tally(power, rapid.Permutation(ballots).Draw(t, "order")); !slices.Equal(got, again) {
			t.Fatalf("%v, in another order %v", got, again)
		}
		for n := range uint64(5) {
			at := slices.IndexFunc(got, func(v verdict) bool { return v.number == n })
			confirmed, denied := 3*yes[n] > 2*power, 3*no[n] > power
			if (at >= 0) != (confirmed || denied) || at >= 0 && got[at].confirmed != confirmed {
				t.Fatalf("claim %d with %d for and %d against of %d: %v", n, yes[n], no[n], power, got)
			}
		}
	})
}
