package lane

import (
	"testing"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// newTestKeeper is that of member 1.
func newTestKeeper(l *lab, v *View) *Keeper {
	k := NewKeeper(simChain, l.owner(1), l.find)
	k.View(v)
	return k
}

// give offers the batch of member 0 to the keeper.
func (l *lab) give(k *Keeper, clock uint64, s *order.SignedBatch, coded *shard.Coded) Verdict {
	l.t.Helper()
	o := l.offer(s, coded, 1)
	if a := k.Screen(s); a != nil {
		return Verdict{Answers: a}
	}
	c, refusal := Check(k.view, l.layout, l.owner(1), o)
	if refusal != nil {
		l.t.Fatal(refusal)
	}
	return k.Offer(clock, c)
}

// reason is that of the only answer, 0 where there is none, 99 for an attestation.
func (v Verdict) reason(t *testing.T) Reason {
	t.Helper()
	switch {
	case len(v.Answers) == 0:
		return 0
	case len(v.Answers) > 1:
		t.Fatalf("%d answers", len(v.Answers))
	case v.Answers[0].Attestation != nil:
		return 99
	}
	return v.Answers[0].Refusal.Reason
}

func TestKeeperAttestsWhatIsStored(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	k := newTestKeeper(l, l.view(nil))
	first, coded := l.signed(0, mark(1, 1), order.Mark{})
	v := l.give(k, 700, first, coded)
	if v.reason(t) != 0 || v.Store == nil || v.Store.Clock != 700 {
		t.Fatalf("a new batch gives %+v, want a record to store", v)
	}
	if v := l.give(k, 800, first, coded); v.reason(t) != ReasonBusy || v.Store != nil {
		t.Fatalf("again while it is being stored: %+v", v)
	}
	second, coded2 := l.signed(0, mark(1, 2), order.Mark{})
	if v := l.give(k, 600, second, coded2); v.Store == nil || v.Store.Clock != 700 {
		t.Fatalf("the next one by a clock that went back gives %+v, want a record with the clock of before", v)
	}
	if got := k.Stored(second.Header.Position); len(got) != 0 {
		t.Fatalf("%d attestations before the first is stored", len(got))
	}
	if got := k.Failed(first.Header.Position, false); len(got) != 1 || got[0].Refusal.Reason != ReasonBusy {
		t.Fatalf("a write that failed answers %+v", got)
	}
	v = l.give(k, 900, first, coded)
	if v.Store == nil || v.Store.Clock != 700 {
		t.Fatalf("after a failed write: %+v, want the same record", v)
	}
	got := k.Stored(first.Header.Position)
	if len(got) != 2 || got[0].Attestation == nil || got[0].Attestation.Clock != 700 || got[1].Position != second.Header.Position {
		t.Fatalf("when both are stored: %+v, want both attestations", got)
	}
	for _, a := range got {
		if err := l.committee.VerifyAttestation(simChain, a.Position, a.Batch, *a.Attestation); err != nil {
			t.Fatal(err)
		}
	}
	if v := l.give(k, 900, first, coded); v.reason(t) != 99 || *v.Answers[0].Attestation != *got[0].Attestation {
		t.Fatalf("again later: %+v, want the same attestation", v)
	}
	other, coded3 := l.signed(0, mark(1, 2), order.Mark{})
	v = l.give(k, 900, other, coded3)
	if v.reason(t) != ReasonConflict || v.Evidence == nil || v.Evidence.Offender != l.owner(0) ||
		v.Evidence.First.Core != second.Header.Core(simChain) || v.Evidence.Second.Core != other.Header.Core(simChain) ||
		v.Evidence.First.Signature != second.Signature || v.Evidence.Second.Signature != other.Signature {
		t.Fatalf("another batch for the position: %+v", v)
	}
}

func TestKeeperRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	at := func(m order.Mark) map[order.Owner]order.LaneState {
		return map[order.Owner]order.LaneState{l.owner(0): {Mark: m}}
	}
	small := l.view(nil)
	small.Params.LaneQuotaBytes = minCharge - 1
	closed := l.view(nil)
	closed.Committees = [2]*order.Committee{}
	for name, test := range map[string]struct {
		view      *View
		certified order.Mark
		at, after order.Mark
		want      Reason
	}{
		"the first":                      {l.view(nil), order.Mark{}, mark(1, 1), order.Mark{}, 0},
		"the second first":               {l.view(nil), order.Mark{}, mark(1, 2), order.Mark{}, ReasonSequence},
		"after one that is certified":    {l.view(nil), mark(1, 4), mark(1, 5), order.Mark{}, 0},
		"one that is certified":          {l.view(nil), mark(1, 4), mark(1, 4), order.Mark{}, ReasonDone},
		"after one that is ordered":      {l.view(at(mark(3, 2))), order.Mark{}, mark(3, 3), order.Mark{}, 0},
		"one that is ordered":            {l.view(at(mark(3, 2))), order.Mark{}, mark(3, 1), mark(1, 1), ReasonDone},
		"an earlier session":             {l.view(at(mark(3, 2))), order.Mark{}, mark(2, 9), order.Mark{}, ReasonSession},
		"a session after the mark":       {l.view(at(mark(3, 2))), order.Mark{}, mark(9, 1), mark(3, 2), 0},
		"a session after certificates":   {l.view(at(mark(3, 2))), mark(3, 5), mark(4, 1), mark(3, 5), 0},
		"a session after the unknown":    {l.view(at(mark(3, 2))), order.Mark{}, mark(4, 1), mark(3, 5), ReasonSequence},
		"a session after what is past":   {l.view(at(mark(3, 2))), order.Mark{}, mark(4, 1), mark(3, 1), ReasonSession},
		"a session before the certified": {l.view(nil), mark(5, 1), mark(4, 1), order.Mark{}, ReasonSession},
		"more than the quota":            {small, order.Mark{}, mark(1, 1), order.Mark{}, ReasonQuota},
		"an epoch that is not open":      {closed, order.Mark{}, mark(1, 1), order.Mark{}, ReasonEpoch},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := l.signed(0, test.at, test.after)
			k := newTestKeeper(l, test.view)
			if test.certified != (order.Mark{}) {
				k.Certified(&order.BatchHeader{Position: order.Position{Owner: l.owner(0), Mark: test.certified}})
			}
			got := Verdict{Answers: k.Screen(s)}
			if got.reason(t) != test.want {
				t.Fatalf("got %v, want %v", got.reason(t), test.want)
			}
		})
	}
	k := NewKeeper(simChain, l.owner(1), l.find)
	s, _ := l.signed(0, mark(1, 1), order.Mark{})
	if got := (Verdict{Answers: k.Screen(s)}); got.reason(t) != ReasonBusy {
		t.Fatalf("before the first view: %+v", got)
	}
}

