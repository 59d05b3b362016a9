package order_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

func owner(i byte) order.Owner { return order.Owner{i, 19: i} }

func position(i byte, session, sequence uint64) order.Position {
	return order.Position{Owner: owner(i), Mark: order.Mark{Session: session, Sequence: sequence}}
}

// committee returns a committee of epoch 1; member i is owner(i+1), its key key(i+1).
func committee(t testing.TB, stakes ...uint64) *order.Committee {
	t.Helper()
	var members []order.Member
	for i, s := range stakes {
		m := order.Member{Owner: owner(byte(i + 1)), Stake: s}
		copy(m.Key[:], key(byte(i+1)).Public().(ed25519.PublicKey))
		members = append(members, m)
	}
	c, err := order.NewCommittee(1, members)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newCertificate returns a certificate whose first members attest at those clocks; a
// clock of 0 stands for a member that does not.
func newCertificate(t testing.TB, c *order.Committee, p order.Position, after order.Mark, clocks ...uint64) *order.Certificate {
	t.Helper()
	b := bundle(t, order.Leg{RollupID: rollup(1), Transactions: [][]byte{{byte(p.Sequence), 1}}})
	cert := &order.Certificate{Header: order.BatchHeader{
		Position: p, After: after, Epoch: c.Epoch, Root: order.Digest{9}, Bundles: []order.BundleSummary{b.Summary()},
		Length: uint64((&order.Batch{Bundles: []*order.Bundle{b}}).Size()),
	}}
	id := cert.Header.ID(chainID)
	for i, clock := range clocks {
		if clock > 0 {
			cert.Attestations = append(cert.Attestations, attest(c, i, p, id, clock))
		}
	}
	i, _ := c.Index(p.Owner)
	cert.Sign(chainID, key(byte(i+1)))
	return cert
}

func attest(_ *order.Committee, member int, p order.Position, id order.BatchID, clock uint64) order.Attestation {
	a := order.Attestation{Member: uint32(member), Clock: clock}
	copy(a.Signature[:], ed25519.Sign(key(byte(member+1)), order.AttestationSignBytes(chainID, p, id, clock)))
	return a
}

func TestCertificateEncodesAsItsWireType(t *testing.T) {
	c := newCertificate(t, committee(t, 1, 1, 1, 1), position(2, 3, 1), order.Mark{Session: 2, Sequence: 7}, 10, 0, 30, 40)
	h := c.Header
	w := &orderv1.Certificate{Header: &orderv1.BatchHeader{
		Owner: h.Owner[:], Session: 3, Sequence: 1, AfterSession: 2, AfterSequence: 7, Epoch: 1, Root: h.Root[:], Length: h.Length,
	}, Signature: c.Signature[:]}
	for i := range h.Bundles {
		s := &h.Bundles[i]
		ws := &orderv1.BundleSummary{Payer: s.Payer[:], Expiry: s.Expiry, FeeLimit: s.FeeLimit, Signature: s.Signature[:]}
		for _, l := range s.Legs {
			ws.Legs = append(ws.Legs, &orderv1.LegSummary{RollupId: l.RollupID[:], Digest: l.Digest[:], Length: l.Length, Count: l.Count})
		}
		w.Header.Bundles = append(w.Header.Bundles, ws)
	}
	for _, a := range c.Attestations {
		w.Attestations = append(w.Attestations, &orderv1.Attestation{Member: uint64(a.Member) + 1, Clock: a.Clock, Signature: a.Signature[:]})
	}
	if want := marshal(t, w); !bytes.Equal(c.Encode(), want) {
		t.Fatalf("encoded %x\nprotobuf %x", c.Encode(), want)
	}
	core := h.Core(chainID)
	wc := &orderv1.BatchCore{
		ChainId: chainID, Owner: h.Owner[:], Session: 3, Sequence: 1, AfterSession: 2, AfterSequence: 7, Epoch: 1,
		Root: h.Root[:], Length: h.Length, Count: 1, Summaries: core.Summaries[:],
	}
	if want := marshal(t, wc); !bytes.Equal(core.Encode(), want) {
		t.Fatalf("core %x\nprotobuf %x", core.Encode(), want)
	}
	doc := order.AttestationSignBytes(chainID, h.Position, core.ID(), 10)
	id := core.ID()
	wd := &orderv1.AttestationDoc{ChainId: chainID, Owner: h.Owner[:], Session: 3, Sequence: 1, BatchId: id[:], Clock: 10}
	if want := append([]byte("ordo/attestation/v1\x00"), marshal(t, wd)...); !bytes.Equal(doc, want) {
		t.Fatalf("attestation %x\nprotobuf %x", doc, want)
	}
	var tips orderv1.Tips
	if err := proto.Unmarshal(order.EncodeTips([]order.Tip{order.Tip(position(1, 2, 3)), order.Tip(position(4, 5, 6))}), &tips); err != nil ||
		len(tips.Tips) != 2 || tips.Tips[1].Session != 5 || tips.Tips[1].Sequence != 6 {
		t.Fatalf("tips %v, %v", &tips, err)
	}
}

func TestCertificateIsVerifiedWhole(t *testing.T) {
	c := committee(t, 10, 10, 10, 1)
	p := position(1, 1, 1)
	good := func() *order.Certificate { return newCertificate(t, c, p, order.Mark{}, 5, 6, 7) }
	if err := c.Verify(chainID, good()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name  string
		alter func(*order.Certificate)
		want  error
	}{
		{"another root", func(c *order.Certificate) { c.Header.Root[0]++ }, order.ErrSignature},
		{"another summary", func(c *order.Certificate) { c.Header.Bundles[0].FeeLimit++ }, order.ErrSignature},
		{"another clock", func(c *order.Certificate) { c.Attestations[1].Clock++ }, order.ErrSignature},
		{"two thirds", func(c *order.Certificate) { c.Attestations = c.Attestations[:2]; c.Sign(chainID, key(1)) }, order.ErrQuorum},
		{"attestation left out by another", func(x *order.Certificate) {
			x.Attestations = append(x.Attestations, attest(c, 3, p, x.Header.ID(chainID), 8))
		}, order.ErrSignature},
		{"an attestation twice", func(c *order.Certificate) {
			c.Attestations = slices.Insert(c.Attestations, 1, c.Attestations[0])
			c.Sign(chainID, key(1))
		}, order.ErrInvalid},
		{"signed by another member", func(c *order.Certificate) { c.Sign(chainID, key(2)) }, order.ErrSignature},
		{"for another chain", func(c *order.Certificate) { c.Sign("another", key(1)) }, order.ErrSignature},
		{"no such member", func(c *order.Certificate) { c.Attestations[2].Member = 4 }, order.ErrMember},
		{"another epoch", func(c *order.Certificate) { c.Header.Epoch++ }, order.ErrEpoch},
		{"a stranger's lane", func(c *order.Certificate) { c.Header.Owner = owner(9) }, order.ErrMember},
	} {
		x := good()
		tc.alter(x)
		if err := c.Verify(chainID, x); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	keyless := committee(t, 10, 10, 10, 1)
	keyless.Members[1].Key = [32]byte{}
	if err := keyless.Verify(chainID, good()); !errors.Is(err, order.ErrMember) {
		t.Errorf("a member without key attests: %v", err)
	}
}

func TestCommitteesRefused(t *testing.T) {
	m := committee(t, 1, 2).Members
	for name, members := range map[string][]order.Member{
		"nobody": nil, "too many": make([]order.Member, order.MaxMembers+1), "twice": {m[0], m[0]},
		"no stake": {m[0], {Owner: owner(3)}}, "one key": {m[0], {Owner: owner(3), Stake: 1, Key: m[0].Key}},
		"too much stake": {{Owner: owner(1), Stake: 1 << 62}, {Owner: owner(2), Stake: 1 << 62}},
	} {
		if _, err := order.NewCommittee(1, members); !errors.Is(err, order.ErrCommittee) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The order time lies between clocks of correct members whatever less than a third
// of the stake says, and whichever quorum the owner chose.
func TestOrderTimeIsBoundByCorrectClocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stakes := rapid.SliceOfN(rapid.Uint64Range(1, 1000), 4, 12).Draw(t, "stakes")
		var members []order.Member
		var all uint64
		for i, s := range stakes {
			members = append(members, order.Member{Owner: owner(byte(i + 1)), Stake: s})
			all += s
		}
		c, err := order.NewCommittee(1, members)
		if err != nil {
			t.Fatal(err)
		}
		cert := &order.Certificate{}
		var faulty, attesting uint64
		low, high := uint64(2_000_000), uint64(0)
		for i, s := range stakes {
			if rapid.Bool().Draw(t, "absent") {
				continue
			}
			a := order.Attestation{Member: uint32(i)}
			if (faulty+s)*3 < all && rapid.Bool().Draw(t, "faulty") {
				faulty += s
				a.Clock = rapid.SampledFrom([]uint64{0, 1, 1 << 62}).Draw(t, "lie")
			} else {
				a.Clock = rapid.Uint64Range(1_000_000, 1_000_100).Draw(t, "clock")
				low, high = min(low, a.Clock), max(high, a.Clock)
			}
			attesting += s
			cert.Attestations = append(cert.Attestations, a)
		}
		if !c.Quorum(attesting) {
			return
		}
		if got := c.OrderTime(cert); got < low || got > high {
			t.Fatalf("order time %d, correct clocks %d to %d", got, low, high)
		}
	})
}

func TestArrange(t *testing.T) {
	c := committee(t, 1, 1, 1, 1)
	at := func(o byte, session, sequence uint64, after order.Mark, clock uint64) *order.Certificate {
		return newCertificate(t, c, position(o, session, sequence), after, clock, clock, clock)
	}
	lanes := map[order.Owner]order.LaneState{
		owner(1): {Mark: order.Mark{Session: 2, Sequence: 5}, OrderTime: 100},
	}
	lane := func(o order.Owner) order.LaneState { return lanes[o] }
	epoch := func(e uint64) *order.Committee {
		if e == 1 {
			return c
		}
		return nil
	}
	mark := func(session, sequence uint64) order.Mark { return order.Mark{Session: session, Sequence: sequence} }
	certs := []*order.Certificate{
		at(2, 1, 2, order.Mark{}, 150), at(1, 2, 6, order.Mark{}, 90), // raised to 100
		at(2, 1, 1, order.Mark{}, 160), // and so is its next, to 160
		at(1, 4, 1, mark(2, 6), 155), at(3, 1, 1, order.Mark{}, 155),
	}
	want := []struct {
		p    order.Position
		time uint64
	}{
		{position(1, 2, 6), 100}, {position(1, 4, 1), 155}, {position(3, 1, 1), 155}, {position(2, 1, 1), 160}, {position(2, 1, 2), 160},
	}
	for range 2 {
		slices.Reverse(certs)
		placed, ends, err := order.Arrange(certs, lane, epoch)
		if err != nil || len(placed) != len(want) {
			t.Fatalf("%d placed, %v", len(placed), err)
		}
		for i, w := range want {
			if placed[i].Certificate.Header.Position != w.p || placed[i].OrderTime != w.time {
				t.Errorf("place %d: %s at %d, want %s at %d", i, placed[i].Certificate.Header.Position, placed[i].OrderTime, w.p, w.time)
			}
		}
		if len(ends) != 3 || ends[0].Mark != mark(4, 1) || ends[0].OrderTime != 155 || ends[1].Mark != mark(1, 2) {
			t.Errorf("lanes end at %+v", ends)
		}
	}
	late := at(3, 1, 1, order.Mark{}, 1)
	late.Header.Epoch = 2
	for name, tc := range map[string]struct {
		certs []*order.Certificate
		want  error
	}{
		"gap":                      {[]*order.Certificate{at(1, 2, 7, order.Mark{}, 1)}, order.ErrLane},
		"again":                    {[]*order.Certificate{at(1, 2, 5, order.Mark{}, 1)}, order.ErrLane},
		"twice":                    {[]*order.Certificate{certs[0], certs[0]}, order.ErrLane},
		"session after too little": {[]*order.Certificate{at(1, 3, 1, mark(2, 4), 1)}, order.ErrLane},
		"session after too much":   {[]*order.Certificate{at(1, 3, 1, mark(2, 6), 1)}, order.ErrLane},
		"session after nothing":    {[]*order.Certificate{at(1, 3, 1, order.Mark{}, 1)}, order.ErrLane},
		"session in its midst":     {[]*order.Certificate{at(1, 3, 2, order.Mark{}, 1)}, order.ErrLane},
		"epoch":                    {[]*order.Certificate{late}, order.ErrEpoch},
	} {
		if _, _, err := order.Arrange(tc.certs, lane, epoch); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestRequiredIsWhatACorrectValidatorHolds(t *testing.T) {
	tip := func(o byte, session, sequence uint64) order.Tip { return order.Tip(position(o, session, sequence)) }
	reports := []order.Report{
		{Power: 3, Tips: []order.Tip{tip(1, 1, 9), tip(2, 2, 1)}},
		{Power: 3, Tips: []order.Tip{tip(1, 1, 5)}},
		{Power: 3, Tips: []order.Tip{tip(1, 1, 4), tip(2, 1, 7)}},
	}
	// A third of the power is not enough.
	if got := order.Required(9, reports); !slices.Equal(got, []order.Tip{tip(1, 1, 5), tip(2, 1, 7)}) {
		t.Errorf("required %v", got)
	}
	if got := order.Required(18, reports); !slices.Equal(got, []order.Tip{tip(1, 1, 4)}) {
		t.Errorf("required %v", got)
	}
	if got := order.Required(27, reports); len(got) != 0 {
		t.Errorf("required %v", got)
	}
}

// Whatever is offered and required: what Fill chooses passes CheckReach, and where a
// block that passes leaves out what is required, it is full.
func TestFillPassesCheckReach(t *testing.T) {
	c := committee(t, 1, 1, 1, 1, 1, 1)
	pool := map[order.Position]*order.Certificate{}
	get := func(p order.Position) *order.Certificate {
		if pool[p] == nil {
			pool[p] = newCertificate(t, c, p, order.Mark{}, 1, 1, 1, 1, 1)
		}
		return pool[p]
	}
	none := func(order.Owner) order.LaneState { return order.LaneState{} }
	rapid.Check(t, func(t *rapid.T) {
		one := get(position(1, 1, 1)).Size()
		limits := order.BlockLimits{
			Certificates:     rapid.IntRange(1, 30).Draw(t, "certificates"),
			CertificateBytes: order.MaxCertificateBytes + one*rapid.IntRange(0, 30).Draw(t, "bytes"),
			BatchBytes:       order.MaxBatchBytes + uint64(rapid.IntRange(0, 4000).Draw(t, "batch_bytes")),
		}
		height := rapid.Uint64().Draw(t, "height")
		var lanes [][]*order.Certificate
		var required []order.Tip
		for o := byte(1); o <= 6; o++ {
			var q []*order.Certificate
			n := rapid.IntRange(0, 8).Draw(t, "length")
			for s := 1; s <= n; s++ {
				q = append(q, get(position(o, 1, uint64(s))))
			}
			lanes = append(lanes, q)
			if r := rapid.IntRange(0, n).Draw(t, "required"); r > 0 {
				required = append(required, order.Tip(position(o, 1, uint64(r))))
			}
		}
		block := order.Fill(limits, height, lanes, required)
		if err := order.CheckReach(limits, height, block, none, required); err != nil {
			t.Fatalf("chosen: %v", err)
		}
		if len(block) == 0 {
			return
		}
		// One certificate less, of a lane that must be reached: there is room, or one lane had too many turns.
		last := map[order.Owner]*order.Certificate{}
		for _, x := range block {
			last[x.Header.Owner] = x
		}
		for _, r := range required {
			x := last[r.Owner]
			if x == nil || x.Header.Mark.Compare(r.Mark) > 0 {
				continue
			}
			less := slices.DeleteFunc(slices.Clone(block), func(y *order.Certificate) bool { return x == y })
			if err := order.CheckReach(limits, height, less, none, required); !errors.Is(err, order.ErrCensored) {
				t.Fatalf("without %s of %d: %v", x.Header.Position, len(block), err)
			}
		}
		over := limits
		over.Certificates = len(block) - 1
		if err := order.CheckReach(over, height, block, none, nil); !errors.Is(err, order.ErrLimits) {
			t.Fatalf("over the limit: %v", err)
		}
	})
}

// A full block must not give one lane the room of another.
func TestFullBlockIsFair(t *testing.T) {
	c := committee(t, 1, 1, 1, 1)
	lane := func(o byte, n int) (q []*order.Certificate) {
		for s := 1; s <= n; s++ {
			q = append(q, newCertificate(t, c, position(o, 1, uint64(s)), order.Mark{}, 1, 1, 1))
		}
		return q
	}
	none := func(order.Owner) order.LaneState { return order.LaneState{} }
	limits := order.BlockLimits{Certificates: 4, CertificateBytes: 1 << 20, BatchBytes: 64 << 20}
	required := []order.Tip{order.Tip(position(1, 1, 4)), order.Tip(position(2, 1, 4))}
	a, b := lane(1, 4), lane(2, 4)
	if err := order.CheckReach(limits, 7, slices.Concat(a[:2], b[:2]), none, required); err != nil {
		t.Errorf("two each: %v", err)
	}
	for name, block := range map[string][]*order.Certificate{"all of one": a, "three of one": slices.Concat(a[:3], b[:1]), "one of three": slices.Concat(a[:1], b[:3])} {
		if err := order.CheckReach(limits, 7, block, none, required); !errors.Is(err, order.ErrCensored) {
			t.Errorf("%s: %v", name, err)
		}
	}
	firsts := map[order.Owner]int{}
	for height := range uint64(64) {
		firsts[order.Fill(order.BlockLimits{Certificates: 1, CertificateBytes: 1 << 20, BatchBytes: 64 << 20}, height, [][]*order.Certificate{lane(0x20, 1), lane(0xa0, 1)}, nil)[0].Header.Owner]++
	}
	if len(firsts) != 2 {
		t.Errorf("the first turn is always the same lane's: %v", firsts)
	}
}

// An owner goes on from 0/0 in two sessions and shows one of them late: votes say 1/3, and
// those who build blocks hold 2/1, which is beyond it.
func TestFillStepsOverAForkedMark(t *testing.T) {
	c := committee(t, 1, 1, 1, 1)
	var busy []*order.Certificate
	for s := uint64(1); s <= 9; s++ {
		busy = append(busy, newCertificate(t, c, position(1, 1, s), order.Mark{}, 1, 1, 1))
	}
	lanes := [][]*order.Certificate{busy, {newCertificate(t, c, position(2, 2, 1), order.Mark{}, 1, 1, 1)}}
	required := []order.Tip{order.Tip(position(1, 1, 9)), order.Tip(position(2, 1, 3))}
	limits := order.BlockLimits{Certificates: 4, CertificateBytes: 1 << 20, BatchBytes: 64 << 20}
	none := func(order.Owner) order.LaneState { return order.LaneState{} }
	for height := range uint64(10) {
		if err := order.CheckReach(limits, height, order.Fill(limits, height, lanes, required), none, required); err != nil {
			t.Errorf("height %d: %v", height, err)
		}
	}
}
