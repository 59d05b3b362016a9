package relayer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

var errEnough = errors.New("enough")

// What the relayer posts is what a rollup node reads back, with junk of others in between.
func TestReadersRebuildTheOrderFromDA(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: layer})
	alpha := order.NewRollupID("alpha")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 5 {
		chain.growBy(4)
		if _, err := layer.Submit(ctx, da.Namespace(alpha), [][]byte{[]byte("junk")}); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := follower.NewFirmReader(follower.FirmConfig{Rollup: alpha, Layer: layer, Trust: chain.trust(t), Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var next uint64 = 1
	err = reader.Run(ctx, follower.Cursor{}, func(_ context.Context, b follower.FirmBlock) error {
		want, _ := chain.at(next)
		if b.Height != next || string(b.Hash[:]) != string(want.header.Hash()) {
			t.Errorf("block %d with hash %x, want %d with %x", b.Height, b.Hash, next, want.header.Hash())
		}
		if next++; next > uint64(chain.height()) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("read up to height %d of %d: %v", next-1, chain.height(), err)
	}
}

func TestStartHeight(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	chain.growBy(12)
	late := rollups("alpha")
	late[0].Start = 9
	r := start(t, Options{Rollups: late, Open: chain.open(t), Layer: layer})
	eventually(t, "the chain is posted", func() bool {
		p, err := r.journal.progress(late[0].ID)
		return err == nil && p.posted == 12
	})
	blobs, err := layer.Blobs(t.Context(), 1, da.Namespace(late[0].ID))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("%d blobs, %v", len(blobs), err)
	}
	blocks, err := follower.DecodeBlob(blobs[0].Data, follower.DefaultBlobLimits)
	if err != nil {
		t.Fatal(err)
	}
	if want := chain.rollupBlock(9, late[0].ID).GetSignedHeader(); string(blocks[0].GetSignedHeader()) != string(want) {
		t.Error("the first block posted is not that of the start height")
	}
}
