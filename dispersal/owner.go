package dispersal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

// owner runs this node's lane. One goroutine has the disperser; what others have to say
// to it they post.
type owner struct {
	node      *Node
	disperser *lane.Disperser
	flights   map[order.Mark]*flying
	peers     map[order.Owner]*transport.Peer // told as connected
	persist   chan []*order.Certificate

	mu      sync.Mutex
	inbox   []func(now uint64)
	wake    chan struct{} // holds a token when the inbox is not empty
	room    lane.Room
	changed chan struct{} // holds a token after room changed
}

// flying is a batch between its dispersal and the announcement of its certificate.
type flying struct {
	coded *shard.Coded // nil once certified
	batch *order.Batch
	since time.Time
	bytes int
}

// maxInbox bounds what peers' answers may take; what does not fit is as if it were lost.
const maxInbox = 1 << 14

func newOwner(n *Node) *owner {
	return &owner{
		node: n, flights: make(map[order.Mark]*flying), peers: make(map[order.Owner]*transport.Peer),
		disperser: lane.NewDisperser(lane.DisperserOptions{
			Self: n.opts.Self, Keys: n.opts.Keys, Verifier: n.opts.Verifier,
			WindowBytes: n.opts.WindowBytes, WindowBatches: n.opts.WindowBatches,
			RetryMin: uint64(n.opts.RetryMin.Milliseconds()), RetryMax: uint64(n.opts.RetryMax.Milliseconds()),
		}),
		// Everything in flight can be on its way to the disk.
		persist: make(chan []*order.Certificate, lane.MaxLaneBatches),
		wake:    make(chan struct{}, 1), changed: make(chan struct{}, 1),
	}
}

// post has the owner's goroutine do something with the disperser.
func (o *owner) post(f func(now uint64)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inbox = append(o.inbox, f)
	nudge(o.wake)
}

// answered passes on what a member said.
func (o *owner) answered(from order.Owner, a *lane.Answer, peer *transport.Peer) {
	o.mu.Lock()
	full := len(o.inbox) >= maxInbox
	o.mu.Unlock()
	if full {
		return
	}
	o.post(func(now uint64) {
		if a.Refusal != nil {
			o.node.metrics.refused.WithLabelValues(label(a.Refusal.Reason)).Inc()
		}
		err := o.disperser.Answered(now, from, a)
		if errors.Is(err, lane.ErrAnswer) && peer != nil {
			o.node.fault(peer, err)
		} else if err != nil {
			o.node.opts.Logger.Error("an answer to a batch could not be used", "from", from.String(), "error", err)
		}
	})
}

// connected tells of a connection, and of its end if no other has replaced it. Of two
// connections of a peer the older one may come here last: it has ended by then.
func (o *owner) connected(p *transport.Peer) {
	o.post(func(now uint64) {
		if p.Context().Err() == nil {
			o.peers[p.Owner] = p
			o.disperser.Connected(now, p.Owner)
		}
	})
	context.AfterFunc(p.Context(), func() {
		o.post(func(uint64) {
			if o.peers[p.Owner] == p {
				delete(o.peers, p.Owner)
				o.disperser.Disconnected(p.Owner)
			}
		})
	})
}

// state returns what may be dispersed.
func (o *owner) state() lane.Room {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.room
}