func TestKeeperRestores(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var held []*Record
	var offers []*order.SignedBatch
	var codes []*shard.Coded
	for i := range 4 {
		s, coded := l.signed(0, mark(2, uint64(i+1)), order.Mark{})
		offers, codes = append(offers, s), append(codes, coded)
		if i != 1 { // the disk lost it
			held = append(held, &Record{Clock: uint64(100 + i), Batch: s})
		}
	}
	k := NewKeeper(simChain, l.owner(1), l.find)
	k.Restore(Spent{Position: order.Position{Owner: l.owner(0), Mark: mark(2, 4)}}, held)
	k.View(l.view(nil))
	for i, want := range []Reason{99, ReasonLost, ReasonSequence, ReasonSequence} {
		if got := l.give(k, 5, offers[i], codes[i]).reason(t); got != want {
			t.Errorf("batch %d: %v, want %v", i+1, got, want)
		}
	}
	got := k.Certified(&offers[1].Header) // others attested it
	if len(got) != 2 || got[0].Attestation.Clock != 102 || got[1].Attestation.Clock != 103 {
		t.Fatalf("when what was lost is certified: %+v, want the attestations of what follows", got)
	}
	next, coded := l.signed(0, mark(2, 5), order.Mark{})
	if v := l.give(k, 5, next, coded); v.Store == nil || v.Store.Clock != 103 {
		t.Fatalf("the next: %+v, want the clock of the last record", v)
	}
	k.View(l.view(map[order.Owner]order.LaneState{l.owner(0): {Mark: mark(2, 4)}}))
	if lane := k.lanes[l.owner(0)]; len(lane.batches) != 1 || lane.charge != minCharge {
		t.Fatalf("%d batches of %d bytes are kept when all but one are ordered", len(lane.batches), lane.charge)
	}
}

// What was pruned is not attested anew, and the clock does not fall either.
func TestKeeperRestoresWithoutRecords(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	k := newTestKeeper(l, l.view(nil))
	first, coded := l.signed(0, mark(3, 1), order.Mark{})
	if v := l.give(k, 700, first, coded); v.Store == nil {
		t.Fatalf("a new batch gives %+v", v)
	}
	k.Stored(first.Header.Position)
	spent := k.Spent()
	if len(spent) != 1 || spent[0] != (Spent{first.Header.Position, 700}) {
		t.Fatalf("spent is %+v", spent)
	}
	k = NewKeeper(simChain, l.owner(1), l.find)
	k.Restore(spent[0], nil)
	k.View(l.view(nil))
	if again := k.Spent(); len(again) != 1 || again[0] != spent[0] {
		t.Fatalf("after a restart spent is %+v, want %+v", again, spent)
	}
	other, coded2 := l.signed(0, mark(3, 1), order.Mark{})
	if got := l.give(k, 800, other, coded2).reason(t); got != ReasonLost {
		t.Fatalf("another batch for the position: %v, want %v", got, ReasonLost)
	}
	older, coded3 := l.signed(0, mark(2, 1), order.Mark{})
	if got := l.give(k, 800, older, coded3).reason(t); got != ReasonSession {
		t.Fatalf("a session before: %v, want %v", got, ReasonSession)
	}
	next, coded4 := l.signed(0, mark(4, 1), order.Mark{})
	if v := l.give(k, 600, next, coded4); v.Store == nil || v.Store.Clock != 700 {
		t.Fatalf("the next session gives %+v, want a record with a clock of 700", v)
	}
}

// After a restart one offer is enough for the attestations of all that is on disk.
func TestKeeperAnswersWhatFollows(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var held []*Record
	for i := range 3 {
		s, _ := l.signed(0, mark(1, uint64(i+1)), order.Mark{})
		held = append(held, &Record{Clock: 5, Batch: s})
	}
	k := NewKeeper(simChain, l.owner(1), l.find)
	k.Restore(Spent{Position: held[2].Batch.Header.Position}, held)
	k.View(l.view(nil))
	got := k.Screen(held[0].Batch)
	if len(got) != 3 {
		t.Fatalf("%d answers, want 3", len(got))
	}
	for i, a := range got {
		if a.Attestation == nil || a.Position != held[i].Batch.Header.Position {
			t.Errorf("answer %d is %+v", i, a)
		}
	}
}
