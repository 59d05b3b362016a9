package executiontest

import (
	"slices"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

// LegHarness is a Harness of clients that know what legs and terms are.
type LegHarness struct {
	Harness
	// Reverts returns the n-th transaction of Transaction's sender, in place of that one:
	// it is applied, and fails.
	Reverts func(t *testing.T, n uint64) []byte
	// TransactionHash is the hash by which terms name a transaction.
	TransactionHash func(tx []byte) execution.Hash
}

// RunTerms runs the suite for legs with terms.
func RunTerms(t *testing.T, h LegHarness) {
	for _, test := range []struct {
		name string
		run  func(*suite, LegHarness)
	}{
		{"a leg with terms is applied as one", testAsOne},
		{"all or nothing over rollups wants a verdict", testVerdict},
		{"terms hold only where legs are known", testNoLegs},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(newSuite(t, h.Harness), h)
		})
	}
}

// Leg returns a leg of the transactions; terms stand first in it where t is not nil, and
// its bundle has as many legs as there are rollups.
func Leg(t *terms.Terms, rollups int, txs ...[]byte) (execution.Leg, [][]byte) {
	if t != nil {
		txs = append([][]byte{t.Encode()}, txs...)
	}
	return execution.Leg{Rollups: make([]execution.Hash, rollups), Transactions: len(txs)}, txs
}

// addLeg appends a leg to the block.
func addLeg(b *execution.Block, leg execution.Leg, txs [][]byte) {
	leg.Height, leg.Position = b.Height, len(b.Legs)
	leg.Bundle = execution.Hash{byte(b.Height), byte(len(b.Legs))}
	b.Legs = append(b.Legs, leg)
	b.Transactions = append(b.Transactions, txs...)
}

// refused checks that all of a leg's transactions are skipped, for a reason, for ever.
func (s *suite) refused(res execution.Result, first, n int, reason string) {
	s.Helper()
	for i := first; i < first+n; i++ {
		at := slices.IndexFunc(res.Skipped, func(x execution.Skipped) bool { return x.Index == i })
		if at < 0 {
			s.Errorf("transaction %d of a leg that is not applied is not skipped: %+v", i, res.Skipped)
			continue
		}
		if x := res.Skipped[at]; x.Retry || !strings.Contains(x.Reason, reason) {
			s.Errorf("transaction %d skipped for %q, to be tried again: %t; want a reason with %q, and never again", i, x.Reason, x.Retry, reason)
		}
	}
}

func testAsOne(s *suite, h LegHarness) {
	good, bad, gap := s.Transaction(s.T, 0), h.Reverts(s.T, 1), s.Transaction(s.T, 5)
	never := [][]byte{[]byte("garbage"), {}, terms.Terms{}.Encode(), gap, bad, good}
	for _, tx := range append(never, s.Invalid...) {
		b := s.next(0)
		leg, txs := Leg(&terms.Terms{}, 1, good, tx)
		addLeg(&b, leg, txs)
		s.refused(s.execute(b), 0, 3, "leg not applied: ")
	}
	soft := s.session().Soft
	number, second := soft.Number, uint64(soft.Time.Unix())
	for _, test := range []struct {
		reason string
		terms  terms.Terms
	}{
		{"is before the first", terms.Terms{MinBlock: number + 1000}},
		{"is after the last", terms.Terms{MaxBlock: number}},
		{"is before the first", terms.Terms{MinTime: second + 1000}},
	} {
		b := s.next(0)
		leg, txs := Leg(&test.terms, 1, good)
		addLeg(&b, leg, txs)
		s.refused(s.execute(b), 0, 2, test.reason)
	}
	b := s.next(0)
	leg, txs := Leg(nil, 1, append(terms.Terms{}.Encode(), 0), good)
	addLeg(&b, leg, txs)
	s.refused(s.execute(b), 0, 2, "terms are not valid")

	// Nothing of all that stays behind: the same transactions apply in a leg that may.
	b = s.next(0)
	leg, txs = Leg(&terms.Terms{MayRevert: [][32]byte{h.TransactionHash(bad)}}, 1, good, bad)
	addLeg(&b, leg, txs)
	res := s.execute(b)
	if len(res.Skipped) != 0 {
		s.Fatalf("skipped %+v of a leg whose terms hold", res.Skipped)
	}
	if res.Outcomes != nil && slices.Contains(res.Outcomes, execution.Outcome{}) {
		s.Error("what was applied has no outcome, terms among it")
	}
}

func testVerdict(s *suite, h LegHarness) {
	apart := terms.Terms{AllOrNothing: true}
	good := s.Transaction(s.T, 0)
	b := s.next(0)
	leg, txs := Leg(&apart, 2, good)
	addLeg(&b, leg, txs)
	s.refused(s.execute(b), 0, 2, "all or nothing over rollups that are not executed together")

	b = s.next(0)
	leg.Verdict, leg.Reason = execution.Refuse, "of a matter of taste"
	addLeg(&b, leg, txs)
	s.refused(s.execute(b), 0, 2, "of a matter of taste")

	b = s.next(0)
	leg.Verdict, leg.Reason = execution.Apply, ""
	addLeg(&b, leg, txs)
	if res := s.execute(b); len(res.Skipped) != 0 {
		s.Errorf("skipped %+v of a leg that is to be applied", res.Skipped)
	}
	b = s.next(0)
	leg, txs = Leg(&apart, 1, s.Transaction(s.T, 1))
	addLeg(&b, leg, txs)
	if res := s.execute(b); len(res.Skipped) != 0 {
		s.Errorf("skipped %+v: all of one leg is all", res.Skipped)
	}
	// A verdict that cannot be kept is of another chain.
	b = s.next(0)
	leg, txs = Leg(&apart, 2, h.Reverts(s.T, 2))
	leg.Verdict = execution.Apply
	addLeg(&b, leg, txs)
	if _, err := s.client.Execute(s.Context(), s.session().Soft.Hash, b); err == nil {
		s.Error("a leg that reverts is to be applied: want an error")
	}
}

func testNoLegs(s *suite, _ LegHarness) {
	b := s.next(0)
	leg, txs := Leg(&terms.Terms{MaxBlock: 1}, 1, s.Transaction(s.T, 0))
	addLeg(&b, leg, txs)
	b.Legs = nil
	res := s.execute(b)
	if len(res.Skipped) != 1 || res.Skipped[0].Index != 0 {
		s.Errorf("skipped %+v, want the terms alone", res.Skipped)
	}
	wrong := s.next(1)
	wrong.Legs = []execution.Leg{{Transactions: 2}}
	if _, err := s.client.Execute(s.Context(), s.session().Soft.Hash, wrong); err == nil {
		s.Error("legs of more transactions than there are: want an error")
	}
}
