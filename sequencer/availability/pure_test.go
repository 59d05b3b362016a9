package availability

import (
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

// Whoever publishes in order is not held up by those that go ahead.
func TestTheLowestRangesStay(t *testing.T) {
	var ranges []*availabilityv1.Range
	for i := range uint64(3 * MaxRanges) {
		ranges = add(ranges, availabilityv1.Range{From: 1000 + 2*i, To: 1000 + 2*i})
	}
	if len(ranges) != MaxRanges || ranges[0].From != 1000 {
		t.Fatalf("%d ranges from %d on", len(ranges), ranges[0].From)
	}
	ranges = add(ranges, availabilityv1.Range{From: 1, To: 10})
	if len(ranges) != MaxRanges || ranges[0].To != 10 {
		t.Fatalf("%d ranges, the first is %v", len(ranges), ranges[0])
	}
	ranges = add(ranges, availabilityv1.Range{From: 11, To: 999})
	if ranges[0].From != 1 || ranges[0].To != 1000 {
		t.Fatalf("the first is %v", ranges[0])
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
