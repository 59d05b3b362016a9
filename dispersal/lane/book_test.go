package lane

import (
	"errors"
	"testing"

	"github.com/ordo-network/ordo/order"
)

func newTestBook(t *testing.T, l *lab, limits BookLimits) *Book {
	t.Helper()
	b := NewBook(limits)
	s, _ := l.signed(0, mark(1, 1), order.Mark{})
	if err := b.Add(l.certificate(s)); !errors.Is(err, ErrFull) {
		t.Fatalf("a book without a view says %v", err)
	}
	b.View(l.view(nil))
	return b
}

func ends(b *Book) map[order.Owner]order.Mark {
	out := make(map[order.Owner]order.Mark)
	for _, lane := range b.Candidates() {
		out[lane[0].Header.Owner] = lane[len(lane)-1].Header.Mark
	}
	return out
}

func TestBookKeepsWhatIsNeededFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	b := newTestBook(t, l, BookLimits{LaneCertificates: 3, LaneBytes: 1 << 20, Bytes: 1 << 20})
	certs := l.run(0, 1, order.Mark{}, 5)
	for _, i := range []int{4, 3, 2} {
		if err := b.Add(certs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if got := ends(b); len(got) != 0 {
		t.Fatalf("candidates %v without the first of the lane", got)
	}
	if err := b.Add(certs[0]); err != nil { // at the cost of the fifth
		t.Fatal(err)
	}
	if b.Get(certs[4].Header.Position) != nil || b.Get(certs[3].Header.Position) == nil {
		t.Fatal("another than the last was dropped")
	}
	if err := b.Add(certs[1]); err != nil {
		t.Fatal(err)
	}
	if got := ends(b)[l.owner(0)]; got != mark(1, 3) {
		t.Fatalf("candidates to %v, want 1/3", got)
	}
	if err := b.Add(certs[3]); !errors.Is(err, ErrFull) {
		t.Fatalf("a fourth of three gives %v", err)
	}
	if wants := b.Missing([]order.Tip{{Owner: l.owner(0), Mark: mark(1, 5)}}); len(wants) != 0 {
		t.Fatalf("wants %v without room", wants)
	}
	b.View(l.view(map[order.Owner]order.LaneState{l.owner(0): {Mark: mark(1, 2)}}))
	if wants := b.Missing([]order.Tip{{Owner: l.owner(0), Mark: mark(1, 5)}, {Owner: order.Owner{9}, Mark: mark(1, 1)}}); len(wants) != 1 ||
		wants[0] != (Want{Owner: l.owner(0), After: mark(1, 3), Tip: mark(1, 5)}) {
		t.Fatalf("wants %v, want 1/4 and 1/5 of the one who is a member", wants)
	}
	for _, i := range []int{0, 1, 2} {
		if err := b.Add(certs[i]); !errors.Is(err, ErrKnown) {
			t.Fatalf("certificate %d again: %v", i, err)
		}
	}
}

func TestBookTakesFromWhoTakesMost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	greedy, modest := l.run(0, 1, order.Mark{}, 6), l.run(1, 1, order.Mark{}, 2)
	size := greedy[0].Size() + 8
	b := newTestBook(t, l, BookLimits{LaneCertificates: 100, LaneBytes: 1 << 20, Bytes: 5 * size})
	for i, c := range greedy {
		if err := b.Add(c); (err != nil) != (i >= 5) || err != nil && !errors.Is(err, ErrFull) {
			t.Fatalf("certificate %d of five that fit: %v", i, err)
		}
	}
	for _, c := range modest {
		if err := b.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if got := ends(b); got[l.owner(0)] != mark(1, 3) || got[l.owner(1)] != mark(1, 2) {
		t.Fatalf("candidates to %v, want 1/3 and 1/2", got)
	}
	sum := 0
	for _, c := range append(greedy[:3:3], modest...) {
		sum += c.Size()
	}
	if b.bytes != sum {
		t.Fatalf("the book counts %d bytes, holds %d", b.bytes, sum)
	}
	b.View(l.view(map[order.Owner]order.LaneState{l.owner(0): {Mark: mark(1, 3)}, l.owner(1): {Mark: mark(2, 1)}}))
	if b.bytes != 0 || len(b.lanes) != 0 {
		t.Fatalf("%d bytes and %d lanes are left when all is ordered", b.bytes, len(b.lanes))
	}
}

func TestBookFollowsForksToTheGreatest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	b := newTestBook(t, l, DefaultBookLimits())
	old := l.run(0, 1, order.Mark{}, 4)
	fork := l.run(0, 2, mark(1, 2), 2)
	for _, c := range append(append(fork[1:2:2], old...), fork[0]) {
		if err := b.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	lane := b.Candidates()[0]
	if len(lane) != 4 || lane[1].Header.Mark != mark(1, 2) || lane[2].Header.Mark != mark(2, 1) || lane[3].Header.Mark != mark(2, 2) {
		t.Fatalf("the way has %d certificates, want 1/1 1/2 2/1 2/2", len(lane))
	}
	if tips := b.Tips(); len(tips) != 0 {
		t.Fatalf("tips %v of what is not on disk", tips)
	}
	for _, m := range []order.Mark{mark(1, 1), mark(1, 2), mark(2, 2)} {
		b.Stored(order.Position{Owner: l.owner(0), Mark: m})
	}
	if tips := b.Tips(); len(tips) != 1 || tips[0].Mark != mark(1, 2) {
		t.Fatalf("tips %v, want 1/2: 2/1 is not on disk", tips)
	}
	b.Stored(order.Position{Owner: l.owner(0), Mark: mark(2, 1)})
	if tips := b.Tips(); tips[0].Mark != mark(2, 2) {
		t.Fatalf("tips %v, want 2/2", tips)
	}
	if got := b.Range(l.owner(0), mark(1, 1), 2, 1<<20); len(got) != 2 || got[0] != old[1] || got[1] != fork[0] {
		t.Fatalf("range gives %d, want 1/2 and 2/1", len(got))
	}
	if got := b.Range(l.owner(0), mark(1, 1), 9, old[1].Size()); len(got) != 1 {
		t.Fatalf("range gives %d where one fits", len(got))
	}
	b.View(l.view(map[order.Owner]order.LaneState{l.owner(0): {Mark: mark(1, 3)}})) // the chain took the other way
	if got := ends(b)[l.owner(0)]; got != mark(1, 4) {
		t.Fatalf("candidates to %v, want 1/4", got)
	}
	other, _ := l.signed(0, mark(1, 4), order.Mark{})
	if err := b.Add(l.certificate(other)); !errors.Is(err, ErrFork) {
		t.Fatalf("another batch for 1/4 gives %v", err)
	}
}
