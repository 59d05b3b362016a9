package app_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// layout returns a block with the header that its batch deserves when all of it is
// ordered but the last dropped bundles.
func layout(t testingT, height uint64, bundles []*order.Bundle, dropped int, txs ...[]byte) [][]byte {
	var ordered []order.Ordered
	for _, b := range bundles[:len(bundles)-dropped] {
		ordered = append(ordered, order.Ordered{ID: b.ID(chainID), Bundle: b})
	}
	block, err := order.NewBlock(height, ordered, uint64(dropped))
	require.NoError(t, err)
	return append([][]byte{block.Header().Encode(), ordering.EncodeInline(&order.Batch{Bundles: bundles})}, txs...)
}

func TestProposerCannotCheat(t *testing.T) {
	c := newChain(t)
	height := uint64(c.height + 1)
	x, y, z := c.bundle(0, data("x")), c.bundle(1, data("y")), c.bundle(0, data("z"))
	poor := c.bundle(funded, data("poor")) // has no account
	honest := layout(t, height, []*order.Bundle{x, y, z}, 0)
	require.True(t, c.process(honest))
	tx := c.transfer(0, payerAddress(1), 5)
	require.True(t, c.process(layout(t, height, []*order.Bundle{x, y, z}, 0, tx)))
	require.True(t, c.process(layout(t, height, []*order.Bundle{x, poor}, 1)))

	header := func(edit func(*order.Header)) [][]byte {
		h, err := order.DecodeHeader(honest[0])
		require.NoError(t, err)
		edit(&h)
		return [][]byte{h.Encode(), honest[1]}
	}
	with := func(edit func(*order.Bundle)) [][]byte {
		b := c.bundle(0, edit)
		return layout(t, height, []*order.Bundle{x, b}, 0)
	}
	forged := c.bundle(0, data("forged"))
	forged.Signature[0] ^= 1
	unknownKind := append([]byte{0x02}, honest[1][1:]...)

	for name, txs := range map[string][][]byte{
		"nothing":                    {},
		"no batch":                   {honest[0]},
		"empty transaction 1":        {honest[0], {}},
		"swapped":                    {honest[1], honest[0]},
		"unknown kind":               {honest[0], unknownKind},
		"bytes after the batch":      {honest[0], append(append([]byte(nil), honest[1]...), 0)},
		"bytes after the header":     {append(append([]byte(nil), honest[0]...), 0), honest[1]},
		"header of another height":   layout(t, height+1, []*order.Bundle{x, y, z}, 0),
		"reordered under the header": {honest[0], layout(t, height, []*order.Bundle{y, x, z}, 0)[1]},
		"one hidden":                 {honest[0], layout(t, height, []*order.Bundle{x, y}, 0)[1]},
		"one added":                  {layout(t, height, []*order.Bundle{x, y}, 0)[0], honest[1]},
		"called dropped, can pay":    layout(t, height, []*order.Bundle{x, y, z}, 1),
		"called ordered, cannot pay": layout(t, height, []*order.Bundle{x, poor}, 0),
		"duplicate in the batch":     layout(t, height, []*order.Bundle{x, x}, 0),
		"duplicate called dropped":   layout(t, height, []*order.Bundle{x, x}, 1),
		"miscounted bundles":         header(func(h *order.Header) { h.Bundles++ }),
		"miscounted legs":            header(func(h *order.Header) { h.Legs-- }),
		"miscounted drops":           header(func(h *order.Header) { h.Dropped++ }),
		"miscounted bytes":           header(func(h *order.Header) { h.Bytes++ }),
		"other commitment":           header(func(h *order.Header) { h.Commitment[95] ^= 1 }),
		"bad signature":              layout(t, height, []*order.Bundle{x, forged}, 0),
		"bad signature dropped":      layout(t, height, []*order.Bundle{x, forged}, 1),
		"expired":                    with(func(b *order.Bundle) { b.Expiry = height - 1 }),
		"expiry too far":             with(func(b *order.Bundle) { b.Expiry = height + 601 }),
		"expiry overflows":           with(func(b *order.Bundle) { b.Expiry = math.MaxUint64 }),
		"fee above the limit":        with(func(b *order.Bundle) { b.FeeLimit = 1 }),
		"bundle too large":           with(data(string(make([]byte, 256<<10)))),
		"not a transaction":          layout(t, height, []*order.Bundle{x}, 0, []byte("junk")),
		"empty transaction":          layout(t, height, []*order.Bundle{x}, 0, []byte{}),
		"bundle as a transaction":    layout(t, height, []*order.Bundle{x}, 0, y.Encode()),
		"second batch":               layout(t, height, []*order.Bundle{x}, 0, honest[1]),
		"gas above the block's":      layout(t, height, []*order.Bundle{x}, 0, c.transferGas(0, payerAddress(1), 5, 50_000_001)),
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, c.process(txs))
		})
	}
	require.True(t, c.process(honest), "an honest block after all the others")
	c.apply(honest)

	height = uint64(c.height + 1)
	for name, txs := range map[string][][]byte{
		"ordered before":             layout(t, height, []*order.Bundle{x}, 0),
		"ordered before, dropped":    layout(t, height, []*order.Bundle{x}, 1),
		"block of the height before": honest,
	} {
		t.Run(name, func(t *testing.T) {
			require.False(t, c.process(txs))
		})
	}
}

func TestBatchLimit(t *testing.T) {
	c := newChain(t)
	var bundles []*order.Bundle
	for i := range 5 {
		bundles = append(bundles, c.bundle(0, func(b *order.Bundle) {
			b.Legs[0].Transactions = [][]byte{make([]byte, 250<<10), fmt.Append(nil, i)}
			b.FeeLimit = funds
		}))
	}
	require.True(t, c.process(layout(t, uint64(c.height+1), bundles[:4], 0)))
	require.False(t, c.process(layout(t, uint64(c.height+1), bundles, 0)))
	for _, b := range bundles {
		c.submit(b)
	}
	require.Len(t, c.block().block.Bundles, 4)
	require.Len(t, c.block().block.Bundles, 1)
}

// A block that ProcessProposal refuses is never executed, whatever consensus says.
func TestInvalidBlockHalts(t *testing.T) {
	c := newChain(t)
	x := c.bundle(0, nil)
	for _, txs := range [][][]byte{
		nil,
		layout(t, uint64(c.height+2), []*order.Bundle{x}, 0),
		layout(t, uint64(c.height+1), []*order.Bundle{x, x}, 0),
		layout(t, uint64(c.height+1), []*order.Bundle{x}, 0, []byte("junk")),
	} {
		before := c.app.LastCommitID()
		_, err := c.finalize(txs)
		require.Error(t, err)
		require.Equal(t, before, c.app.LastCommitID())
	}
	c.block()
}
