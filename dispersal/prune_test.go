package dispersal

import (
	"testing"

	"github.com/ordo-network/ordo/dispersal/lane"
)

// What is old goes once it is posted, and no sooner.
func TestPruningWaitsUntilPosted(t *testing.T) {
	t.Parallel()
	posted := uint64(0)
	var asked []uint64
	p := pruner{node: &Node{opts: Options{RetainBlocks: 64, Posted: func(height uint64) uint64 {
		asked = append(asked, height)
		return posted
	}}}}
	for _, s := range []struct {
		height, epoch, posted, want uint64
	}{
		{10, 1, 500, 0},
		{100, 2, 500, 0},
		{150, 3, 500, 0},
		{200, 4, 0, 1}, // nothing is of height 0
		{201, 4, 5, 6},
		{202, 4, 500, 10}, // where epoch 2 began: later ones may still matter
		{300, 9, 0, 1},
		{301, 9, 80, 81},
		{302, 9, 500, 150},
	} {
		posted = s.posted
		got := p.due(&lane.View{Height: s.height, Epoch: s.epoch})
		if got != s.want {
			t.Errorf("at height %d of epoch %d, posted up to %d: %d, want %d", s.height, s.epoch, s.posted, got, s.want)
		}
	}
	if len(asked) != 9 {
		t.Errorf("asked at %v, want at each view", asked)
	}
}
