package app_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

func TestProposerCannotCheat(t *testing.T) {
	c := newChain(t)
	x, y, z := c.bundle(0, data("x")), c.bundle(1, data("y")), c.bundle(0, data("z"))
	poor := c.bundle(funded, data("poor")) // has no account
	all := []*order.Bundle{x, y, z}
	honest := c.batchOf(all, nil)
	require.True(t, c.process(honest))
	tx := c.transfer(0, payerAddress(1), 5)
	require.True(t, c.process(c.batchOf(all, nil, tx)))
	require.True(t, c.process(c.batchOf([]*order.Bundle{x, poor}, []int{1})))

	header := func(edit func(*order.Header)) [][]byte {
		h, err := order.DecodeHeader(honest[0])
		require.NoError(t, err)
		edit(&h)
		return [][]byte{h.Encode(), honest[1]}
	}
	for _, tc := range []struct {
		name, reason string
		txs          [][]byte
	}{
		{"nothing", "0 transactions", [][]byte{}},
		{"no manifest", "1 transactions", [][]byte{honest[0]}},
		{"empty transaction 1", "does not start with 0x02", [][]byte{honest[0], {}}},
		{"swapped", "does not start with 0x02", [][]byte{honest[1], honest[0]}},
		{"unknown kind", "does not start with 0x02", [][]byte{honest[0], append([]byte{0x01}, honest[1][1:]...)}},
		{"bytes after the manifest", "1 bytes after the extended commit", [][]byte{honest[0], append(append([]byte(nil), honest[1]...), 0)}},
		{"bytes after the header", "fit no field", [][]byte{append(append([]byte(nil), honest[0]...), 0), honest[1]}},
		{"header of another height", "height is 3, the certificates make it 2", header(func(h *order.Header) { h.Height++ })},
		{"reordered under the header", "commitment is", [][]byte{honest[0], c.batchOf([]*order.Bundle{y, x, z}, nil)[1]}},
		{"one hidden", "bundles is 3, the certificates make it 2", [][]byte{honest[0], c.batchOf(all[:2], nil)[1]}},
		{"one added", "bundles is 2, the certificates make it 3", [][]byte{c.batchOf(all[:2], nil)[0], honest[1]}},
		{"called dropped, can pay", "bundles is 2, the certificates make it 3", c.batchOf(all, []int{2})},
		{"called ordered, cannot pay", "bundles is 2, the certificates make it 1", c.batchOf([]*order.Bundle{x, poor}, nil)},
		{"called ordered, is expired", "bundles is 1, the certificates make it 0", c.batchOf([]*order.Bundle{c.bundle(0, func(b *order.Bundle) { b.Expiry = 1 })}, nil)},
		{"called ordered, stands twice", "bundles is 2, the certificates make it 1", c.batchOf([]*order.Bundle{x, x}, nil)},
		{"miscounted bundles", "bundles is 4", header(func(h *order.Header) { h.Bundles++ })},
		{"miscounted legs", "legs is 5", header(func(h *order.Header) { h.Legs-- })},
		{"miscounted drops", "dropped is 1", header(func(h *order.Header) { h.Dropped++ })},
		{"miscounted bytes", "bytes is", header(func(h *order.Header) { h.Bytes++ })},
		{"other first time", "first order time is", header(func(h *order.Header) { h.Times.First-- })},
		{"other last time", "last order time is", header(func(h *order.Header) { h.Times.Last++ })},
		{"other commitment", "commitment is", header(func(h *order.Header) { h.Commitment[95] ^= 1 })},
		{"not a transaction", "transaction 2: ", c.batchOf(all, nil, []byte("junk"))},
		{"empty transaction", "transaction 2 has no message", c.batchOf(all, nil, []byte{})},
		{"bundle as a transaction", "transaction 2: ", c.batchOf(all, nil, y.Encode())},
		{"second manifest", "transaction 2: ", c.batchOf(all, nil, honest[1])},
		{"gas above the block's", "past the block's gas", c.batchOf(all, nil, c.transferGas(0, payerAddress(1), 5, 50_000_001))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.log.Reset()
			require.False(t, c.process(tc.txs))
			require.Contains(t, c.log.String(), tc.reason)
		})
	}
	require.True(t, c.process(honest), "an honest block after all the others")
	c.apply(honest)
	c.log.Reset()
	require.False(t, c.process(honest))
	require.Contains(t, c.log.String(), "extension's signature does not verify", "block of the height before")
	require.True(t, c.process(c.batchOf([]*order.Bundle{x}, []int{0})), "ordered before is dropped")
	require.False(t, c.process(c.batchOf([]*order.Bundle{x}, nil)))
}

