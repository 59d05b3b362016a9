package ordering

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
)

func evaluation(height uint64, until uint64, records ...Record) *Evaluation {
	return &Evaluation{
		Block:   order.NewBlock(height, nil, 0, order.Times{}),
		Carried: Carried{Height: height, Until: until, Records: records},
	}
}

func id(n int) (id order.BundleID) {
	copy(id[:], fmt.Append(nil, n))
	return id
}

// The window that follows commits is the one that a restart reads from the store,
// and it knows a bundle for exactly as long as a block could order it.
func TestWindowFollowsStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newNetwork(t, 1, 1)
		w := NewWindow()
		require.NoError(rt, n.keeper.LoadWindow(n.ctx, 0, w))
		type carried struct {
			fate  Fate
			until uint64
		}
		all := map[order.BundleID]carried{}
		for height := uint64(1); height <= 12; height++ {
			until := height + rapid.Uint64Range(0, 5).Draw(rt, "until")
			var records []Record
			for range rapid.IntRange(0, 3).Draw(rt, "bundles") {
				r := Record{ID: id(len(all))}
				if rapid.Bool().Draw(rt, "drop") {
					r.Reason = DropFunds
				}
				records = append(records, r)
				all[r.ID] = carried{Fate{Height: height, Reason: r.Reason}, until}
			}
			e := evaluation(height, until, records...)
			require.NoError(rt, n.keeper.Apply(n.ctx, e))
			require.True(rt, w.Mirrors(height-1), "before the commit nothing changes")
			w.Apply(e.Carried)
			require.True(rt, w.Mirrors(height))
			fresh := NewWindow()
			require.NoError(rt, n.keeper.LoadWindow(n.ctx, height, fresh))
			require.Equal(rt, fresh.fates, w.fates)
			for id, c := range all {
				fate, ok := w.Fate(id)
				require.Equal(rt, c.until > height, ok, "known until the last height at which it could be ordered")
				if ok {
					require.Equal(rt, c.fate, fate)
				}
			}
		}
		require.NoError(rt, n.keeper.Apply(n.ctx, evaluation(100, 0)))
		require.NoError(rt, n.keeper.eachRecord(n.ctx, func(uint64, uint64, []byte) error {
			rt.Fatal("records are pruned")
			return nil
		}))
	})
}

// Rules for a height that the window does not stand for make it read the store.
func TestRulesReloadWindow(t *testing.T) {
	n := newNetwork(t, 1, 1)
	require.NoError(t, n.keeper.Apply(n.ctx, evaluation(5, 9, Record{ID: id(1)})))
	w := NewWindow()
	for _, height := range []uint64{6, 7} { // as after a snapshot of another height
		r, err := n.keeper.Rules(n.ctx, height, w)
		require.NoError(t, err)
		_, ok := r.Fate(id(1))
		require.True(t, ok)
		require.True(t, w.Mirrors(height-1))
	}
}

// What a block does to lanes is what the next block's rules say of them.
func TestRulesFollowLanes(t *testing.T) {
	n := newNetwork(t, 3, 2)
	w := NewWindow()
	move := func(height uint64, ends ...order.LaneEnd) *Rules {
		e := evaluation(height, 0)
		e.Lanes = ends
		require.NoError(t, n.keeper.Apply(n.ctx, e))
		w.Apply(e.Carried)
		r, err := n.keeper.Rules(n.ctx, height+1, w)
		require.NoError(t, err)
		return r
	}
	require.NoError(t, n.keeper.LoadWindow(n.ctx, 0, w))
	at := order.LaneState{Mark: order.Mark{Session: 1, Sequence: 3}, OrderTime: 77}
	r := move(1, order.LaneEnd{Owner: owner(0), LaneState: at})
	require.Equal(t, at, r.Lane(owner(0)))
	require.Zero(t, r.Lane(owner(1)))
	require.True(t, r.Moved(owner(0)))
	require.False(t, r.Moved(owner(1)))
	require.Equal(t, n.committee(0), r.Committee(0))
	require.Nil(t, r.Committee(1))

	r = move(2, order.LaneEnd{Owner: owner(1), LaneState: at})
	require.Equal(t, at, r.Lane(owner(0)))
	require.False(t, r.Moved(owner(0)))
	require.True(t, r.Moved(owner(1)))
	r = move(3)
	require.False(t, r.Moved(owner(1)))

	n.toEpoch(2)
	r, err := n.keeper.Rules(n.ctx, uint64(n.ctx.BlockHeight()), NewWindow())
	require.NoError(t, err)
	require.Nil(t, r.Committee(0))
	require.EqualValues(t, 1, r.Committee(1).Epoch)
	require.EqualValues(t, 2, r.Committee(2).Epoch)
	require.Nil(t, r.Committee(3))
}
