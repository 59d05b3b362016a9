package node

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whichever third of a network's validators fails, the others can still reach each other.
func TestPeersSurviveAThird(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 100; n++ {
		linked := make([]map[int]bool, n)
		for i := range linked {
			linked[i] = make(map[int]bool)
		}
		for i := range n {
			for _, j := range peersOf(i, n) {
				require.NotEqual(t, i, j, "%d validators", n)
				linked[i][j], linked[j][i] = true, true
			}
		}
		for try := range 20 {
			failed := rng.Perm(n)[:(n-1)/3]
			if try == 0 { // neighbours, as far as there are
				for i := range failed {
					failed[i] = i
				}
				for side := range len(failed) / 2 { // both sides of one validator
					failed[side] = n - 2 - side
				}
			}
			require.Equal(t, n-len(failed), reached(linked, failed), "of %d without %v", n, failed)
		}
	}
}

// reached counts those that one of them reaches without the failed ones.
func reached(linked []map[int]bool, failed []int) int {
	seen := make(map[int]bool)
	for _, i := range failed {
		seen[i] = true
	}
	start := 0
	for seen[start] {
		start++
	}
	count, next := 0, []int{start}
	seen[start] = true
	for len(next) > 0 {
		i := next[0]
		next = next[1:]
		count++
		for j := range linked[i] {
			if !seen[j] {
				seen[j] = true
				next = append(next, j)
			}
		}
	}
	return count
}
