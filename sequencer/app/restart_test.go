package app_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// crash abandons the application without Close and opens another one on what is on
// disk: the committed state, and a copy of the pool's journal.
func (c *chain) crash(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(c.t, os.CopyFS(dir, os.DirFS(c.dir)))
	c.dir = dir
	c.app = open(c.t, c.logger(), c.db, dir)
	c.abci = c.app.ABCI()
	t.Cleanup(func() { _ = c.app.Pool().Close() })
	require.EqualValues(c.t, c.height, c.app.LastBlockHeight())
}

func TestDuplicatesAcrossBlocksAndRestart(t *testing.T) {
	c := newChain(t)
	x := c.bundle(0, func(b *order.Bundle) { b.Expiry = uint64(c.height) + 5 })
	c.submit(x)
	require.Len(t, c.block().block.Bundles, 1)
	for restart := range 2 {
		if restart == 1 {
			c.crash(t)
		}
		require.False(t, c.process(layout(t, uint64(c.height+1), []*order.Bundle{x}, 0)))
		_, err := c.app.Pool().Submit(context.Background(), x.Encode())
		require.ErrorIs(t, err, ordering.ErrAlreadyOrdered)
		require.Empty(t, c.block().block.Bundles)
	}
	for c.height < int64(x.Expiry) {
		require.False(t, c.process(layout(t, uint64(c.height+1), []*order.Bundle{x}, 0)))
		c.block()
	}
	_, err := c.app.Pool().Submit(context.Background(), x.Encode())
	require.ErrorIs(t, err, ordering.ErrExpired, "the window has let go of it when it can no longer be ordered")
	require.False(t, c.process(layout(t, uint64(c.height+1), []*order.Bundle{x}, 0)))
}

// A crash between FinalizeBlock and Commit: CometBFT plays the block again to an
// application that never saw a proposal for it.
func TestCrashBetweenFinalizeAndCommit(t *testing.T) {
	c := newChain(t)
	c.submit(c.bundle(0, data("x")))
	first := c.block().block.Bundles[0].Bundle
	id := c.submit(c.bundle(0, data("y")))
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
	c.save()
	require.False(t, c.app.Pool().Has(id))
	require.False(t, c.process(layout(t, uint64(c.height+1), []*order.Bundle{first}, 0)))
	c.block()
}

// Another round: the same height is prepared, checked and refused several times
// before a block is executed, which is not the one that was looked at last.
func TestRounds(t *testing.T) {
	c := newChain(t)
	x, y := c.bundle(0, data("x")), c.bundle(1, data("y"))
	height := uint64(c.height + 1)
	one, two := layout(t, height, []*order.Bundle{x}, 0), layout(t, height, []*order.Bundle{y, x}, 0)
	c.submit(x)
	require.True(t, c.process(one))
	c.prepare()
	require.True(t, c.process(two))
	require.False(t, c.process(layout(t, height, []*order.Bundle{y, y}, 0)))
	res, err := c.finalize(one)
	require.NoError(t, err)
	c.save()
	require.Len(t, res.TxResults, 2)
	require.False(t, c.app.Pool().Has(x.ID(chainID)))
	require.True(t, c.process(layout(t, uint64(c.height+1), []*order.Bundle{y}, 0)), "only what was executed counts as ordered")
	require.False(t, c.process(layout(t, uint64(c.height+1), []*order.Bundle{x}, 0)))
}

func TestAcceptedBundlesSurviveCrash(t *testing.T) {
	c := newChain(t)
	var ids []order.BundleID
	for i := range 20 {
		ids = append(ids, c.submit(c.bundle(i%funded, data(string(rune('a'+i))))))
	}
	gossiped := c.bundle(0, data("from a peer"))
	require.NoError(t, c.app.Pool().Insert(append([]byte{1}, gossiped.Encode()...)))
	c.crash(t)
	require.False(t, c.app.Pool().Has(gossiped.ID(chainID)), "its own node has it on disk")
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
	stale := t.TempDir()
	for _, b := range []*order.Bundle{x, short, wait} {
		c.submit(b)
	}
	require.NoError(t, os.CopyFS(stale, os.DirFS(c.dir)))
	c.apply(layout(t, uint64(c.height+1), []*order.Bundle{x}, 0))
	c.dir = stale
	c.crash(t)
	require.False(t, c.app.Pool().Has(x.ID(chainID)))
	require.False(t, c.app.Pool().Has(short.ID(chainID)))
	require.True(t, c.app.Pool().Has(wait.ID(chainID)))
}
