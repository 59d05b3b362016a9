package lane

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// lab is a committee of four with the same stake, whose keys are at hand.
type lab struct {
	t         testing.TB
	committee *order.Committee
	layout    *shard.Layout
	keys      map[[32]byte]ed25519.PrivateKey
	serial    byte
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{t: t, keys: make(map[[32]byte]ed25519.PrivateKey)}
	var members []order.Member
	for i := range 4 {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i + 1)}, 32))
		m := order.Member{Owner: order.Owner{byte(i + 1)}, Key: [32]byte(key.Public().(ed25519.PublicKey)), Stake: 10}
		l.keys[m.Key] = key
		members = append(members, m)
	}
	var err error
	if l.committee, err = order.NewCommittee(0, members); err != nil {
		t.Fatal(err)
	}
	if l.layout, err = Layout(l.committee); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) find(public [32]byte) ed25519.PrivateKey { return l.keys[public] }

func (l *lab) key(member int) ed25519.PrivateKey { return l.keys[l.committee.Members[member].Key] }

func (l *lab) owner(member int) order.Owner { return l.committee.Members[member].Owner }

func (l *lab) view(lanes map[order.Owner]order.LaneState) *View {
	return &View{
		ChainID: simChain, Committees: [2]*order.Committee{l.committee}, Lanes: lanes,
		Params: Params{MaxBatchBytes: 1 << 20, LaneQuotaBytes: 64 << 20},
	}
}

// batch codes a batch for the member's lane of one bundle that is like no other.
func (l *lab) batch(member int) (*order.Batch, *shard.Coded) {
	l.t.Helper()
	l.serial++
	b := &order.Bundle{Expiry: 1, Legs: []order.Leg{{RollupID: order.RollupID{1}, Transactions: [][]byte{{l.serial}}}}}
	b.Sign(simChain, l.owner(member), l.key(0))
	batch, coded := &order.Batch{Bundles: []*order.Bundle{b}}, new(shard.Coded)
	if err := coded.Encode(l.layout, batch.Encode()); err != nil {
		l.t.Fatal(err)
	}
	return batch, coded
}

// signed is the member's batch for the mark, and its shards.
func (l *lab) signed(member int, at, after order.Mark) (*order.SignedBatch, *shard.Coded) {
	l.t.Helper()
	batch, coded := l.batch(member)
	s := &order.SignedBatch{Header: order.BatchHeader{
		Position: order.Position{Owner: l.owner(member), Mark: at}, After: after, Root: order.Digest(coded.Root()),
		Length: uint64(batch.Size()), Bundles: []order.BundleSummary{batch.Bundles[0].Summary()},
	}}
	s.Sign(simChain, l.key(member))
	return s, coded
}

// offer is what the owner sends to the member.
func (l *lab) offer(s *order.SignedBatch, coded *shard.Coded, member int) *Offer {
	l.t.Helper()
	o := l.owner(member)
	share, err := coded.Share(l.layout.Range(o[:]))
	if err != nil {
		l.t.Fatal(err)
	}
	return &Offer{Batch: s, Share: share}
}

// certificate is that of the batch, by the first three members.
func (l *lab) certificate(s *order.SignedBatch) *order.Certificate {
	c := &order.Certificate{Header: s.Header}
	id := s.Header.ID(simChain)
	for i := range uint32(3) {
		a := order.Attestation{Member: i, Clock: 5}
		copy(a.Signature[:], ed25519.Sign(l.key(int(i)), order.AttestationSignBytes(simChain, s.Header.Position, id, 5)))
		c.Attestations = append(c.Attestations, a)
	}
	owner, _ := l.committee.Index(s.Header.Owner)
	c.Sign(simChain, l.key(owner))
	return c
}

// run is that many certificates of one session.
func (l *lab) run(member int, session uint64, after order.Mark, n int) []*order.Certificate {
	l.t.Helper()
	var out []*order.Certificate
	for i := range n {
		s, _ := l.signed(member, order.Mark{Session: session, Sequence: uint64(i + 1)}, after)
		out = append(out, l.certificate(s))
		after = order.Mark{}
	}
	return out
}

func mark(session, sequence uint64) order.Mark {
	return order.Mark{Session: session, Sequence: sequence}
}

