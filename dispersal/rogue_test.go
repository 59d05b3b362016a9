package dispersal

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// rogue is a validator that speaks the protocol and says what it should not.
type rogue struct {
	*transport.Mesh
	t      *testing.T
	first  order.Owner // of another validator
	layout *shard.Layout
	self   *validator
	slow   chan struct{} // if not nil, it takes nothing until this is closed, and does no wrong
	wrong  atomic.Int32  // which of its wrongs it does next
	faults atomic.Int32  // connections it had
}

// corrupt takes the validator's place with a rogue.
func (w *network) corrupt(t *testing.T, v *validator, slow chan struct{}) *rogue {
	t.Helper()
	v.stop()
	w.listen(v)
	r := &rogue{t: t, slow: slow, first: w.validators[0].owner, self: v}
	var err error
	if r.layout, err = lane.Layout(w.committee(0)); err != nil {
		t.Fatal(err)
	}
	r.Mesh, err = transport.New(transport.Options{
		ChainID: chainID, Self: v.owner, Listener: v.listener, Handler: r,
		Limits: transport.Limits{RetryMin: time.Millisecond, RetryMax: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &transport.Members{Key: v.keys[0], Allowed: map[transport.Key]order.Owner{}, Addresses: map[order.Owner]string{}, MaxShare: 8 << 20}
	for _, o := range w.validators {
		m.Allowed[o.public()], m.Addresses[o.owner] = o.owner, o.address
	}
	if err := r.SetMembers(m); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	v.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("rogue: %v", err)
		}
	}
	return r
}

// batch is one of the rogue's own at the first position of its session.
func (r *rogue) batch(session uint64, b *order.Bundle) (*order.SignedBatch, *shard.Coded) {
	b.Sign(chainID, r.self.owner, testKey(100, 0))
	raw := (&order.Batch{Bundles: []*order.Bundle{b}}).Encode()
	coded := new(shard.Coded)
	if err := coded.Encode(r.layout, raw); err != nil {
		r.t.Error(err)
	}
	s := &order.SignedBatch{Header: order.BatchHeader{
		Position: order.Position{Owner: r.self.owner, Mark: order.Mark{Session: session, Sequence: 1}},
		Root:     order.Digest(coded.Root()), Length: uint64(len(raw)), Bundles: []order.BundleSummary{b.Summary()},
	}}
	s.Sign(chainID, r.self.keys[0])
	return s, coded
}

func (r *rogue) offer(p *transport.Peer, session uint64, b *order.Bundle) {
	s, coded := r.batch(session, b)
	share, err := coded.Share(r.layout.Range(p.Owner[:]))
	if err != nil {
		r.t.Error(err)
		return
	}
	_ = p.Send(transport.DisperseOutgoing(transport.DisperseHead(s), share.Append(nil)))
}

func (r *rogue) Connected(p *transport.Peer) {
	if r.slow != nil {
		return
	}
	r.faults.Add(1)
	far := []order.Tip{{Owner: r.first, Mark: order.Mark{Session: 1 << 60, Sequence: 1 << 60}}}
	_ = p.Send(transport.TipsOutgoing(far))
	switch r.wrong.Add(1) % 8 {
	case 0: // two batches for one position
		r.offer(p, 7, bundle(r.t, 100))
		r.offer(p, 7, bundle(r.t, 100))
	case 1: // a certificate that nobody attested
		s, _ := r.batch(9, bundle(r.t, 100))
		c := &order.Certificate{Header: s.Header}
		for i := range 4 {
			c.Attestations = append(c.Attestations, order.Attestation{Member: uint32(i), Clock: 1})
		}
		c.Sign(chainID, r.self.keys[0])
		_ = p.Send(transport.CertificateOutgoing(c.Encode()))
	case 2: // bytes that are no message
		_ = p.Send(transport.Outgoing{Type: transport.TypeTips, Head: []byte{1, 2, 3}})
	case 3: // a batch in the lane of another
		s, _ := r.batch(1, bundle(r.t, 100))
		s.Header.Owner = r.first
		s.Sign(chainID, r.self.keys[0])
		_ = p.Send(transport.DisperseOutgoing(transport.DisperseHead(s), []byte{1}))
	case 4: // an answer to what was never offered
		_ = p.Send((&transport.Attest{Position: order.Position{Owner: p.Owner, Mark: order.Mark{Session: 1, Sequence: 1}}}).Outgoing())
	case 6: // an offer with another's signature
		s, _ := r.batch(8, bundle(r.t, 100))
		s.Sign(chainID, testKey(50, 0))
		_ = p.Send(transport.DisperseOutgoing(transport.DisperseHead(s), []byte{1}))
	case 7: // a share that is not the receiver's
		s, coded := r.batch(8, bundle(r.t, 100))
		share, err := coded.Share(r.layout.Range(r.self.owner[:]))
		if err != nil {
			r.t.Error(err)
			return
		}
		_ = p.Send(transport.DisperseOutgoing(transport.DisperseHead(s), share.Append(nil)))
	case 5: // a reason that there is not
		_ = p.Send((&transport.Refuse{Position: order.Position{Owner: p.Owner, Mark: order.Mark{Session: 1, Sequence: 1}}, Reason: 200}).Outgoing())
	}
}

func (r *rogue) Handle(p *transport.Peer, f *transport.Frame) {
	defer f.Release()
	if r.slow != nil {
		<-r.slow
		return
	}
	switch f.Type {
	case transport.TypeDisperse: // attested with no signature
		d, err := transport.DecodeDisperse(f.Body)
		if err != nil {
			r.t.Error(err)
			return
		}
		h := &d.Batch.Header
		_ = p.Send((&transport.Attest{Position: h.Position, Batch: h.ID(chainID), Attestation: order.Attestation{Member: 3, Clock: 1}}).Outgoing())
	case transport.TypePull:
		if request, _, err := transport.DecodePull(f.Body); err == nil {
			_ = p.Send(transport.CertificatesOutgoing(request, [][]byte{{1, 2, 3}}))
		}
	case transport.TypeGetShare:
		if request, _, err := transport.DecodeGetShare(f.Body); err == nil {
			_ = p.Send(transport.ShareOutgoing(request, nil, []byte("not a share")))
		}
	}
}

// One validator of four does all it can think of; the others certify, order and read on,
// and have the proof of its equivocation.
func TestRogue(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	r := w.corrupt(t, w.validators[3], nil)
	honest := w.validators[:3]
	w.validators = honest // the chain's validators that are asked; the committee stays
	t.Cleanup(func() { r.self.stop() })
	var all []*order.Bundle
	for range 10 {
		for _, v := range honest {
			bs := bundles(t, 3, 1000)
			all = append(all, bs...)
			v.source.submit(bs...)
		}
		await.Until(t, "the others certify", func() bool { return certified(honest, all) })
	}
	var proof lane.Equivocation
	await.Until(t, "somebody has proof", func() bool {
		for _, v := range honest {
			select {
			case proof = <-v.evidence:
				return true
			default:
			}
		}
		return false
	})
	if proof.Offender != r.self.owner || proof.First.Core == proof.Second.Core || proof.First.Core.Position != proof.Second.Core.Position {
		t.Errorf("proof against %v of %v and %v", proof.Offender, proof.First.Core.Position, proof.Second.Core.Position)
	}
	if r.faults.Load() < 8 {
		t.Errorf("the rogue was thrown out %d times", r.faults.Load())
	}
	for _, v := range honest {
		for _, lanes := range v.Candidates() {
			for _, c := range lanes {
				batch, void, err := v.Retriever().Batch(t.Context(), c.Header.Core(chainID), w.view.Committee(0))
				if err != nil || void != nil || !holds(&c.Header, batch) {
					t.Fatalf("batch %v: void %v, %v, or not what its header tells", c.Header.Position, void != nil, err)
				}
			}
		}
	}
	w.settle(all)
}

// A validator that is connected and takes nothing costs the others what may wait for it,
// and no time.
func TestSlowPeer(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	w := start(t, 4, func(o *Options) { o.Transport.BulkBytes, o.Transport.UrgentBytes = most, most })
	w.connected()
	slow := make(chan struct{})
	r := w.corrupt(t, w.validators[3], slow)
	t.Cleanup(func() { r.self.stop() })
	t.Cleanup(func() { close(slow) })
	honest := w.validators[:3]
	w.validators = honest
	await.Until(t, "it is connected", func() bool { return len(r.Peers()) == 3 })
	bs := bundles(t, 60, 500<<10) // its half of this is more than waits and what TCP takes in
	for _, b := range bs {
		honest[0].source.submit(b)
	}
	await.Until(t, "the others certify", func() bool {
		if queued := gauge(t, honest[0], "ordo_transport_queue_bytes"); queued > 3*2*most {
			t.Errorf("%v bytes wait for peers", queued)
		}
		return certified(honest, bs)
	})
	if gauge(t, honest[0], "ordo_transport_full_total") == 0 {
		t.Error("nothing was held back from the slow peer")
	}
	w.settle(bs)
}

// Those that say they have a certificate and do not give it do not keep a validator from
// getting it where it can be had.
func TestSilentHoldersHoldNothingUp(t *testing.T) {
	t.Parallel()
	w := start(t, 6, nil)
	w.connected()
	owner, holder, v := w.validators[0], w.validators[1], w.validators[5]
	v.stop()
	bs := bundles(t, 3, 1000)
	owner.source.submit(bs...)
	await.Until(t, "the others certify", func() bool { return certified(w.validators[:5], bs) && len(holder.Tips()) > 0 })
	tips := holder.Tips()
	owner.stop()
	holder.stop()
	silent := make(chan struct{})
	all := w.validators
	var rogues []*rogue
	for _, r := range all[2:5] {
		rogues = append(rogues, w.corrupt(t, r, silent))
	}
	w.validators = []*validator{holder, v}
	t.Cleanup(func() {
		close(silent)
		for _, r := range rogues {
			r.self.stop()
		}
	})
	w.listen(v)
	w.run(v)
	await.Until(t, "the silent ones are connected", func() bool { return len(v.mesh.Peers()) == 3 })
	for _, r := range rogues {
		v.Heard(r.self.owner, tips)
	}
	await.Until(t, "all of them are asked", func() bool { return gauge(t, v, "ordo_dispersal_pulls_total") >= 3 })
	since := time.Now()
	w.listen(holder)
	w.run(holder)
	await.Until(t, "it has the certificates", func() bool { return certified([]*validator{v}, bs) })
	if took := time.Since(since); took > pullTimeout/2 {
		t.Errorf("the holder was asked after %v", took)
	}
}

// A peer that asks for certificates and takes no answer costs one answer at a time.
func TestPullsOfWhoTakesNothing(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	slow := make(chan struct{})
	r := w.corrupt(t, w.validators[3], slow)
	t.Cleanup(func() { r.self.stop() })
	t.Cleanup(func() { close(slow) })
	v := w.validators[0]
	w.validators = w.validators[:3]
	await.Until(t, "it is connected", func() bool { return len(r.Peers()) == 3 })
	var bs []*order.Bundle
	for range 10 { // certificates of about 100 KiB
		some := bundles(t, 600, 1)
		bs = append(bs, some...)
		v.source.submit(some...)
	}
	await.Until(t, "all is certified", func() bool { return certified(w.validators, bs) })
	before := gauge(t, v, "ordo_transport_queue_bytes")
	for range 5000 {
		pull := transport.Pull{From: order.Position{Owner: v.owner}, Max: pullMost}
		_ = r.Send(v.owner, pull.Outgoing())
	}
	tip := []order.Tip{{Owner: r.self.owner, Mark: order.Mark{Session: 99, Sequence: 1}}}
	_ = r.Send(v.owner, transport.TipsOutgoing(tip)) // it comes after all pulls
	await.Until(t, "all pulls are read", func() bool {
		v.puller.mu.Lock()
		defer v.puller.mu.Unlock()
		said := v.puller.reports[r.self.owner]
		return said.beyond(r.self.owner, order.Mark{}) != nil
	})
	if more := gauge(t, v, "ordo_transport_queue_bytes") - before; more > 2*transport.MaxCertificatesBytes {
		t.Errorf("%v bytes more wait for it", more)
	}
}

// gauge reads a metric of the validator.
func gauge(t *testing.T, v *validator, name string) float64 {
	t.Helper()
	all, err := v.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
