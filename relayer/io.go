package relayer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

const (
	// submitTimeout bounds a submission. Longer than any layer takes that is well: what
	// is given up must be looked for.
	submitTimeout = 3 * time.Minute
	claimTimeout  = time.Minute
	askTimeout    = 10 * time.Second
	// headEvery is how often the head of a layer is taken in at most, and headTimeout how
	// long a layer may say that it makes no block before it is asked whether it is well.
	headEvery   = 500 * time.Millisecond
	headTimeout = 30 * time.Second
	priceEvery  = time.Minute
	// chainHeadEvery is how often sequencer nodes are asked for their height.
	chainHeadEvery = 2 * time.Second
	// searchers is how many heights are looked at at once.
	searchers = 8
)

// tell hands an event to the loop, which takes all of them until nobody can send any more.
func (r *Relayer) tell(e event) { r.events <- e }

// read reads the order for the reader's rollups until ctx ends.
func (r *Relayer) read(ctx context.Context, g *reader) {
	for failures := 0; ctx.Err() == nil; failures++ {
		started := r.now()
		err := r.readOn(ctx, g)
		if ctx.Err() != nil {
			return
		}
		if r.now().Sub(started) > time.Minute {
			failures = 0
		}
		wait := r.backoff(failures)
		r.log.Error("reading the order stopped, trying again", "rollups", len(g.members), "retry_in", wait.Round(time.Millisecond), "error", err)
		if pause.For(ctx, wait) != nil {
			return
		}
	}
}