func TestVerifierRemembersTwoGenerations(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	v := NewVerifier(simChain, 2)
	certs := l.run(0, 1, order.Mark{}, 5)
	for i, c := range certs {
		if err := v.Verify(l.committee, c); err != nil {
			t.Fatal(err)
		}
		for _, last := range certs[max(0, i-1) : i+1] {
			if !v.known(verified{last.Hash(), 0}) {
				t.Fatalf("one of the last 2 certificates is forgotten after %d", i)
			}
		}
		if n := len(v.young) + len(v.old); n > 4 {
			t.Fatalf("%d certificates are remembered, want at most 4", n)
		}
	}
	if v.known(verified{certs[0].Hash(), 0}) {
		t.Fatal("the first of five is remembered")
	}
	bad := *certs[0]
	bad.Signature[0]++
	for range 2 { // what is wrong stays wrong
		if err := v.Verify(l.committee, &bad); !errors.Is(err, order.ErrSignature) {
			t.Fatalf("a bad signature gives %v", err)
		}
	}
	later, err := order.NewCommittee(1, l.committee.Members)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Verify(later, certs[4]); !errors.Is(err, order.ErrEpoch) {
		t.Fatalf("the committee of another epoch gives %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sign := func(o *Offer) { o.Batch.Sign(simChain, l.key(0)) }
	for name, test := range map[string]struct {
		want   Reason
		change func(v *View, o *Offer)
	}{
		"nothing":           {0, func(*View, *Offer) {}},
		"another epoch":     {ReasonEpoch, func(_ *View, o *Offer) { o.Batch.Header.Epoch = 1; sign(o) }},
		"owner no member":   {ReasonCommittee, func(_ *View, o *Offer) { o.Batch.Header.Owner[19] = 1; sign(o) }},
		"too large":         {ReasonHeader, func(v *View, _ *Offer) { v.Params.MaxBatchBytes = 10 }},
		"owner's signature": {ReasonSignature, func(_ *View, o *Offer) { o.Batch.Signature[3]++ }},
		"payer's signature": {ReasonPayer, func(_ *View, o *Offer) { o.Batch.Header.Bundles[0].Signature[3]++; sign(o) }},
		"for another lane": {ReasonPayer, func(_ *View, o *Offer) {
			b, _ := l.batch(1)
			o.Batch.Header.Bundles[0].Signature = b.Bundles[0].Signature
			o.Batch.Header.Bundles[0].Legs = b.Bundles[0].Summaries()
			sign(o)
		}},
		"another's share":     {ReasonShare, func(_ *View, o *Offer) { o.Share.First = 0 }},
		"damaged share":       {ReasonShare, func(_ *View, o *Offer) { o.Share.Shards[0]++ }},
		"half a share":        {ReasonShare, func(_ *View, o *Offer) { o.Share.Shards = o.Share.Shards[:1] }},
		"another root":        {ReasonShare, func(_ *View, o *Offer) { o.Batch.Header.Root[0]++; sign(o) }},
		"length without root": {ReasonShare, func(_ *View, o *Offer) { o.Batch.Header.Length++; sign(o) }},
	} {
		t.Run(name, func(t *testing.T) {
			s, coded := l.signed(0, mark(1, 1), order.Mark{})
			o, v := l.offer(s, coded, 1), l.view(nil)
			o.Share.Shards = bytes.Clone(o.Share.Shards)
			test.change(v, o)
			_, refusal := Check(v, l.layout, l.owner(1), o)
			if got := refusal; (got == nil) != (test.want == 0) || got != nil && got.Reason != test.want {
				t.Fatalf("got %v, want %v", got, test.want)
			}
		})
	}
	s, coded := l.signed(0, mark(1, 1), order.Mark{})
	if _, r := Check(l.view(nil), l.layout, order.Owner{9}, l.offer(s, coded, 1)); r == nil || r.Reason != ReasonCommittee {
		t.Fatalf("who is no member gets %v", r)
	}
}

// A header shows the summaries of a lane's bundles to all members. None of them gets a
// batch of its own attested by them over data that it makes up.
func TestNoBundleOfAnotherLaneWithoutItsData(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const honest, hostile = 0, 1
	// refusals are of a batch in the hostile lane of those bundles, over zeros.
	refusals := func(bundles []order.BundleSummary, length uint64) (out []*Refusal) {
		coded := new(shard.Coded)
		if err := coded.Encode(l.layout, make([]byte, length)); err != nil {
			t.Fatal(err)
		}
		s := &order.SignedBatch{Header: order.BatchHeader{
			Position: order.Position{Owner: l.owner(hostile), Mark: mark(1, 1)}, Root: order.Digest(coded.Root()), Length: length, Bundles: bundles,
		}}
		s.Sign(simChain, l.key(hostile))
		for member := range l.committee.Members {
			_, r := Check(l.view(nil), l.layout, l.owner(member), l.offer(s, coded, member))
			out = append(out, r)
		}
		return out
	}
	seen, _ := l.signed(honest, mark(1, 1), order.Mark{})
	for member, r := range refusals(seen.Header.Bundles, seen.Header.Length) {
		if r == nil || r.Reason != ReasonPayer {
			t.Errorf("member %d: refusal %v, want that of a payer's signature", member, r)
		}
	}
	// The payer's signature for the lane is all that keeps them from it: whoever signs
	// for a lane relies on its owner.
	own, _ := l.signed(hostile, mark(1, 1), order.Mark{})
	for member, r := range refusals(own.Header.Bundles, own.Header.Length) {
		if r != nil {
			t.Errorf("member %d, bundles signed for the lane: %v", member, r)
		}
	}
}

func TestEquivocations(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	a, _ := l.signed(0, mark(1, 1), order.Mark{})
	b, _ := l.signed(0, mark(1, 1), order.Mark{})
	first, second := l.certificate(a), l.certificate(b)
	second.Attestations = second.Attestations[1:]
	got := Equivocations(simChain, first, l.committee, second, l.committee)
	if len(got) != 2 || got[0].Offender != l.owner(1) || got[1].Offender != l.owner(2) {
		t.Fatalf("got %v, want the two members that attested both", got)
	}
	for _, e := range got {
		for _, s := range []Signed{e.First, e.Second} {
			i, _ := l.committee.Index(*s.Attester)
			doc := order.AttestationSignBytes(simChain, s.Core.Position, s.Core.ID(), s.Clock)
			if *s.Attester != e.Offender || !ed25519.Verify(l.committee.Members[i].Key[:], doc, s.Signature[:]) {
				t.Fatalf("evidence against %s does not verify", e.Offender)
			}
		}
	}
	if got := Equivocations(simChain, first, l.committee, l.certificate(a), l.committee); got != nil {
		t.Fatalf("two certificates of one batch accuse %v", got)
	}
}