// What a proposer says of certificates is checked as well as what it says of bundles.
func TestCertificatesMustBeRight(t *testing.T) {
	c := newChainOf(t, 4)
	now := uint64(c.time.UnixMilli())
	cert := func(owner int, sequence, clock uint64) *order.Certificate {
		return c.certify(batch{owner: owner, at: mark(1, sequence), clock: now + clock, bundles: []*order.Bundle{c.bundle(owner, data(fmt.Sprint(sequence)))}})
	}
	a1, a2, b1 := cert(0, 1, 10), cert(0, 2, 30), cert(1, 1, 20)
	honest := []*order.Certificate{a1, b1, a2}
	require.True(t, c.process(c.layout(honest, nil)))

	edited := func(edit func(*order.Certificate)) *order.Certificate {
		again := cert(1, 1, 20)
		edit(again)
		return again
	}
	for _, tc := range []struct {
		name, reason string
		certs        []*order.Certificate
	}{
		{"reordered", "its place is that of", []*order.Certificate{b1, a1, a2}},
		{"last first", "its place is that of", []*order.Certificate{a2, a1, b1}},
		{"doubled", "batch is not the next of its lane", []*order.Certificate{a1, a1, b1, a2}},
		{"sequence skipped", "batch is not the next of its lane", []*order.Certificate{b1, a2}},
		{"session skipped to", "batch is not the next of its lane", []*order.Certificate{a1, c.certify(batch{at: mark(2, 2), clock: now, bundles: honest0(c)})}},
		{"session goes on from elsewhere", "batch is not the next of its lane", []*order.Certificate{a1, c.certify(batch{at: mark(2, 1), after: mark(1, 3), clock: now, bundles: honest0(c)})}},
		{"forged attestation", "signature 3 of 5", []*order.Certificate{a1, edited(func(x *order.Certificate) {
			x.Attestations[2].Signature[0] ^= 1
			x.Sign(chainID, newAttestationKey(1)) // the owner is in it
		}), a2}},
		{"attestation left out to move the time", "signature 0 of 4", []*order.Certificate{a1, edited(func(x *order.Certificate) { x.Attestations = x.Attestations[1:] }), a2}},
		{"too few attestations", "stake 200 of 400", []*order.Certificate{a1, edited(func(x *order.Certificate) { x.Attestations = x.Attestations[2:] }), a2}},
		{"clock altered", "signature", []*order.Certificate{a1, edited(func(x *order.Certificate) { x.Attestations[0].Clock++ }), a2}},
		{"bundle altered", "signature", []*order.Certificate{a1, edited(func(x *order.Certificate) { x.Header.Bundles[0].FeeLimit++ }), a2}},
		{"epoch to come", "batch is of another epoch", []*order.Certificate{c.certify(batch{at: mark(1, 1), epoch: 1, clock: now, bundles: honest0(c)})}},
		{"lane of nobody", "not a member", []*order.Certificate{edited(func(x *order.Certificate) { x.Header.Owner[0] ^= 1 })}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.log.Reset()
			require.False(t, c.process(c.layout(tc.certs, nil)))
			require.Contains(t, c.log.String(), tc.reason)
		})
	}
	out := c.apply(c.layout(honest, nil))
	require.Len(t, out.block.Bundles, 3)
	require.Equal(t, order.Times{First: now + 10, Last: now + 30}, out.block.Times)
}

func honest0(c *chain) []*order.Bundle { return []*order.Bundle{c.bundle(0, nil)} }

// A block that ProcessProposal refuses is never executed, whatever consensus says.
func TestInvalidBlockHalts(t *testing.T) {
	c := newChain(t)
	x := c.bundle(0, nil)
	for _, txs := range [][][]byte{
		nil,
		c.batchOf([]*order.Bundle{x, x}, nil),
		c.batchOf([]*order.Bundle{x}, nil, []byte("junk")),
		c.layoutWith(ordering.Manifest{Certificates: c.one([]*order.Bundle{x})}, nil),
	} {
		before := c.app.LastCommitID()
		_, err := c.finalize(txs)
		require.Error(t, err)
		require.Equal(t, before, c.app.LastCommitID())
	}
	c.block()
}
