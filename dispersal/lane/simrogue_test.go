package lane

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"lukechampine.com/blake3"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// rogue is what is wrong with a node. Less than a third of the stake is wrong.
type rogue struct {
	n *simNode

	owns     bool   // disperses as below; else it is correct as an owner
	attests  string // "" correctly, "silent", "anything", "refuses", "nonsense"
	lies     bool   // about tips, and gives no certificates
	proposes bool   // leaves out, reorders

	session, next uint64
	after         order.Mark
	last          order.Mark // of its last certificate
	tries         []*rogueBatch
}

// rogueBatch is one of the batches that it signed for its next position.
type rogueBatch struct {
	batch    *order.SignedBatch
	id       order.BatchID
	share    func(shard.Range) *shard.Share
	attested map[uint32]order.Attestation
}

func (w *world) choseRogues() {
	if w.some(0.3) {
		return
	}
	for _, i := range w.rng.Perm(len(w.nodes)) {
		n := w.nodes[i]
		n.rogue = &rogue{n: n}
		for turn := range w.cast.members {
			var bad, all uint64
			for _, m := range w.cast.members[turn] {
				if all += m.Stake; w.byOwner[m.Owner].rogue != nil {
					bad += m.Stake
				}
			}
			if 3*bad >= all {
				n.rogue = nil
				break
			}
		}
		if r := n.rogue; r != nil {
			w.count.Rogues++
			r.owns, r.lies, r.proposes = w.some(0.6), w.some(0.4), w.some(0.5)
			r.attests = []string{"", "silent", "anything", "anything", "refuses", "nonsense"}[w.rng.IntN(6)]
			if r.owns {
				w.after(w.rng.Uint64N(100), r.act)
			}
		}
	}
}

// offered takes a batch as an attester; false to act correctly.
func (r *rogue) offered(from *simNode, o *Offer) bool {
	n, w := r.n, r.n.w
	h := &o.Batch.Header
	a := Answer{Position: h.Position, Batch: h.ID(simChain)}
	switch r.attests {
	case "silent":
	case "refuses":
		a.Refusal = &Refusal{Reason: Reason(w.rng.UintN(30)), Expect: order.Mark{Session: w.rng.Uint64N(4), Sequence: w.rng.Uint64N(9)}}
		w.send(n, from, func() { from.answered(n, &a) })
	case "anything", "nonsense":
		c := w.committee(h.Epoch)
		i, ok := c.Index(n.owner)
		if !ok {
			return true
		}
		clock := n.clock()
		switch w.rng.IntN(4) {
		case 0:
			clock = w.rng.Uint64N(3)
		case 1:
			clock += 1 << 40
		}
		a.Attestation = &order.Attestation{Member: uint32(i), Clock: clock}
		copy(a.Attestation.Signature[:], ed25519.Sign(n.keys(c.Members[i].Key), order.AttestationSignBytes(simChain, h.Position, a.Batch, clock)))
		if r.attests == "nonsense" {
			switch w.rng.IntN(3) {
			case 0:
				a.Attestation.Signature[0]++
			case 1:
				a.Attestation.Member = uint32(w.rng.UintN(40))
			case 2:
				a.Batch[0]++
			}
		}
		w.send(n, from, func() { from.answered(n, &a) })
	default:
		return false
	}
	return true
}

// answered takes an answer as an owner; false to act correctly.
func (r *rogue) answered(a *Answer) bool {
	if !r.owns {
		return false
	}
	for _, t := range r.tries {
		if t.id == a.Batch && a.Attestation != nil {
			t.attested[a.Attestation.Member] = *a.Attestation
			r.certify(t)
			break
		}
	}
	return true
}

func (r *rogue) tips() []order.Tip {
	var tips []order.Tip
	for _, o := range r.n.w.cast.owners {
		if r.n.w.some(0.5) {
			m := r.n.view().Mark(o)
			m.Session += r.n.w.rng.Uint64N(2)
			m.Sequence += r.n.w.rng.Uint64N(5)
			if m.Session > 0 && m.Sequence > 0 {
				tips = append(tips, order.Tip{Owner: o, Mark: m})
			}
		}
	}
	return tips
}

