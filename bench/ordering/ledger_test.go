package ordering

import (
	"errors"
	"testing"
	"time"
)

// clock is a time that a test sets.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestLedgerCountsEachPayloadOnceAndOnlyItsOwn(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1000, 0)}
	l := newLedger(c.now)
	a, b := &entry{size: 10, due: c.at}, &entry{size: 10, validator: 1, due: c.at}
	l.enter(key{1}, a)
	l.enter(key{2}, b)
	c.at = c.at.Add(time.Millisecond)
	l.ack(a, nil)
	l.certify(1, key{1}) // another validator's word
	l.certify(1, key{2})
	c.at = c.at.Add(time.Millisecond)
	l.order(key{1}, 9, 5) // not all of it
	l.order(key{3}, 10, 5)
	if l.outstanding() != 2 {
		t.Fatalf("%d outstanding before anything was ordered", l.outstanding())
	}
	l.head(5)
	l.order(key{1}, 10, 5)
	c.at = c.at.Add(time.Millisecond)
	l.order(key{1}, 10, 6)
	l.head(5)
	if l.outstanding() != 1 || l.duplicates != 1 {
		t.Errorf("%d outstanding, %d twice", l.outstanding(), l.duplicates)
	}
	if !a.certified.IsZero() || b.certified.Sub(b.due) != time.Millisecond {
		t.Errorf("certified %v and %v", a.certified, b.certified)
	}
	if a.height != 5 || a.ordered.Sub(a.due) != 2*time.Millisecond || l.heads[5].Sub(a.due) != 2*time.Millisecond {
		t.Errorf("ordered at height %d, %v; block at %v", a.height, a.ordered, l.heads[5])
	}
	l.ack(b, errors.New("no"))
	if l.outstanding() != 0 {
		t.Errorf("%d outstanding after a refusal", l.outstanding())
	}
	l.order(key{2}, 10, 7) // the answer was lost, the payload was not
	if l.outstanding() != 0 || b.height != 7 {
		t.Errorf("%d outstanding, height %d", l.outstanding(), b.height)
	}
}

func TestLateIsWhatTookLongerOrWill(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1000, 0)}
	l := newLedger(c.now)
	start := c.at
	var entries []*entry
	for i := range 4 {
		entries = append(entries, &entry{size: 1, due: start.Add(time.Duration(i) * time.Second)})
		l.enter(key{byte(i)}, entries[i])
	}
	c.at = start.Add(500 * time.Millisecond)
	l.order(key{0}, 1, 1)
	if n := l.late(entries, time.Second); n != 0 {
		t.Errorf("%d late, want none: one is ordered, the others are not due", n)
	}
	c.at = start.Add(2500 * time.Millisecond)
	if n := l.late(entries, time.Second); n != 1 {
		t.Errorf("%d late, want the second", n)
	}
	l.order(key{1}, 1, 2)
	l.ack(entries[2], errBusy)
	if n := l.late(entries, time.Second); n != 2 {
		t.Errorf("%d late, want the second and the refused third", n)
	}
}
