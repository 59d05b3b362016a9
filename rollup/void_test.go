package rollup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// voidBlocks are one block of the order as it is with the proof that its second leg is
// void, and as whoever made the batch would show it.
func voidBlocks(t *testing.T, height uint64) (proven, data *follower.Block) {
	t.Helper()
	bad := order.BatchID{1, 2, 3}
	proven, data = testBlock(height), testBlock(height)
	good := follower.Leg{Transactions: [][]byte{transferTx(t, 0)}}
	good.Batch = order.BatchID{9}
	void, shown := follower.Leg{Void: true}, follower.Leg{Transactions: [][]byte{transferTx(t, 1)}}
	void.Batch, shown.Batch = bad, bad
	proven.Legs, proven.Void = []follower.Leg{good, void}, []order.BatchID{bad}
	data.Legs = []follower.Leg{good, shown}
	return proven, data
}

func TestFirmAgainstVoid(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	proven, data := voidBlocks(t, 2)
	for _, b := range []*follower.Block{testBlock(1), proven} {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	n.close(t)
	n = openNode(t, dir)
	defer n.close(t)
	if err := n.onFirm(t.Context(), testBlock(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := n.onFirm(t.Context(), data, nil); !errors.Is(err, follower.ErrVoidData) {
		t.Fatalf("data of a leg that is void: %v", err)
	}
	if _, _, firm := n.state(); firm != 1 {
		t.Fatalf("firm up to %d", firm)
	}
	if err := n.onFirm(t.Context(), proven, nil); err != nil {
		t.Fatal(err)
	}
	taken, ok, err := n.taken(2)
	if err != nil || !ok || taken.Hash != proven.Hash || len(taken.Void) != 1 {
		t.Errorf("taken %+v %v %v", taken, ok, err)
	}
	if _, ok, _ := n.taken(3); ok {
		t.Error("a block that did not come was taken")
	}
}

// A node that executed a leg which is void stops, does not start again as it is, and
// comes to what the others have once its chain was removed.
func TestVoidLegThatWasExecuted(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	proven, data := voidBlocks(t, 2)
	for _, b := range []*follower.Block{testBlock(1), data} {
		if err := n.onFirm(t.Context(), b, nil); err != nil {
			t.Fatal(err)
		}
	}
	wrong, _, _ := n.state()
	err := n.onSoft(t.Context(), proven)
	var void *follower.VoidError
	if !errors.Is(err, ErrVoidExecuted) || !errors.As(err, &void) || void.Height != 2 || !strings.Contains(err.Error(), "remove data/evm") {
		t.Fatalf("proof of what was executed: %v", err)
	}
	n.close(t)
	if _, err := reopen(t, dir); !errors.Is(err, ErrVoidExecuted) {
		t.Fatalf("it starts again as it is: %v", err)
	}
	if err := os.RemoveAll(dir + "/evm"); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, dir)
	defer func() { n.close(t) }()
	for _, b := range []*follower.Block{testBlock(1), proven} {
		if b == proven {
			if err := n.onFirm(t.Context(), data, nil); !errors.Is(err, follower.ErrVoidData) {
				t.Fatalf("it executes the leg once more: %v", err)
			}
		}
		if err := n.onFirm(t.Context(), b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if right, height, _ := n.state(); height != 2 || right.Hash == wrong.Hash || right.Number == 0 {
		t.Errorf("head %+v at height %d", right, height)
	}
	n.close(t)
	n = openNode(t, dir) // and starts as any other
}
