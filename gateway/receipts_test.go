package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	n := newNode()
	n.set(errors.New("connection refused"), false)
	dir := t.TempDir()
	g, stop := open(t, dir, n, false)
	single, b := simTx("a", 0, 0), userBundle("u", 2)
	if err := g.Submit(t.Context(), single); err != nil {
		t.Fatal(err)
	}
	submitBundle(t, g, b)
	first, err := g.Receipt(t.Context(), single.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Verify(); err != nil || first.TxHash != single.Hash || first.RollupID != simRollup || first.ChainID != simChain || first.Bundle != [32]byte{} ||
		!bytes.Equal(first.Payer[:], simKey.Public().(ed25519.PublicKey)) || time.Since(time.UnixMilli(int64(first.Received))) > time.Minute {
		t.Errorf("receipt %+v, verify: %v", first, err)
	}
	if r, err := g.Receipt(t.Context(), b.Txs[1].Hash); err != nil || r.Verify() != nil || r.Bundle != b.Ref {
		t.Errorf("of a bundle's transaction: %+v, %v", r, err)
	}
	if _, err := g.Receipt(t.Context(), [32]byte{1}); !errors.Is(err, ErrUnknown) {
		t.Errorf("of an unknown one: %v, want ErrUnknown", err)
	}
	stop()
	if _, err := g.Receipt(context.Background(), single.Hash); !errors.Is(err, ErrStopped) {
		t.Errorf("stopped: %v, want ErrStopped", err)
	}
	g, _ = open(t, dir, n, false)
	if again, err := g.Receipt(t.Context(), single.Hash); err != nil || *again != *first {
		t.Errorf("after a restart %+v, %v, before %+v", again, err, first)
	}
}
