package executiontest

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

// RunLockstep runs the suite for clients whose blocks are made leg by leg.
func RunLockstep(t *testing.T, h LegHarness) {
	for _, test := range []struct {
		name string
		run  func(*suite, LegHarness)
	}{
		{"blocks in lockstep are those that Execute makes", testLockstep},
		{"a block in the making stands on the soft head", testBegin},
		{"a block in the making leaves no trace", testDrop},
		{"what was tried is kept or given up", testKeep},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(newSuite(t, h.Harness), h)
		})
	}
}

func (s *suite) begin(b execution.Block) execution.Making {
	s.Helper()
	m, err := s.client.(execution.Lockstep).Begin(s.Context(), s.session().Soft.Hash, b)
	if err != nil {
		s.Fatalf("begin: %v", err)
	}
	return m
}

// do fails the test where a call of the block in the making fails.
func (s *suite) do(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// testLockstep makes random blocks leg by leg, and has a second client execute them with
// the verdicts.
func testLockstep(s *suite, h LegHarness) {
	twin := newSuite(s.T, h.Harness)
	rng := rand.New(rand.NewPCG(1, 2))
	applied := map[execution.Verdict]int{}
	for range 20 {
		b := s.next(0)
		m := s.begin(b)
		sent := s.sent
		for range rng.IntN(6) {
			var txs [][]byte
			first := sent
			for range 1 + rng.IntN(3) {
				tx := s.Transaction(s.T, sent)
				if rng.IntN(8) == 0 {
					tx = h.Reverts(s.T, sent)
				}
				txs = append(txs, tx)
				sent++
			}
			if rng.IntN(6) == 0 {
				txs = append(txs, []byte("garbage"))
			}
			x := &terms.Terms{AllOrNothing: rng.IntN(2) == 0}
			rollups := 1 + rng.IntN(2)
			if rng.IntN(4) == 0 {
				x = nil
			}
			leg, txs := Leg(x, rollups, txs...)
			if x == nil || !x.AllOrNothing || rollups == 1 {
				s.do(m.Add(s.Context(), leg, txs))
			} else {
				ok, reason, err := m.Try(s.Context(), leg, txs)
				s.do(err)
				leg.Verdict = execution.Apply
				if !ok || rng.IntN(3) == 0 { // as if another rollup's leg could not be
					leg.Verdict, leg.Reason = execution.Refuse, reason+" and another leg"
				}
				s.do(m.Keep(s.Context(), leg.Verdict == execution.Apply, leg.Reason))
				applied[leg.Verdict]++
				if leg.Verdict == execution.Refuse {
					sent = first
				}
			}
			addLeg(&b, leg, txs)
			sent = first + uint64(rng.IntN(int(sent-first)+1)) // a guess
		}
		res, err := m.Commit(s.Context())
		s.do(err)
		m.Drop()
		s.same("soft head", s.session().Soft, res.Head)
		if want := twin.execute(b); !reflect.DeepEqual(res, want) {
			s.Fatalf("block made in lockstep:\n%+v\nexecuted with the verdicts:\n%+v", res, want)
		}
		s.sent = sent
		for {
			b := s.next(1) // finds the next transaction that applies
			one, two := s.execute(b), twin.execute(b)
			s.same("head of a second client", one.Head, two.Head)
			if len(one.Skipped) == 0 {
				break
			}
			if one.Skipped[0].Retry { // it comes too early
				s.sent = 0
			}
		}
	}
	if applied[execution.Apply] == 0 || applied[execution.Refuse] == 0 {
		s.Errorf("verdicts %v: the test shows little", applied)
	}
}

func testBegin(s *suite, _ LegHarness) {
	soft := s.session().Soft
	lockstep := s.client.(execution.Lockstep)
	_, err := lockstep.Begin(s.Context(), execution.Hash{1}, s.Block(1))
	s.fails(err, execution.ErrParent, "begin on another parent")
	head := s.applied(s.next(1))
	_, err = lockstep.Begin(s.Context(), soft.Hash, s.Block(2))
	s.fails(err, execution.ErrParent, "begin on a head of the past")
	_, err = lockstep.Begin(s.Context(), head.Hash, s.Block(1))
	s.fails(err, execution.ErrHeight, "begin a height once more")

	m := s.begin(s.next(0))
	s.applied(s.next(1))
	_, err = m.Commit(s.Context())
	s.fails(err, execution.ErrParent, "commit after the soft head has moved")
	m.Drop()
	m.Drop()
	if err := m.Add(s.Context(), execution.Leg{}, nil); err == nil {
		s.Error("add to a block that was given up: want an error")
	}
	if _, err := m.Commit(s.Context()); err == nil {
		s.Error("commit a block that was given up: want an error")
	}
}

func testDrop(s *suite, h LegHarness) {
	twin := newSuite(s.T, h.Harness)
	for i := range 4 {
		b := s.next(2)
		m := s.begin(b)
		s.do(m.Add(s.Context(), execution.Leg{}, b.Transactions))
		leg, txs := Leg(&terms.Terms{AllOrNothing: true}, 2, s.Transaction(s.T, s.sent))
		if ok, reason, err := m.Try(s.Context(), leg, txs); !ok || err != nil {
			s.Fatalf("try: %t %q %v", ok, reason, err)
		}
		soft := s.session().Soft
		if i == 3 {
			s.crash()
		} else {
			m.Drop()
		}
		s.same("soft head", s.session().Soft, soft)
		s.same("head of a client that began nothing", s.applied(b), twin.applied(b))
	}
	b := s.next(0)
	m := s.begin(b)
	res, err := m.Commit(s.Context())
	s.do(err)
	s.history = append(s.history, executed{b, res.Head})
	s.crash()
	s.same("soft head after a crash", s.session().Soft, res.Head)
	if m = s.begin(s.next(0)); s.client.Close() != nil {
		s.Fatal("close")
	}
	if _, err := m.Commit(s.Context()); err == nil {
		s.Error("commit after close: want an error")
	}
	m.Drop()
}

func testKeep(s *suite, h LegHarness) {
	m := s.begin(s.next(0))
	defer m.Drop()
	leg, txs := Leg(&terms.Terms{AllOrNothing: true}, 2, h.Reverts(s.T, 0))
	wrong := func(err error, what string) {
		s.Helper()
		if err == nil {
			s.Errorf("%s: want an error", what)
		}
	}
	wrong(m.Keep(s.Context(), false, "nothing was tried"), "keep what was not tried")
	ok, reason, err := m.Try(s.Context(), leg, txs)
	if s.do(err); ok || reason == "" {
		s.Errorf("a leg that reverts could be applied: %t, %q", ok, reason)
	}
	wrong(m.Keep(s.Context(), true, ""), "keep what could not be")

	m = s.begin(s.next(0))
	defer m.Drop()
	if _, _, err := m.Try(s.Context(), leg, txs); err != nil {
		s.Fatal(err)
	}
	wrong(m.Add(s.Context(), leg, txs), "add before a trial has ended")
	_, _, err = m.Try(s.Context(), leg, txs)
	wrong(err, "try before a trial has ended")
	_, err = m.Commit(s.Context())
	wrong(err, "commit before a trial has ended")

	m = s.begin(s.next(0))
	defer m.Drop()
	_, _, err = m.Try(s.Context(), leg, txs[1:])
	wrong(err, "try a leg without terms")
}
