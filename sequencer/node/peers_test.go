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
		linked := links(t, NetworkOptions{Validators: n})
		most := n - 1
		if n > maxMesh {
			most = (n-1)/3 + 2
		}
		for i := range linked {
			require.LessOrEqual(t, len(linked[i]), most, "%d validators", n)
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

// Of validators with little at stake more than a third may fail.
func TestPeersWhereStakesDiffer(t *testing.T) {
	t.Parallel()
	o := NetworkOptions{Validators: 12, Stakes: []uint64{27, 1, 1, 1, 27, 1, 1, 1, 27, 1, 1, 1}}
	failed := []int{1, 2, 3, 5, 6, 7, 9, 10, 11}
	require.Equal(t, 3, reached(links(t, o), failed), "nine tenths of the stake")
	for i := range o.Stakes {
		o.Stakes[i] = 7
	}
	require.Equal(t, links(t, NetworkOptions{Validators: 12}), links(t, o), "the same stakes, said or not")
}

// links tells who is connected to whom. Each dials the other, for one that is back may be at
// another address.
func links(t *testing.T, o NetworkOptions) []map[int]bool {
	t.Helper()
	linked := make([]map[int]bool, o.Validators)
	for i := range linked {
		linked[i] = make(map[int]bool)
		for _, j := range o.peersOf(i) {
			require.NotEqual(t, i, j, "%d validators", o.Validators)
			linked[i][j] = true
		}
	}
	for i := range linked {
		for j := range linked[i] {
			require.True(t, linked[j][i], "of %d, %d connects to %d", o.Validators, i, j)
		}
	}
	return linked
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
