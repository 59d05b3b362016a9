package astria_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/execution/terms"
)

// A node that is killed while the service executes finds the block made. What it kept from
// the service was not applied, whatever the service would have said of the rest.
func TestWhatWasKeptIsToldAgain(t *testing.T) {
	t.Parallel()
	s := newTwisted(t, parameters())
	c := dial(t, s.config())
	at := chain(t, c, 2)[2]
	b := nextBlock(at)
	b.Transactions = [][]byte{[]byte("one"), terms.Terms{MaxBlock: 7}.Encode(), []byte("two"), []byte("three")}
	b.Legs = []execution.Leg{{Transactions: 1}, {Transactions: 2}, {Transactions: 1}}
	ctx, kill := context.WithCancel(t.Context())
	s.execute = func(*executionv2.ExecuteBlockRequest, *executionv2.ExecuteBlockResponse) error {
		kill()
		return connect.NewError(connect.CodeUnavailable, errors.New("the answer is lost"))
	}
	if _, err := c.Execute(ctx, at.Hash, b); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.straight()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = dial(t, s.config())
	open, err := c.Open(t.Context())
	if err != nil || open.Soft.Number != at.Number+1 {
		t.Fatalf("opened at %+v, %v, want the block that was made on %+v", open.Soft, err, at)
	}
	got, ok, err := c.Kept(b)
	if err != nil || !ok || got.Head != open.Soft {
		t.Fatalf("told again: %+v, %v, %v", got, ok, err)
	}
	var kept []int
	for _, x := range got.Skipped {
		kept = append(kept, x.Index)
	}
	if !reflect.DeepEqual(kept, []int{1, 2}) {
		t.Errorf("told that %v were skipped, want the leg with terms", got.Skipped)
	}
	other := nextBlock(open.Soft)
	if _, ok, err := c.Kept(other); ok || err != nil {
		t.Errorf("of a block that was not made: %v, %v", ok, err)
	}
	other = b
	other.Hash[0]++
	if _, ok, err := c.Kept(other); ok || err != nil {
		t.Errorf("of another block of that height: %v, %v", ok, err)
	}
}
