package account

import (
	"errors"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/da"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// A node that says that claims are recorded, and shows them, is not believed where another
// knows better.
func TestLyingNodeIsNotBelieved(t *testing.T) {
	t.Parallel()
	liar, liarURL := serve(t, included)
	honest, honestURL := serve(t, func(seen) (*v1.SubmitTransactionResponse, error) {
		return &v1.SubmitTransactionResponse{Height: 11}, nil
	})
	liar.sequence = 1000
	a := account(t, "ordo-test", liarURL, honestURL)
	// The liar does not confirm the honest one either, which leaves it open.
	if height, err := a.Claim(t.Context(), list(3, 0)); !errors.Is(err, da.ErrUnavailable) {
		t.Fatalf("recorded in block %d, %v", height, err)
	}
	if len(honest.got) != 1 || honest.got[0].sequence != 5 {
		t.Errorf("the honest node got %+v", honest.got)
	}
	third, thirdURL := serve(t, nil)
	a = account(t, "ordo-test", liarURL, honestURL, thirdURL)
	honest.answer = func(s seen) (*v1.SubmitTransactionResponse, error) {
		third.record(s, 12)
		return &v1.SubmitTransactionResponse{Height: 12}, nil
	}
	if height, err := a.Claim(t.Context(), list(3, 0)); err != nil || height != 12 {
		t.Errorf("recorded in block %d, %v", height, err)
	}
}

// What a node asks for is paid only where no other takes less.
func TestLyingNodeDoesNotSetThePrice(t *testing.T) {
	t.Parallel()
	_, dearURL := serve(t, func(seen) (*v1.SubmitTransactionResponse, error) { return refused(0, 13, "sdk") })
	fair, fairURL := serve(t, included)
	a := account(t, "ordo-test", dearURL, fairURL)
	for range 3 {
		a.current = 0
		if _, err := a.Claim(t.Context(), list(1, 0)); err == nil || !errors.Is(err, da.ErrUnavailable) {
			t.Fatal(err) // the dear one does not have it
		}
	}
	for _, s := range fair.got {
		if s.fee != fair.got[0].fee || len(s.fee) > len("999uordo") {
			t.Errorf("%s are paid for %d gas", s.fee, s.gas)
		}
	}
}

// The account signs for the chain that it was told of, and for none that a node names.
func TestSignsForTheTrustedChainAlone(t *testing.T) {
	t.Parallel()
	n, url := serve(t, included)
	a := account(t, "ordo-mine", url)
	if _, err := a.Claim(t.Context(), list(1, 0)); err != nil {
		t.Fatal(err)
	}
	if n.infos > 0 {
		t.Error("the node was asked what chain to sign for")
	}
}

// A node that is behind is waited for.
func TestNodeThatIsBehindIsWaitedFor(t *testing.T) {
	t.Parallel()
	behind, behindURL := serve(t, nil)
	asked := 0
	ahead, aheadURL := serve(t, nil)
	ahead.answer = func(s seen) (*v1.SubmitTransactionResponse, error) {
		behind.list = func() error {
			if asked++; asked < 4 {
				return connect.NewError(connect.CodeOutOfRange, errors.New("not yet"))
			}
			behind.list = nil
			behind.note(s, 9)
			return nil
		}
		return &v1.SubmitTransactionResponse{Height: 9}, nil
	}
	a := account(t, "ordo-test", aheadURL, behindURL)
	if height, err := a.Claim(t.Context(), list(1, 0)); err != nil || height != 9 || asked != 4 {
		t.Errorf("block %d, asked %d times, %v", height, asked, err)
	}
}
