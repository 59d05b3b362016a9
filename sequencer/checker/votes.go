package checker

import (
	"slices"

	"github.com/ordo-network/ordo/order"
)

// slot is how many numbers in a row have their turn together where there are more
// claims to speak of than one vote can hold.
const slot = 128

// Votes returns what this node says of claims in its vote for the block of that height:
// the numbers of those that are true and of those that are false, ascending, at most
// order.MaxVotes together. It says so again until a claim is settled, since only what
// more than two thirds, or one third, say at the same height counts.
//
// Where there are too many, runs of numbers take turns by the height. Validators that do
// not agree on how many there are take turns that overlap all the same: with twice as
// many, each turn is one half of a turn before.
func (c *Checker) Votes(height uint64) (yes, no []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	numbers := make([]uint64, 0, len(c.known))
	for number, s := range c.known {
		if s.result == confirmed || s.result == denied {
			numbers = append(numbers, number)
		}
	}
	for turns := uint64(2); len(numbers) > order.MaxVotes; turns *= 2 {
		numbers = slices.DeleteFunc(numbers, func(n uint64) bool { return n/slot%turns != height%turns })
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		if c.known[n].result == confirmed {
			yes = append(yes, n)
		} else {
			no = append(no, n)
		}
	}
	return yes, no
}
