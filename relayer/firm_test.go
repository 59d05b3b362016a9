package relayer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

var errEnough = errors.New("enough")

// wantReadBack reads the chain back from DA as a rollup node does.
func wantReadBack(t *testing.T, chain *testChain, id order.RollupID, layers ...da.Layer) {
	t.Helper()
	reader, err := follower.NewFirmReader(follower.FirmConfig{Rollup: id, Layers: layers, Trust: chain.trust(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next := uint64(1)
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

// What the relayer posts is what a rollup node reads back, with junk of others in between.
func TestReadersRebuildTheOrderFromDA(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta")}, layer))
	alpha := order.NewRollupID("alpha")
	for range 5 {
		chain.growBy(4)
		if _, err := layer.Submit(t.Context(), []da.Blob{{Namespace: da.Namespace(alpha), Data: []byte("junk")}}); err != nil {
			t.Fatal(err)
		}
	}
	wantReadBack(t, chain, alpha, layer)
}
