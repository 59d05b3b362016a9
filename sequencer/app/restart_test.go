package app_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/test/killed"
)

// crash abandons the application without Close and opens another one on what is on
// disk: the committed state, and a copy of the pool's journal.
func (c *chain) crash(t *testing.T) {
	t.Helper()
	c.dir = killed.Copy(t, c.dir)
	c.open()
	t.Cleanup(func() { _ = c.app.Pool().Close() })
	require.EqualValues(c.t, c.height, c.app.LastBlockHeight())
}

func TestDuplicatesAcrossBlocksAndRestart(t *testing.T) {
	c := newChain(t)
	x := c.bundle(0, func(b *order.Bundle) { b.Expiry = uint64(c.height) + 7 })
	c.submit(x)
	require.Len(t, c.block().block.Bundles, 1)
	for restart := range 2 {
		if restart == 1 {
			c.crash(t)
		}
		require.False(t, c.process(c.batchOf([]*order.Bundle{x}, nil)))
		out := c.apply(c.batchOf([]*order.Bundle{x}, []int{0}))
		require.Equal(t, ordering.DropDuplicate, out.drops[0].Reason)
		_, err := c.app.Pool().Submit(context.Background(), x.Encode())
		require.ErrorIs(t, err, ordering.ErrAlreadyOrdered)
		require.Empty(t, c.block().block.Bundles)
	}
	for c.height < int64(x.Expiry) {
		require.False(t, c.process(c.batchOf([]*order.Bundle{x}, nil)))
		c.block()
	}
	_, err := c.app.Pool().Submit(context.Background(), x.Encode())
	require.ErrorIs(t, err, ordering.ErrExpired, "the window has let go of it when it can no longer be ordered")
	require.False(t, c.process(c.batchOf([]*order.Bundle{x}, nil)))
	out := c.apply(c.batchOf([]*order.Bundle{x}, []int{0}))
	require.Equal(t, ordering.DropExpired, out.drops[0].Reason)
}

// A crash between FinalizeBlock and Commit: CometBFT plays the block again to an
// application that never saw a proposal for it.
func TestCrashBetweenFinalizeAndCommit(t *testing.T) {
	c := newChain(t)
	first := c.bundle(0, data("x"))
	c.submit(first)
	c.block()
	id := c.submit(c.bundle(0, data("y")))
	c.disperse()
	txs := c.prepare()
	require.True(t, c.process(txs))
	want, err := c.finalize(txs)
	require.NoError(t, err)

	c.crash(t)
	require.True(t, c.app.Pool().Has(id))
	got, err := c.finalize(txs)
	require.NoError(t, err)
	require.Equal(t, want.AppHash, got.AppHash)
	require.Equal(t, want.TxResults, got.TxResults)
	c.save(c.said)
	require.False(t, c.app.Pool().Has(id))
	require.False(t, c.process(c.batchOf([]*order.Bundle{first}, nil)))
	require.True(t, c.process(c.batchOf([]*order.Bundle{first}, []int{0})))
	c.block()
}

// Another round: the same height is prepared, checked and refused several times
// before a block is executed, which is not the one that was looked at last.
func TestRounds(t *testing.T) {
	c := newChain(t)
	x, y := c.bundle(0, data("x")), c.bundle(1, data("y"))
	one, two := c.batchOf([]*order.Bundle{x}, nil), c.batchOf([]*order.Bundle{y, x}, nil)
	c.submit(x)
	require.True(t, c.process(one))
	c.prepare()
	require.True(t, c.process(two))
	require.False(t, c.process(c.batchOf([]*order.Bundle{y, y}, nil)))
	res, err := c.finalize(one)
	require.NoError(t, err)
	c.save(c.said)
	require.Len(t, res.TxResults, 2)
	require.False(t, c.app.Pool().Has(x.ID(chainID)))
	require.True(t, c.process(c.batchOf([]*order.Bundle{y}, nil)), "only what was executed counts as ordered")
	require.False(t, c.process(c.batchOf([]*order.Bundle{x}, nil)))
}

func TestAcceptedBundlesSurviveCrash(t *testing.T) {
	c := newChain(t)
	var ids []order.BundleID
	for i := range 20 {
		ids = append(ids, c.submit(c.bundle(i%funded, data(string(rune('a'+i))))))
	}
	c.disperse() // into a batch whose certificate is lost
	c.crash(t)
	out := c.block()
	require.Len(t, out.block.Bundles, len(ids))
	for i, o := range out.block.Bundles {
		require.Equal(t, ids[i], o.ID, "order of arrival")
	}
	c.crash(t)
	require.True(t, c.app.Pool().Empty())
}

// The pool of a node that was down learns at the start what has become of its bundles.
func TestPoolAfterBlocksOfOthers(t *testing.T) {
	c := newChain(t)
	x := c.bundle(0, data("x"))
	short := c.bundle(0, func(b *order.Bundle) { b.Expiry = uint64(c.height) + 1 })
	wait := c.bundle(1, data("wait"))
	for _, b := range []*order.Bundle{x, short, wait} {
		c.submit(b)
	}
	stale := killed.Copy(t, c.dir)
	c.apply(c.batchOf([]*order.Bundle{x}, nil))
	c.dir = stale
	c.crash(t)
	require.False(t, c.app.Pool().Has(x.ID(chainID)))
	left := c.app.Pool().Left()
	require.Len(t, left, 1)
	require.Equal(t, short.ID(chainID), left[0].ID)
	c.app.Pool().Forget(left)
	require.False(t, c.app.Pool().Has(short.ID(chainID)))
	require.True(t, c.app.Pool().Has(wait.ID(chainID)))
}