// proposal changes what a correct proposer would propose.
func (r *rogue) proposal(block []*order.Certificate) []*order.Certificate {
	w := r.n.w
	if !r.proposes || len(block) == 0 || w.some(0.3) {
		return block
	}
	block = slices.Clone(block)
	w.count.Omissions++
	switch w.rng.IntN(5) {
	case 0:
		victim := block[w.rng.IntN(len(block))].Header.Owner
		return slices.DeleteFunc(block, func(c *order.Certificate) bool { return c.Header.Owner == victim })
	case 1:
		return block[:w.rng.IntN(len(block))]
	case 2:
		w.rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		return block
	case 3:
		return append(block, block[w.rng.IntN(len(block))])
	default: // what is not the next of its lane
		all := r.n.book.lanes[block[0].Header.Owner].certs
		return slices.Insert(block, w.rng.IntN(len(block)), all[w.rng.IntN(len(all))].certificate)
	}
}

// act disperses: two batches for a position, badly coded ones, to some, again and again.
func (r *rogue) act() {
	n, w := r.n, r.n.w
	if w.now > w.weather.faultsUntil+2000 {
		return
	}
	w.after(20+w.rng.Uint64N(150), r.act)
	if !n.up {
		return
	}
	if r.session == 0 || w.some(0.05) {
		mark := n.view().Mark(n.owner)
		r.session, r.next, r.after, r.tries = max(r.session, mark.Session)+1, 1, mark, nil
		switch w.rng.IntN(4) {
		case 0:
			r.after = r.last
		case 1:
			r.after = order.Mark{Session: r.session - 1, Sequence: w.rng.Uint64N(3)}
		}
		if r.after.Session >= r.session || r.after.Session == 0 || r.after.Sequence == 0 {
			r.after = order.Mark{}
		}
	}
	if len(r.tries) == 0 || w.some(0.1) && len(r.tries) < 4 {
		for range 1 + w.rng.IntN(2) {
			if t := r.batch(); t != nil {
				r.tries = append(r.tries, t)
			}
		}
		if len(r.tries) > 1 {
			w.count.Forks++
		}
	}
	c := w.committee(n.view().Epoch)
	for _, m := range c.Members {
		if len(r.tries) == 0 || w.some(0.2) {
			continue
		}
		t := r.tries[w.rng.IntN(len(r.tries))]
		if t.batch.Header.Epoch%2 != c.Epoch%2 {
			continue
		}
		share := t.share(w.layout(c.Epoch).Range(m.Owner[:]))
		switch w.rng.IntN(20) {
		case 0:
			share.Shards = append(slices.Clone(share.Shards[1:]), share.Shards[0]+1)
		case 1:
			share.First++
		}
		to := w.byOwner[m.Owner]
		w.send(n, to, func() { to.offered(n, &Offer{Batch: t.batch, Share: share}) })
	}
}

// batch signs another batch for the next position.
func (r *rogue) batch() *rogueBatch {
	n, w := r.n, r.n.w
	epoch := n.view().Epoch
	i, ok := n.view().Committees[0].Index(n.owner)
	if !ok {
		return nil
	}
	b := w.bundle(n.owner)
	w.bundles-- // it counts for nobody
	b.Expiry = w.rng.Uint64()
	b.Sign(simChain, n.owner, w.payers[0])
	content := &order.Batch{Bundles: []*order.Bundle{b}}
	raw, layout := content.Encode(), w.layout(epoch)
	if w.some(0.2) {
		raw[len(raw)/2]++ // codes something else than the header tells
	}
	t := &rogueBatch{attested: make(map[uint32]order.Attestation)}
	t.batch = &order.SignedBatch{Header: order.BatchHeader{
		Position: order.Position{Owner: n.owner, Mark: order.Mark{Session: r.session, Sequence: r.next}},
		Epoch:    epoch, Length: uint64(len(raw)), Bundles: []order.BundleSummary{b.Summary()},
	}}
	if r.next == 1 {
		t.batch.Header.After = r.after
	}
	coded := new(shard.Coded)
	if err := coded.Encode(layout, raw); err != nil {
		w.fail("code: %v", err)
	}
	t.batch.Header.Root = order.Digest(coded.Root())
	t.share = func(run shard.Range) *shard.Share {
		s, err := coded.Share(run)
		if err != nil {
			w.fail("share: %v", err)
		}
		copied := *s
		return &copied
	}
	if w.some(0.3) {
		f := forge(layout, coded, len(raw))
		t.batch.Header.Root, t.share = order.Digest(f.root), f.share
	}
	t.batch.Sign(simChain, n.keys(n.view().Committees[0].Members[i].Key))
	t.id = t.batch.Header.ID(simChain)
	return t
}

