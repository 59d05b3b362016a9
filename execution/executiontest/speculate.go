package executiontest

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/ordo-network/ordo/execution"
)

// speculator returns the client as a Speculator; the test ends where it is none.
func (s *suite) speculator() execution.Speculator {
	s.Helper()
	sp, ok := s.client.(execution.Speculator)
	if !ok {
		s.Skip("the client is no execution.Speculator")
	}
	return sp
}

func (s *suite) skippedOutcomes(out []execution.Outcome) (skipped []int) {
	for i, o := range out {
		if o == (execution.Outcome{}) {
			skipped = append(skipped, i)
		}
	}
	return skipped
}

// testSpeculate: what was tried out is what then happens, and trying leaves no trace.
func testSpeculate(s *suite) {
	sp, plain := s.speculator(), newSuite(s.T, s.Harness)
	for i := range 8 {
		b := s.next(i % 4)
		b.Transactions = append(b.Transactions, garbage()...)
		b.Transactions = append(b.Transactions, s.Invalid...)
		parent := s.session().Soft

		// Another block first, which does not come, with transactions that do.
		other := s.Block(b.Height, slices.Concat(garbage(), b.Transactions)...)
		if _, err := sp.Speculate(s.Context(), parent.Hash, other); err != nil {
			s.Fatalf("speculate: %v", err)
		}
		half := len(b.Transactions) / 2
		first := b
		first.Transactions = b.Transactions[:half]
		tried, err := sp.Speculate(s.Context(), parent.Hash, first)
		if err != nil {
			s.Fatalf("speculate: %v", err)
		}
		more, err := sp.Extend(s.Context(), parent.Hash, b.Transactions[half:])
		if err != nil {
			s.Fatalf("extend: %v", err)
		}
		tried = append(tried, more...)
		s.same("soft head after a trial", s.session().Soft, parent)

		res, want := s.execute(b), plain.execute(b)
		s.same("head of a client that tried nothing", want.Head, res.Head)
		if !slices.Equal(tried, res.Outcomes) {
			s.Errorf("sequencer block %d: outcomes tried differ from those executed", b.Height)
		}
		var skipped []int
		for _, x := range res.Skipped {
			skipped = append(skipped, x.Index)
		}
		if got := s.skippedOutcomes(res.Outcomes); !slices.Equal(got, skipped) {
			s.Errorf("outcomes say that %v were skipped, want %v", got, skipped)
		}
	}
}

func testSpeculateParent(s *suite) {
	sp := s.speculator()
	_, err := sp.Extend(s.Context(), s.genesis.Hash, nil)
	s.fails(err, execution.ErrParent, "extend before anything was tried")
	for _, parent := range []execution.Hash{{}, sha256.Sum256([]byte("unknown"))} {
		_, err := sp.Speculate(s.Context(), parent, s.Block(1))
		s.fails(err, execution.ErrParent, "speculate on another parent")
	}
	b := s.next(2)
	if _, err := sp.Speculate(s.Context(), s.genesis.Hash, b); err != nil {
		s.Fatalf("speculate: %v", err)
	}
	head := s.applied(b)
	_, err = sp.Extend(s.Context(), s.genesis.Hash, nil)
	s.fails(err, execution.ErrParent, "extend after the soft head has moved")
	_, err = sp.Extend(s.Context(), head.Hash, nil)
	s.fails(err, execution.ErrParent, "extend on a head on which nothing was tried")
	_, err = sp.Speculate(s.Context(), s.genesis.Hash, s.next(0))
	s.fails(err, execution.ErrParent, "speculate on a head of the past")

	ended, end := context.WithCancel(s.Context())
	end()
	if _, err := sp.Speculate(ended, head.Hash, s.next(1)); err == nil {
		s.Error("speculate with an ended context: want an error")
	}
	if err := s.client.Close(); err != nil {
		s.Fatal(err)
	}
	if _, err := sp.Speculate(s.Context(), head.Hash, s.next(0)); err == nil {
		s.Error("speculate after close: want an error")
	}
}
