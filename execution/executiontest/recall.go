package executiontest

import (
	"slices"

	"github.com/ordo-network/ordo/execution"
)

// testRecall asks a client that tells again, as a node does that was killed before it noted
// a result.
func testRecall(s *suite) {
	if _, can := s.client.(execution.Recaller); !can {
		s.Skip("the client is no execution.Recaller")
	}
	recall := func(b execution.Block) (execution.Result, bool) {
		s.Helper()
		res, ok, err := s.client.(execution.Recaller).Recall(s.Context(), b)
		if err != nil {
			s.Fatalf("recall sequencer block %d: %v", b.Height, err)
		}
		return res, ok
	}
	if _, ok := recall(s.next(1)); ok {
		s.Error("a client that has made no block recalls one")
	}
	s.sent = 0
	s.applied(s.next(1))
	b := s.next(2)
	b.Transactions = slices.Concat(garbage(), b.Transactions, garbage())
	want := s.execute(b)
	for _, restart := range []func(){func() {}, s.reopen, s.crash} {
		restart()
		got, ok := recall(b)
		if !ok {
			s.Fatal("the last block is not recalled")
		}
		s.same("head of the last block", got.Head, want.Head)
		if !slices.Equal(got.Skipped, want.Skipped) {
			s.Errorf("skipped %v, want %v", got.Skipped, want.Skipped)
		}
	}
	part, next := b, s.next(2)
	part.Transactions = b.Transactions[:len(garbage())+1]
	for what, other := range map[string]execution.Block{"a part of the block": part, "the block after it": next} {
		if _, ok := recall(other); ok {
			s.Errorf("%s is recalled", what)
		}
	}
	s.applied(next) // nothing has changed
}