// certify makes a certificate of some of the attestations, and shows it to some.
func (r *rogue) certify(t *rogueBatch) {
	n, w := r.n, r.n.w
	c := w.committee(t.batch.Header.Epoch)
	var members []uint32
	for m, a := range t.attested {
		if c.VerifyAttestation(simChain, t.batch.Header.Position, t.id, a) == nil {
			members = append(members, m)
		}
	}
	slices.Sort(members)
	w.rng.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	var stake uint64
	for i, m := range members {
		if stake += c.Members[m].Stake; c.Quorum(stake) {
			members = members[:i+1]
			break
		}
	}
	if !c.Quorum(stake) {
		return
	}
	slices.Sort(members)
	cert := &order.Certificate{Header: t.batch.Header}
	for _, m := range members {
		cert.Attestations = append(cert.Attestations, t.attested[m])
	}
	i, _ := c.Index(n.owner)
	cert.Sign(simChain, n.keys(c.Members[i].Key))
	if w.certificateError(cert) != nil {
		w.fail("rogue %d made a bad certificate", n.index)
	}
	w.truth.certifies(cert)
	r.last, r.next, r.tries = cert.Header.Mark, r.next+1, nil
	for _, peer := range w.nodes {
		if w.some(0.5) {
			w.send(n, peer, func() { peer.certificate(cert) })
		}
	}
}

// forged are shards that are not the code of any batch, under a root of their own. The
// tree and the root are written here once more, after docs/spec/shards.md.
type forged struct {
	shards [][]byte
	rows   [][][32]byte
	root   [32]byte
}

func forge(l *shard.Layout, coded *shard.Coded, length int) *forged {
	f, size := &forged{}, l.ShardSize(length)
	var leaves [][32]byte
	for i := range l.TotalShards() {
		s, err := coded.Share(shard.Range{First: i, Count: 1})
		if err != nil {
			panic(err)
		}
		shards := slices.Clone(s.Shards)
		shards[0] += byte(i % 3)
		f.shards = append(f.shards, shards)
		leaves = append(leaves, blake3.Sum256(shards))
	}
	f.rows = [][][32]byte{leaves}
	for row := leaves; len(row) > 1; {
		var up [][32]byte
		for i := 0; i < len(row); i += 2 {
			if i+1 == len(row) {
				up = append(up, row[i])
			} else {
				up = append(up, sha256.Sum256(slices.Concat([]byte{1}, row[i][:], row[i+1][:])))
			}
		}
		f.rows, row = append(f.rows, up), up
	}
	digest, top := l.Digest(), f.rows[len(f.rows)-1][0]
	b := append([]byte("ordo/erasure-root/v2\x00"), digest[:]...)
	for _, v := range []int{l.N(), l.DataShards(), l.TotalShards(), size} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(length))
	f.root = sha256.Sum256(append(b, top[:]...))
	return f
}

func (f *forged) share(run shard.Range) *shard.Share {
	s := &shard.Share{First: run.First, Shards: slices.Concat(f.shards[run.First : run.First+run.Count]...)}
	first, last := run.First, run.First+run.Count-1
	for _, row := range f.rows[:len(f.rows)-1] {
		if first%2 == 1 {
			s.Proof = append(s.Proof, row[first-1][:]...)
		}
		if last%2 == 0 && last+1 < len(row) {
			s.Proof = append(s.Proof, row[last+1][:]...)
		}
		first, last = first/2, last/2
	}
	return s
}
