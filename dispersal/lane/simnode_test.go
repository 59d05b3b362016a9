package lane

import (
	"crypto/ed25519"
	"errors"
	"slices"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

var (
	errSimDisk     = errors.New("the disk failed")
	errSimConflict = errors.New("the disk has other bytes")
)

// simDisk is what a node still has after a crash.
type simDisk struct {
	records map[order.Position][]byte
	certs   map[order.Position][]byte
	session uint64
	journal []*order.Bundle // acknowledged
	pending []*simWrite
}

type simWrite struct{ apply func() error }

// simNode is the shell around the machines: what package dispersal does with real disks
// and connections.
type simNode struct {
	w     *world
	index int
	owner order.Owner
	rogue *rogue // nil for a correct node
	up    bool
	life  int
	skew  int64
	disk  simDisk

	height    uint64
	keeper    *Keeper
	disperser *Disperser
	book      *Book
	handed    int // of the journal
	coding    bool
	durable   uint64 // session
	outbox    []Send // waits for it
}

func newSimNode(w *world, index int, owner order.Owner) *simNode {
	return &simNode{
		w: w, index: index, owner: owner, skew: w.rng.Int64N(2*w.weather.skew+1) - w.weather.skew,
		disk: simDisk{records: make(map[order.Position][]byte), certs: make(map[order.Position][]byte)},
	}
}

func (n *simNode) clock() uint64 { return uint64(1_000_000 + int64(n.w.now) + n.skew) }

func (n *simNode) view() *View { return n.w.chain.views[n.height] }

func (n *simNode) keys(public [32]byte) ed25519.PrivateKey { return n.w.cast.keys[public] }

// start opens the disk and begins, as at the first start so after a crash.
func (n *simNode) start() {
	n.up, n.life, n.coding, n.handed, n.outbox = true, n.life+1, false, 0, nil
	n.durable = n.disk.session
	n.book = NewBook(BookLimits{LaneCertificates: 200, LaneBytes: 1 << 20, Bytes: 8 << 20})
	n.keeper = NewKeeper(simChain, n.owner, n.keys)
	n.disperser = NewDisperser(DisperserOptions{
		Self: n.owner, Keys: n.keys, Verifier: n.w.verifier, WindowBytes: 20 << 10, WindowBatches: 8, RetryMin: 100, RetryMax: 3000,
	})
	n.restoreKeeper()
	n.keeper.View(n.view())
	n.book.View(n.view())
	var own []*order.Certificate
	for _, p := range sorted(n.disk.certs) {
		c, err := order.DecodeCertificate(n.disk.certs[p])
		if err != nil {
			n.w.fail("certificate %s on the disk of %d: %v", p, n.index, err)
			return
		}
		if p.Owner == n.owner {
			own = append(own, c)
		} else if n.book.Add(c) == nil {
			n.book.Stored(p)
			n.answer(n.keeper.Certified(&c.Header))
		}
	}
	n.disperser.Restore(n.disk.session, own)
	n.disperser.View(n.w.now, n.view())
	n.pump()
	n.beat()
}

func (n *simNode) restoreKeeper() {
	keys := sorted(n.disk.records)
	for i := 0; i < len(keys); {
		owner, from := keys[i].Owner, i
		for ; i < len(keys) && keys[i].Owner == owner; i++ {
		}
		last := keys[i-1]
		var held []*Record
		for _, p := range keys[from:i] {
			if p != last && p.Mark.Compare(n.view().Mark(owner)) <= 0 {
				continue
			}
			r, err := DecodeRecord(n.disk.records[p])
			if err != nil {
				n.w.fail("record %s on the disk of %d: %v", p, n.index, err)
				return
			}
			held = append(held, r)
		}
		n.keeper.Restore(Spent{Position: last}, held)
	}
}

func sorted[V any](m map[order.Position]V) []order.Position {
	keys := make([]order.Position, 0, len(m))
	for p := range m {
		keys = append(keys, p)
	}
	slices.SortFunc(keys, order.Position.Compare)
	return keys
}

// crash loses all but the disk. Of each write under way, either nothing or all is there.
func (n *simNode) crash() {
	n.w.tracef("%d crashes", n.index)
	n.w.count.Crashes++
	n.up, n.life = false, n.life+1
	for _, write := range n.disk.pending {
		if n.w.some(0.5) {
			n.w.count.Torn++
			continue
		}
		_ = write.apply()
	}
	n.disk.pending = nil
	if n.w.some(n.w.weather.rots) {
		n.rot()
	}
}

// rot makes the disk forget a record, as a bad disk and a crash can: one that is not the
// last of its session, so that the disk still tells that there was something.
func (n *simNode) rot() {
	keys := sorted(n.disk.records)
	if len(keys) < 2 {
		return
	}
	i := n.w.rng.IntN(len(keys) - 1)
	p, next := keys[i], keys[i+1]
	if _, attested := n.w.truth.attested[attester{n.index, p}]; attested && p.Owner == next.Owner && p.Session == next.Session {
		n.w.count.Rotten++
		delete(n.disk.records, p)
		n.w.truth.rotten[attester{n.index, p}] = true
	}
}

func (n *simNode) restart() {
	n.w.tracef("%d restarts", n.index)
	n.start()
	for _, peer := range n.w.nodes {
		n.w.connect(n, peer)
		n.w.connect(peer, n)
	}
}

// write does a write that takes its time, and may fail whether it was done or not.
func (n *simNode) write(mayFail bool, apply func() error, done func(error)) {
	write, life := &simWrite{apply}, n.life
	n.disk.pending = append(n.disk.pending, write)
	n.w.after(n.w.rng.Uint64N(n.w.weather.disk), func() {
		if n.life != life {
			return
		}
		if !n.w.healed() && n.rogue == nil && n.w.some(n.w.weather.crashes/10) { // just before it is done, or just after
			n.crash()
			return
		}
		n.disk.pending = slices.DeleteFunc(n.disk.pending, func(o *simWrite) bool { return o == write })
		if mayFail && !n.w.healed() && n.w.some(n.w.weather.diskFails) {
			n.w.count.Failures++
			if n.w.some(0.5) {
				_ = apply()
			}
			done(errSimDisk)
			return
		}
		done(apply())
	})
}

// beat does what is done from time to time.
func (n *simNode) beat() {
	life := n.life
	n.w.after(10+n.w.rng.Uint64N(30), func() {
		if n.life != life {
			return
		}
		if d := n.disperser.Deadline(); d != 0 && d <= n.w.now {
			n.disperser.Tick(n.w.now)
			n.pump()
			if d := n.disperser.Deadline(); d != 0 && d <= n.w.now {
				n.w.fail("node %d: Tick left a deadline in the past", n.index)
			}
		}
		n.batch()
		if n.height < n.w.chain.height() && n.w.some(0.5) {
			n.commit()
		}
		if peer := n.w.nodes[n.w.rng.IntN(len(n.w.nodes))]; peer != n && n.w.some(0.1) {
			tips := n.tips()
			n.w.send(n, peer, func() { peer.heard(n, tips) })
		}
		n.beat()
	})
}

// commit takes the next block.
func (n *simNode) commit() {
	n.height++
	n.keeper.View(n.view())
	n.book.View(n.view())
	n.disperser.View(n.w.now, n.view())
	n.pump()
}

func (n *simNode) connected(peer *simNode) {
	n.disperser.Connected(n.w.now, peer.owner)
	n.pump()
	tips := n.tips()
	n.w.send(n, peer, func() { peer.heard(n, tips) })
}

// submit acknowledges a bundle: it is in the journal.
func (n *simNode) submit(b *order.Bundle) {
	n.disk.journal = append(n.disk.journal, b)
	n.w.truth.acknowledge(n, b)
	n.batch()
}

// batch disperses what waits, if there is room.
func (n *simNode) batch() {
	room := n.disperser.Room()
	if n.coding || room.Bytes == 0 {
		return
	}
	from, batch := n.handed, &order.Batch{}
	p := Payload{Layout: n.w.layout(room.Epoch), Coded: new(shard.Coded)}
	for most := 1 + n.w.rng.IntN(3); n.handed < len(n.disk.journal) && len(batch.Bundles) < most; n.handed++ {
		if b := n.disk.journal[n.handed]; !n.w.chain.has(b, n.height) {
			batch.Bundles = append(batch.Bundles, b)
			p.Bundles = append(p.Bundles, b.Summary())
		}
	}
	if len(batch.Bundles) == 0 {
		return
	}
	p.Length = batch.Size()
	if err := p.Coded.Encode(p.Layout, batch.Encode()); err != nil {
		n.w.fail("code batch: %v", err)
		return
	}
	life := n.life
	n.coding = true
	n.w.after(n.w.rng.Uint64N(10), func() {
		if n.life != life {
			return
		}
		n.coding = false
		at, err := n.disperser.Disperse(n.w.now, room, p)
		switch {
		case errors.Is(err, order.ErrEpoch):
			n.handed = from
		case err != nil && !errors.Is(err, ErrSession):
			n.w.fail("disperse: %v", err)
		}
		n.w.tracef("%d disperses %s: %v", n.index, at.Mark, err)
		n.pump()
	})
}

// pump does what the disperser wants done.
func (n *simNode) pump() {
	for {
		r := n.disperser.Ready()
		if r.Ended == nil && r.Session == 0 && r.Send == nil && r.Persist == nil && r.Announce == nil {
			return
		}
		if r.Ended != nil {
			n.w.tracef("%d ends its session: %v", n.index, r.Ended)
			n.w.count.Ended++
			n.handed, n.outbox = 0, nil
		}
		if r.Session != 0 {
			n.w.count.Sessions++
			n.write(false, func() error { n.disk.session = max(n.disk.session, r.Session); return nil }, func(error) {
				n.durable = r.Session
				n.flush()
			})
		}
		n.outbox = append(n.outbox, r.Send...)
		n.flush()
		for _, c := range r.Persist {
			n.write(false, func() error { n.disk.certs[c.Header.Position] = c.Encode(); return nil }, func(error) {
				n.disperser.Persisted(n.w.now, c.Header.Mark)
				n.pump()
			})
		}
		for _, c := range r.Announce {
			n.announce(c)
		}
	}
}

func (n *simNode) flush() {
	for len(n.outbox) > 0 {
		s := n.outbox[0]
		if s.Offer != nil && s.Offer.Batch.Header.Session > n.durable {
			return
		}
		n.outbox = n.outbox[1:]
		to := n.w.byOwner[s.To]
		if s.Certificate != nil {
			n.w.count.Resent++
			n.w.send(n, to, func() { to.certificate(s.Certificate) })
		}
		if s.Offer != nil {
			n.w.truth.offers(n, s.Offer.Batch)
			n.w.send(n, to, func() { to.offered(n, s.Offer) })
		}
	}
}

func (n *simNode) announce(c *order.Certificate) {
	n.w.tracef("%d announces %s", n.index, c.Header.Mark)
	n.w.truth.announces(n, c)
	n.hold(c, true)
	for _, peer := range n.w.nodes {
		if peer != n {
			n.w.send(n, peer, func() { peer.certificate(c) })
		}
	}
}

// certificate takes one from anybody.
func (n *simNode) certificate(c *order.Certificate) {
	if k := n.view().Committee(c.Header.Epoch); k != nil && n.w.verifier.Verify(k, c) == nil {
		n.w.truth.certifies(c)
		n.hold(c, false)
	}
}

func (n *simNode) hold(c *order.Certificate, durable bool) {
	p := c.Header.Position
	if err := n.book.Add(c); err != nil {
		if errors.Is(err, ErrFork) {
			n.w.fail("node %d: %v", n.index, err)
		}
		return
	}
	n.answer(n.keeper.Certified(&c.Header))
	if durable {
		n.book.Stored(p)
		return
	}
	n.write(true, func() error { n.disk.certs[p] = c.Encode(); return nil }, func(err error) {
		if err == nil {
			n.book.Stored(p)
		}
	})
}

// offered takes what an owner sends.
func (n *simNode) offered(from *simNode, o *Offer) {
	if n.rogue != nil && n.rogue.offered(from, o) {
		return
	}
	h := &o.Batch.Header
	if from.owner != h.Owner {
		return
	}
	if a := n.keeper.Screen(o.Batch); a != nil {
		n.answer(a)
		return
	}
	checked, refusal := n.w.check(n.view(), n.owner, o)
	if refusal != nil {
		n.answer([]Answer{{Position: h.Position, Batch: h.ID(simChain), Refusal: refusal}})
		return
	}
	life := n.life
	n.w.after(n.w.rng.Uint64N(5), func() {
		if n.life == life {
			n.take(checked)
		}
	})
}

// check is Check, done once for each batch: it gives everybody the same.
func (w *world) check(v *View, self order.Owner, o *Offer) (*Checked, *Refusal) {
	if r := checkShare(v, w.layout(o.Batch.Header.Epoch), self, o); r != nil {
		return nil, r
	}
	done, ok := w.checked[o.Batch]
	if !ok {
		done.id, done.refusal = checkBatch(v, o.Batch)
		w.checked[o.Batch] = done
	}
	if done.refusal != nil {
		return nil, done.refusal
	}
	return &Checked{offer: o, id: done.id}, nil
}

func (w *world) layout(epoch uint64) *shard.Layout { return w.cast.layouts[epoch%2] }

func (n *simNode) take(c *Checked) {
	verdict := n.keeper.Offer(n.clock(), c)
	n.answer(verdict.Answers)
	if e := verdict.Evidence; e != nil {
		n.w.count.Evidence++
		if err := n.w.accused(e); err != nil {
			n.w.fail("evidence: %v", err)
		}
	}
	if r := verdict.Store; r != nil {
		p, raw := r.Batch.Header.Position, r.Encode()
		n.write(true, func() error {
			if have, ok := n.disk.records[p]; ok && string(have) != string(raw) {
				return errSimConflict
			}
			n.disk.records[p] = raw
			return nil
		}, func(err error) {
			if err == nil {
				n.answer(n.keeper.Stored(p))
			} else {
				n.answer(n.keeper.Failed(p, errors.Is(err, errSimConflict)))
			}
		})
	}
}

// answer sends answers to the lane's owner.
func (n *simNode) answer(answers []Answer) {
	for _, a := range answers {
		if r := a.Refusal; r != nil {
			n.w.count.Refused++
			if r.Reason == ReasonLost {
				n.w.count.Lost++
			}
			n.w.tracef("%d refuses %s: %v", n.index, a.Position, r)
		} else if n.rogue == nil {
			n.w.tracef("%d attests %s", n.index, a.Position)
			n.w.truth.attests(n, &a)
		}
		to := n.w.byOwner[a.Position.Owner]
		n.w.send(n, to, func() { to.answered(n, &a) })
	}
}

func (n *simNode) answered(from *simNode, a *Answer) {
	if n.rogue != nil && n.rogue.answered(a) {
		return
	}
	if err := n.disperser.Answered(n.w.now, from.owner, a); err != nil && from.rogue == nil {
		n.w.fail("node %d does not understand the correct node %d: %v", n.index, from.index, err)
	}
	n.pump()
	n.batch()
}

func (n *simNode) tips() []order.Tip {
	if n.rogue != nil && n.rogue.lies {
		return n.rogue.tips()
	}
	return n.book.Tips()
}

// heard pulls what somebody else holds.
func (n *simNode) heard(from *simNode, tips []order.Tip) {
	for _, want := range n.book.Missing(tips) {
		n.w.send(n, from, func() {
			if from.rogue != nil && from.rogue.lies {
				return
			}
			for _, c := range from.book.Range(want.Owner, want.After, 8, 1<<20) {
				n.w.count.Pulls++
				from.w.send(from, n, func() { n.certificate(c) })
			}
		})
	}
}
