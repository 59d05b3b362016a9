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

	for _, tc := range []struct {
		name, reason string
		txs          [][]byte
	}{
		{"nothing", "0 transactions", [][]byte{}},
		{"no batch", "1 transactions", [][]byte{honest[0]}},
		{"empty transaction 1", "does not start with 0x01", [][]byte{honest[0], {}}},
		{"swapped", "does not start with 0x01", [][]byte{honest[1], honest[0]}},
		{"unknown kind", "does not start with 0x01", [][]byte{honest[0], unknownKind}},
		{"bytes after the batch", "fit no field", [][]byte{honest[0], append(append([]byte(nil), honest[1]...), 0)}},
		{"bytes after the header", "fit no field", [][]byte{append(append([]byte(nil), honest[0]...), 0), honest[1]}},
		{"header of another height", "height is 3, the batch makes it 2", layout(t, height+1, []*order.Bundle{x, y, z}, 0)},
		{"reordered under the header", "commitment is", [][]byte{honest[0], layout(t, height, []*order.Bundle{y, x, z}, 0)[1]}},
		{"one hidden", "bundles is 3, the batch makes it 2", [][]byte{honest[0], layout(t, height, []*order.Bundle{x, y}, 0)[1]}},
		{"one added", "bundles is 2, the batch makes it 3", [][]byte{layout(t, height, []*order.Bundle{x, y}, 0)[0], honest[1]}},
		{"called dropped, can pay", "bundles is 2, the batch makes it 3", layout(t, height, []*order.Bundle{x, y, z}, 1)},
		{"called ordered, cannot pay", "bundles is 2, the batch makes it 1", layout(t, height, []*order.Bundle{x, poor}, 0)},
		{"duplicate in the batch", "second time in the batch", layout(t, height, []*order.Bundle{x, x}, 0)},
		{"duplicate called dropped", "second time in the batch", layout(t, height, []*order.Bundle{x, x}, 1)},
		{"miscounted bundles", "bundles is 4", header(func(h *order.Header) { h.Bundles++ })},
		{"miscounted legs", "legs is 5", header(func(h *order.Header) { h.Legs-- })},
		{"miscounted drops", "dropped is 1", header(func(h *order.Header) { h.Dropped++ })},
		{"miscounted bytes", "bytes is", header(func(h *order.Header) { h.Bytes++ })},
		{"other commitment", "commitment is", header(func(h *order.Header) { h.Commitment[95] ^= 1 })},
		{"bad signature", "bundle 1: payer's signature", layout(t, height, []*order.Bundle{x, forged}, 0)},
		{"bad signature dropped", "bundle 1: payer's signature", layout(t, height, []*order.Bundle{x, forged}, 1)},
		{"expired", "has expired", with(func(b *order.Bundle) { b.Expiry = height - 1 })},
		{"expiry too far", "too far ahead", with(func(b *order.Bundle) { b.Expiry = height + 601 })},
		{"expiry overflows", "too far ahead", with(func(b *order.Bundle) { b.Expiry = math.MaxUint64 })},
		{"fee above the limit", "above the bundle's fee limit", with(func(b *order.Bundle) { b.FeeLimit = 1 })},
		{"bundle too large", "bundle is too large", with(data(string(make([]byte, 256<<10))))},
		{"not a transaction", "transaction 2: ", layout(t, height, []*order.Bundle{x}, 0, []byte("junk"))},
		{"empty transaction", "transaction 2 has no message", layout(t, height, []*order.Bundle{x}, 0, []byte{})},
		{"bundle as a transaction", "transaction 2: ", layout(t, height, []*order.Bundle{x}, 0, y.Encode())},
		{"second batch", "transaction 2: ", layout(t, height, []*order.Bundle{x}, 0, honest[1])},
		{"gas above the block's", "past the block's gas", layout(t, height, []*order.Bundle{x}, 0, c.transferGas(0, payerAddress(1), 5, 50_000_001))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.log.Reset()
			require.False(t, c.process(tc.txs))
			require.Contains(t, c.log.String(), tc.reason)
		})
	}
	require.True(t, c.process(honest), "an honest block after all the others")
	c.apply(honest)

	height = uint64(c.height + 1)
	for _, tc := range []struct {
		name, reason string
		txs          [][]byte
	}{
		{"ordered before", "at height 2: bundle is already ordered", layout(t, height, []*order.Bundle{x}, 0)},
		{"ordered before, dropped", "at height 2: bundle is already ordered", layout(t, height, []*order.Bundle{x}, 1)},
		{"block of the height before", "at height 2: bundle is already ordered", honest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.log.Reset()
			require.False(t, c.process(tc.txs))
			require.Contains(t, c.log.String(), tc.reason)
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