// disperse sends a batch off. Errors: those of lane.Disperser.Disperse, the context's.
func (o *owner) disperse(ctx context.Context, room lane.Room, p lane.Payload, batch *order.Batch) error {
	done := make(chan error, 1)
	o.post(func(now uint64) {
		at, err := o.disperser.Disperse(now, room, p)
		if err == nil {
			o.flights[at.Mark] = &flying{coded: p.Coded, batch: batch, since: o.node.opts.Now(), bytes: p.Length}
		}
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run has the disperser until the context ends.
func (o *owner) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-o.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
		o.mu.Lock()
		inbox := o.inbox
		o.inbox = nil
		o.mu.Unlock()
		now := milliseconds(o.node.opts.Now())
		for _, f := range inbox {
			f(now)
		}
		if at := o.disperser.Deadline(); at != 0 && at <= now {
			o.disperser.Tick(now)
		}
		if err := o.perform(ctx, o.disperser.Ready()); err != nil {
			return err
		}
		if at := o.disperser.Deadline(); at != 0 {
			timer.Reset(time.Duration(max(1, int64(at)-int64(now))) * time.Millisecond)
		}
		o.publish()
	}
}

func (o *owner) publish() {
	room := o.disperser.Room()
	o.mu.Lock()
	defer o.mu.Unlock()
	if room != o.room {
		o.room = room
		nudge(o.changed)
	}
}

// perform does what the disperser wants, in its order.
func (o *owner) perform(ctx context.Context, r lane.Ready) error {
	if r.Ended != nil {
		o.node.metrics.ended.Inc()
		o.node.opts.Logger.Warn("a session of the own lane ended, its bundles are dispersed again", "reason", r.Ended)
		for mark, f := range o.flights {
			if f.coded != nil {
				delete(o.flights, mark)
			}
		}
		// The batcher sees the end of the session by its number, and rewinds the source.
	}
	if r.Session != 0 {
		if err := writeSession(o.node.opts.Dir, r.Session); err != nil {
			return err
		}
		o.node.opts.Logger.Info("a session of the own lane begins", "session", r.Session)
	}
	o.send(ctx, r.Send)
	if len(r.Persist) > 0 {
		for _, c := range r.Persist {
			if f := o.flights[c.Header.Mark]; f != nil && f.coded != nil {
				o.node.coders.Put(f.coded) // shares were copied when they were sent
				f.coded = nil
			}
		}
		select {
		case o.persist <- r.Persist:
		case <-ctx.Done():
			return nil
		}
	}
	for _, c := range r.Announce {
		o.announce(c)
	}
	return nil
}

// send copies each share, for the memory of the shards serves the next batch as soon as
// this one is certified, while slow peers still wait for theirs.
func (o *owner) send(ctx context.Context, sends []lane.Send) {
	var head []byte
	var of *order.SignedBatch
	for i := range sends {
		s := &sends[i]
		if s.Certificate != nil && s.To != o.node.opts.Self {
			_ = o.node.mesh.Send(s.To, transport.CertificateOutgoing(s.Certificate.Encode())) // sent again if need be
		}
		if s.Offer == nil {
			continue
		}
		buf := o.node.shares.get(len(s.Offer.Share.Shards) + len(s.Offer.Share.Proof) + 64)
		share := s.Offer.Share.Append((*buf)[:0])
		release := func() { o.node.shares.put(buf) }
		if s.To == o.node.opts.Self {
			o.node.attester.take(ctx, offered{
				from: s.To, batch: s.Offer.Batch, share: share, memory: cap(*buf), release: release, since: o.node.opts.Now(),
			})
			continue
		}
		if of != s.Offer.Batch {
			head, of = transport.DisperseHead(s.Offer.Batch), s.Offer.Batch
		}
		out := transport.DisperseOutgoing(head, share)
		out.Done = release
		_ = o.node.mesh.Send(s.To, out) // sent again if need be
	}
}

// announce tells everybody of a certificate of the own lane. It is on disk.
func (o *owner) announce(c *order.Certificate) {
	if f := o.flights[c.Header.Mark]; f != nil {
		delete(o.flights, c.Header.Mark)
		o.node.metrics.batches.Inc()
		o.node.metrics.bytes.Add(float64(f.bytes))
		o.node.metrics.certified.Observe(o.node.opts.Now().Sub(f.since).Seconds())
		o.node.retriever.Keep(c.Header.ID(o.node.opts.ChainID), f.batch, f.bytes)
	}
	if err := o.node.library.add(c, true); err != nil && !errors.Is(err, lane.ErrKnown) {
		o.node.opts.Logger.Error("a certificate of the own lane is left out", "position", c.Header.String(), "error", err)
	}
	o.node.broadcast(transport.CertificateOutgoing(c.Encode()))
}

// store puts certificates of the own lane on disk. Those that come while a sync is under
// way share the next one. Their order on disk may differ from that in the lane: what is
// told to anybody waits for all before it.
func (o *owner) store(ctx context.Context) error {
	for {
		var group []*order.Certificate
		select {
		case group = <-o.persist:
		case <-ctx.Done():
			return nil
		}
		for more := true; more; {
			select {
			case next := <-o.persist:
				group = append(group, next...)
			default:
				more = false
			}
		}
		errs := make([]error, len(group))
		var putting sync.WaitGroup
		for i, c := range group {
			putting.Go(func() { errs[i] = o.put(ctx, c) })
		}
		putting.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		o.post(func(now uint64) {
			for _, c := range group {
				o.disperser.Persisted(now, c.Header.Mark)
			}
		})
	}
}

func (o *owner) put(ctx context.Context, c *order.Certificate) error {
	for {
		err := o.node.putCertificate(ctx, c)
		if err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrBusy) {
			return fmt.Errorf("store certificate %s of the own lane: %w", c.Header.Position, err)
		}
		if err := pause.For(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}
