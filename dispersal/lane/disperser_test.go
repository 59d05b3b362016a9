package lane

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/ordo-network/ordo/order"
)

// newTestDisperser is that of member 0, which has begun its session after the view.
func newTestDisperser(l *lab, session uint64, own []*order.Certificate, v *View) (*Disperser, Ready) {
	d := NewDisperser(DisperserOptions{
		Self: l.owner(0), Keys: l.find, Verifier: NewVerifier(simChain, 100), WindowBytes: 1 << 20, WindowBatches: 3, RetryMin: 100, RetryMax: 400,
	})
	d.Restore(session, own)
	d.View(0, v)
	return d, d.Ready()
}

func (l *lab) disperse(d *Disperser) order.Position {
	l.t.Helper()
	batch, coded := l.batch(0)
	p, err := d.Disperse(0, d.Room(), Payload{
		Bundles: []order.BundleSummary{batch.Bundles[0].Summary()}, Length: batch.Size(), Layout: l.layout, Coded: coded,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// attest answers for the member.
func (l *lab) attest(d *Disperser, member int, p order.Position) error {
	id := d.flight[p.Sequence-d.flight[0].batch.Header.Sequence].id
	a := &order.Attestation{Member: uint32(member), Clock: 5}
	copy(a.Signature[:], ed25519.Sign(l.key(member), order.AttestationSignBytes(simChain, p, id, 5)))
	return d.Answered(0, l.owner(member), &Answer{Position: p, Batch: id, Attestation: a})
}

func (l *lab) refuse(d *Disperser, member int, p order.Position, r Refusal) error {
	for _, f := range d.flight {
		if f.batch.Header.Position == p {
			return d.Answered(0, l.owner(member), &Answer{Position: p, Batch: f.id, Refusal: &r})
		}
	}
	return nil
}

func TestDisperserGoesOnAfterItsCertificates(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	own := l.run(0, 3, order.Mark{}, 3)
	dead := l.run(0, 2, mark(1, 1), 1) // of a way that the chain did not take
	d, r := newTestDisperser(l, 5, append(dead, own...), l.view(map[order.Owner]order.LaneState{l.owner(0): {Mark: mark(3, 1)}}))
	if r.Session != 6 || len(r.Announce) != 2 || r.Announce[0] != own[1] || r.Announce[1] != own[2] {
		t.Fatalf("began session %d with %d certificates announced, want 6 and 3/2, 3/3", r.Session, len(r.Announce))
	}
	p := l.disperse(d)
	if p.Mark != mark(6, 1) || d.flight[0].batch.Header.After != mark(3, 3) {
		t.Fatalf("the first batch is %s after %s, want 6/1 after 3/3", p.Mark, d.flight[0].batch.Header.After)
	}
	if r := d.Ready(); len(r.Send) != 1 || r.Send[0].To != l.owner(0) || r.Send[0].Certificate != nil {
		t.Fatalf("sends %d before anybody is connected, want 1 to itself", len(r.Send))
	}
	d.Connected(1, l.owner(2))
	if r := d.Ready(); len(r.Send) != 1 || r.Send[0].To != l.owner(2) || r.Send[0].Certificate != own[2] {
		t.Fatal("who connects is not sent the batch with the certificate before it")
	}
}

func TestDisperserCertifiesInSequence(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	first, second := l.disperse(d), l.disperse(d)
	for member := range 3 {
		if err := l.attest(d, member, second); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.Ready(); r.Persist != nil {
		t.Fatal("the second certificate is there before the first")
	}
	for member := range 3 {
		if err := l.attest(d, member, first); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.Ready(); len(r.Persist) != 2 || r.Announce != nil {
		t.Fatalf("%d certificates to persist and %d to announce, want 2 and 0", len(r.Persist), len(r.Announce))
	}
	d.Persisted(0, second.Mark)
	if r := d.Ready(); r.Announce != nil {
		t.Fatal("the second is announced before the first is on disk")
	}
	d.Persisted(0, first.Mark)
	if r := d.Ready(); len(r.Announce) != 2 || r.Announce[0].Header.Mark != first.Mark {
		t.Fatalf("%d are announced, want 2", len(r.Announce))
	}
}

func TestDisperserEndsASessionThatIsHopeless(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	first, second := l.disperse(d), l.disperse(d)
	for member := range 3 {
		if err := l.attest(d, member, first); err != nil {
			t.Fatal(err)
		}
	}
	old := d.Room()
	d.Ready()
	for member := range 2 {
		if d.Ready().Ended != nil {
			t.Fatal("one of four ends the session")
		}
		if err := l.refuse(d, 1+member, second, Refusal{Reason: ReasonLost}); err != nil {
			t.Fatal(err)
		}
	}
	if r := d.Ready(); r.Ended == nil || r.Session != 0 {
		t.Fatalf("ended: %v, began %d; want an end, and no session while a certificate is being persisted", r.Ended, r.Session)
	}
	if _, err := d.Disperse(0, old, Payload{}); !errors.Is(err, ErrSession) {
		t.Fatalf("a batch of the session that ended: %v", err)
	}
	d.Persisted(0, first.Mark)
	d.Ready()
	if d.Deadline() != 100 {
		t.Fatalf("the deadline is %d, want 100: members must not make a node begin sessions without end", d.Deadline())
	}
	d.Tick(100)
	if r := d.Ready(); r.Session != 2 || d.after != first.Mark {
		t.Fatalf("began session %d after %s, want 2 after 1/1", r.Session, d.after)
	}
}

func TestDisperserGivesUpWhatSomeRefuseAndOthersIgnore(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	p := l.disperse(d)
	for member := range 2 {
		if err := l.attest(d, member, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.refuse(d, 2, p, Refusal{Reason: ReasonLost}); err != nil { // the fourth says nothing
		t.Fatal(err)
	}
	d.Tick(399)
	if r := d.Ready(); r.Ended != nil || d.Deadline() != 400 {
		t.Fatalf("ended: %v, deadline %d; want to wait until 400 for the fourth", r.Ended, d.Deadline())
	}
	d.Tick(400)
	if r := d.Ready(); r.Ended == nil {
		t.Fatal("waits for the fourth forever")
	}
	d.Tick(500)
	if d.Ready().Session != 2 {
		t.Fatal("no session after it")
	}
	l.disperse(d)
	if d.Room().Bytes != 0 {
		t.Fatal("room for a second batch before one of the new session is certified")
	}
}

func TestDisperserSeesThatItWasOvertaken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	l.disperse(d)
	d.Ready()
	d.View(0, l.view(map[order.Owner]order.LaneState{l.owner(0): {Mark: mark(4, 2)}}))
	if r := d.Ready(); r.Ended == nil || r.Session != 5 || d.after != mark(4, 2) {
		t.Fatalf("ended: %v, began session %d after %s, want 5 after 4/2", r.Ended, r.Session, d.after)
	}
}

func TestDisperserEndsASessionWithItsEpoch(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	l.disperse(d)
	room := d.Room()
	d.Ready()
	for epoch := uint64(1); epoch <= 2; epoch++ {
		v := l.view(nil)
		v.Epoch = epoch
		for i := range v.Committees {
			c, err := order.NewCommittee(epoch-uint64(i), l.committee.Members)
			if err != nil {
				t.Fatal(err)
			}
			v.Committees[i] = c
		}
		d.View(0, v)
		if r := d.Ready(); (r.Ended != nil) != (epoch == 2) {
			t.Fatalf("in epoch %d: %v", epoch, r.Ended)
		}
		if epoch == 1 {
			if _, err := d.Disperse(0, room, Payload{}); !errors.Is(err, order.ErrEpoch) {
				t.Fatalf("a batch that is coded for the epoch before: %v", err)
			}
		}
	}
}

func TestDisperserKeepsItsWindow(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	for range 3 {
		if d.Room().Bytes == 0 {
			t.Fatal("no room in a window of 3 batches")
		}
		l.disperse(d)
	}
	if d.Room().Bytes != 0 {
		t.Fatal("room for a fourth batch in flight")
	}
	stranger, _ := newTestDisperser(l, 0, nil, l.view(nil))
	stranger.o.Keys = func([32]byte) ed25519.PrivateKey { return nil }
	if stranger.Room().Bytes != 0 {
		t.Fatal("room without a key")
	}
}

func TestDisperserSendsAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	d.Connected(0, l.owner(1))
	first, second := l.disperse(d), l.disperse(d)
	d.Ready()
	times := 0
	for now := uint64(0); now < 1500; now++ {
		if at := d.Deadline(); at == 0 || at > now {
			continue
		}
		d.Tick(now)
		for _, s := range d.Ready().Send {
			if s.To == l.owner(1) {
				times++
			}
		}
	}
	if times != 2*5 { // at 100, 200, 400, 800, 1200
		t.Fatalf("2 batches were sent again %d times in all, want 10", times)
	}
	if err := l.attest(d, 1, first); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} { // an answer to all of the burst, not to each
		if err := d.Answered(5000, l.owner(1), &Answer{Position: second, Batch: d.flight[1].id, Refusal: &Refusal{Reason: ReasonSequence}}); err != nil {
			t.Fatal(err)
		}
		if got := len(d.Ready().Send); got != want {
			t.Fatalf("refusal %d: %d sent, want %d", i, got, want)
		}
	}
	for name, a := range map[string]*Answer{
		"another batch":   {Position: second, Attestation: &order.Attestation{Member: 1}},
		"another member":  {Position: second, Batch: d.flight[1].id, Attestation: &order.Attestation{Member: 2}},
		"nothing":         {Position: second, Batch: d.flight[1].id},
		"unknown refusal": {Position: second, Batch: d.flight[1].id, Refusal: &Refusal{Reason: 99}},
		"another lane":    {Position: order.Position{Owner: l.owner(1), Mark: second.Mark}},
	} {
		if err := d.Answered(0, l.owner(1), a); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Members that go on to say that a batch is not paid for are right: somebody has spent the
// money after the batch was made. The lane does not wait for it.
func TestDisperserGivesUpWhatIsNotPaidFor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, _ := newTestDisperser(l, 0, nil, l.view(nil))
	p := l.disperse(d)
	for _, now := range []uint64{10, 199, 200} {
		for _, member := range []int{1, 2} {
			answer := &Answer{Position: p, Batch: d.flight[0].id, Refusal: &Refusal{Reason: ReasonUnpaid}}
			if err := d.Answered(now, l.owner(member), answer); err != nil {
				t.Fatal(err)
			}
		}
		if ended := d.Ready().Ended; (ended != nil) != (now == 200) {
			t.Fatalf("at %d the session ended: %v", now, ended)
		}
	}
}