func (r *Relayer) readOn(ctx context.Context, g *reader) error {
	ids := make([]order.RollupID, len(g.members))
	var from uint64
	var checkpoint follower.Checkpoint
	r.mu.Lock()
	for i, m := range g.members {
		ids[i] = m.ID
		if i == 0 || m.reader == g && m.next < from {
			from, checkpoint = m.next, m.checkpoint
		}
	}
	r.mu.Unlock()
	r.log.Debug("reading the order", "from_height", from, "rollups", len(ids))
	source, err := r.open(ids, checkpoint)
	if err != nil {
		return err
	}
	return source.Run(ctx, from, func(ctx context.Context, blocks []*follower.Block) error {
		done := make(chan error, 1)
		take := func(now time.Time, w *write) error {
			done <- r.core.read(g, blocks, now, w)
			return nil
		}
		select {
		case r.events <- take:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case err := <-done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// submit sends a submission and tells what came of it.
//
// A crash before it, or before its answer is in the journal: the next start looks for
// its pieces on the layer.
func (r *Relayer) submit(ctx context.Context, s *submission) {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	blobs := make([]da.Blob, 0, s.pieces)
	var broken error
	for _, ld := range s.loads {
		for _, p := range ld.places {
			data, err := r.journal.piece(ld.rollup.ID, p.blob.from, p.part)
			broken = errors.Join(broken, err)
			blobs = append(blobs, da.Blob{Namespace: da.Namespace(ld.rollup.ID), Data: data})
		}
	}
	if broken != nil {
		r.tell(func(time.Time, *write) error { return broken })
		return
	}
	refs, err := s.layer.Submit(ctx, blobs)
	r.tell(func(now time.Time, w *write) error {
		r.core.settled(s, refs, err, now, w)
		return nil
	})
}

// probe tries a layer that is away. One that takes longer than such a layer may is no better.
func (r *Relayer) probe(ctx context.Context, p probe, data []byte) {
	ctx, cancel := context.WithTimeout(ctx, r.core.fallbackAfter)
	defer cancel()
	_, err := p.layer.Submit(ctx, []da.Blob{{Namespace: da.Namespace(p.id), Data: data}})
	r.tell(func(now time.Time, _ *write) error {
		r.core.probed(p.layer, err, now)
		return nil
	})
}

func (r *Relayer) claim(ctx context.Context, c *claiming, batch []da.Claim) {
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	height, err := r.claimer.Claim(ctx, batch)
	r.tell(func(now time.Time, w *write) error {
		r.core.claims.claimed(c, height, err, now, w)
		return nil
	})
}

// search looks for what may stand on a layer.
func (r *Relayer) search(ctx context.Context, s *search) {
	outcome := make([]found, len(s.targets))
	head, err := s.layer.Head(ctx)
	if err == nil {
		var hint atomic.Uint64 // height at which the last one was found: often all stand there
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(searchers)
		for i, t := range s.targets {
			g.Go(func() (err error) {
				outcome[i], err = s.layer.lookFor(ctx, t, head, &hint)
				return err
			})
		}
		err = g.Wait()
	}
	r.tell(func(now time.Time, w *write) error {
		r.core.searched(s, outcome, head, err, now, w)
		return nil
	})
}

// lookFor looks for the pieces of a target up to the head. They stand there in order;
// whatever else there is may be anybody's.
func (l *layer) lookFor(ctx context.Context, t target, head uint64, hint *atomic.Uint64) (f found, err error) {
	if l.Window > 0 {
		head = min(head, t.sent.noted+l.Window)
	}
	ns := da.Namespace(t.rollup.ID)
	if h := hint.Load(); h > t.from && h <= head {
		blobs, err := l.Blobs(ctx, h, ns)
		if err != nil {
			return f, err
		}
		if refs := match(blobs, t.pieces); len(refs) == len(t.pieces) {
			return found{refs: refs, looked: h}, nil
		}
	}
	for h := t.from; h <= head && len(f.refs) < len(t.pieces); h++ {
		blobs, err := l.Blobs(ctx, h, ns)
		if err != nil {
			return f, fmt.Errorf("look at DA height %d: %w", h, err)
		}
		if refs := match(blobs, t.pieces[len(f.refs):]); len(refs) > 0 {
			f.refs = append(f.refs, refs...)
			hint.Store(h)
		}
		f.looked = h
	}
	return f, nil
}

// match returns where the first of the pieces stand among the blobs of one height.
func match(blobs []da.Stored, pieces []piece) (refs []da.Ref) {
	for _, b := range blobs {
		if n := len(refs); n < len(pieces) && len(b.Data) == pieces[n].size && da.ID(b.Data) == pieces[n].id {
			refs = append(refs, b.Ref)
		}
	}
	return refs
}

// watch tells the head of a layer, and now and then its price, until ctx ends.
func (r *Relayer) watch(ctx context.Context, l *layer) {
	var head uint64
	var priced time.Time
	answered := false
	for failures := 0; ; failures++ {
		next, err := askHead(ctx, l, head, answered)
		var price *da.Price
		if err == nil {
			head, answered, failures = next, true, 0
			if now := r.now(); now.Sub(priced) >= priceEvery {
				priced = now
				price = askPrice(ctx, l)
			}
		}
		if ctx.Err() != nil {
			return
		}
		r.tell(func(now time.Time, _ *write) error { return r.core.heard(l, next, price, err, now) })
		wait := headEvery
		if err != nil {
			wait = r.backoff(failures)
		}
		if pause.For(ctx, wait) != nil {
			return
		}
	}
}

// askHead returns the layer's head once it is above the one known, or after a while. A
// layer that makes blocks only when it has blobs may have none for long.
func askHead(ctx context.Context, l *layer, above uint64, answered bool) (uint64, error) {
	if answered {
		waiting, cancel := context.WithTimeout(ctx, headTimeout)
		head, err := l.WaitHead(waiting, above)
		late := waiting.Err() != nil
		cancel()
		if err == nil || !late {
			return head, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return l.Head(ctx)
}

// askPrice returns nil where the layer does not say.
func askPrice(ctx context.Context, l *layer) *da.Price {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	p, err := l.Price(ctx)
	if err != nil {
		return nil
	}
	return &p
}

// watchChain tells the height of the sequencer chain until ctx ends.
func (r *Relayer) watchChain(ctx context.Context) {
	for {
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		height, err := r.chainHead(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil { // otherwise the old one stands
			r.tell(func(time.Time, *write) error {
				r.core.chainHead = max(r.core.chainHead, height)
				return nil
			})
		}
		if pause.For(ctx, chainHeadEvery) != nil {
			return
		}
	}
}

// watchClaims tells what the sequencer chain says about claims that it has, until ctx ends.
func (r *Relayer) watchClaims(ctx context.Context) {
	every := min(r.core.claims.interval, confirmEvery)
	for failures := 0; pause.For(ctx, every) == nil; {
		r.mu.Lock()
		rollups := r.core.claims.unconfirmed()
		r.mu.Unlock()
		if len(rollups) == 0 {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		found, err := r.confirmed(asking, rollups)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil: // they are kept
			r.log.Debug("sequencer nodes do not tell what validators confirmed, trying again", "error", err)
			if pause.For(ctx, r.backoff(failures)) != nil {
				return
			}
			failures++
			continue
		}
		failures = 0
		r.tell(func(_ time.Time, w *write) error {
			for _, q := range r.core.claims.queues {
				if a, ok := found[q.ID]; ok {
					r.core.claims.confirmed(q, a, w)
				}
			}
			return nil
		})
	}
}
