package availability

import (
	"cmp"
	"slices"
)

// Ballot is what one validator says of claims, by their numbers. No number stands twice.
type Ballot struct {
	Power     uint64
	Confirmed []uint64
	Denied    []uint64
}

// verdict is what validators together say of one claim.
type verdict struct {
	number    uint64
	confirmed bool // or denied
}

// tally returns, by number, the claims that more than two thirds of the power confirm, and
// those that more than one third denies. There is no claim of which both is so, whatever
// single validators say, as long as each has its say once.
func tally(power uint64, ballots []Ballot) []verdict {
	type said struct {
		number           uint64
		confirms, denies uint64 // power
	}
	var all []said
	for _, b := range ballots {
		for _, n := range b.Confirmed {
			all = append(all, said{number: n, confirms: b.Power})
		}
		for _, n := range b.Denied {
			all = append(all, said{number: n, denies: b.Power})
		}
	}
	slices.SortFunc(all, func(a, b said) int { return cmp.Compare(a.number, b.number) })
	var out []verdict
	for i := 0; i < len(all); {
		sum := all[i]
		for i++; i < len(all) && all[i].number == sum.number; i++ {
			sum.confirms += all[i].confirms
			sum.denies += all[i].denies
		}
		switch { // CometBFT bounds all power far below an overflow
		case sum.confirms*3 > power*2:
			out = append(out, verdict{sum.number, true})
		case sum.denies*3 > power:
			out = append(out, verdict{sum.number, false})
		}
	}
	return out
}
