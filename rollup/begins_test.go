package rollup

import (
	"testing"

	"github.com/ordo-network/ordo/execution/astria"
)

// A node is started in the first session of its service, or in one behind a fork.
func TestBegins(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		number, height uint64
		want           bool
	}{
		{1, 7, true}, {1, 6, false}, {1, 8, false},
		{5, 11, true}, {5, 8, true}, {5, 7, false}, {5, 3, false},
	} {
		if got := begins(astria.Parameters{StartNumber: test.number, StartHeight: test.height}, 7); got != test.want {
			t.Errorf("block %d of height %d, rollup from height 7: %v", test.number, test.height, got)
		}
	}
}
