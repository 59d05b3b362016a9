package relayer

import (
	"context"
	"fmt"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
)

// submitGrace is how long a submission under way may go on after the relayer was
// told to stop: its outcome is worth a moment, though the journal needs none.
const submitGrace = 2 * time.Second

// Run relays until ctx ends, which is no error. It returns an error of the journal, and
// where a DA layer refuses us at the first word.
func (r *Relayer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &shell{Relayer: r, ctx: ctx, layers: map[*layer]sending{}}
	// Submissions outlive ctx for a moment.
	var stopSending context.CancelFunc
	s.sendCtx, stopSending = context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(submitGrace, stopSending) })()
	for _, l := range r.core.layers {
		s.goIO(func() { r.watch(ctx, l) })
	}
	if r.chainHead != nil {
		s.goIO(func() { r.watchChain(ctx) })
	}
	if r.claimer != nil && r.confirmed != nil {
		s.goIO(func() { r.watchClaims(ctx) })
	}
	err := s.relay()
	cancel()
	if err != nil {
		stopSending()
	}
	s.drain(err == nil)
	return err
}

// shell does what the core decides: the only place where steps become goroutines.
type shell struct {
	*Relayer
	ctx     context.Context
	sendCtx context.Context
	layers  map[*layer]sending
}

// sending is what the submissions to a layer run under.
type sending struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// relay steps the core until ctx ends.
func (s *shell) relay() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var e event
		select {
		case <-s.ctx.Done():
			return nil
		case e = <-s.events:
		case <-timer.C:
		}
		wake, err := s.step(e)
		if err != nil {
			return err
		}
		if wake.IsZero() {
			timer.Stop()
			continue
		}
		timer.Reset(max(0, wake.Sub(s.now())))
	}
}

// step lets the core take in what happened, writes what that means into the journal,
// and only then does what follows from it.
func (s *shell) step(e event) (wake time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, w := s.now(), s.journal.begin()
	if e != nil {
		w.fail(e(now, w))
	}
	d, err := s.core.advance(now, w)
	w.fail(err)
	if err := w.commit(); err != nil {
		return time.Time{}, err
	}
	for _, c := range d.recut {
		if err := s.recut(c); err != nil {
			return time.Time{}, err
		}
		d.at(now)
	}
	return d.wake, s.act(d)
}

// drain waits for all I/O. What still comes in goes into the journal, where that is
// whole; a crash in between loses no more than any other.
func (s *shell) drain(whole bool) {
	idle := make(chan struct{})
	go func() {
		s.io.Wait()
		close(idle)
	}()
	for {
		select {
		case <-idle:
			return
		case e := <-s.events:
			if !whole {
				continue
			}
			s.mu.Lock()
			w := s.journal.begin()
			w.fail(e(s.now(), w))
			if err := w.commit(); err != nil {
				s.log.Error("the last steps could not be noted and are found again by the next start", "error", err)
				whole = false
			}
			s.mu.Unlock()
		}
	}
}

// act starts what is to be done.
func (s *shell) act(d *todo) error {
	for _, g := range d.stop {
		g.cancel()
	}
	for _, g := range d.start {
		var ctx context.Context
		ctx, g.cancel = context.WithCancel(s.ctx)
		s.goIO(func() { s.read(ctx, g) })
	}
	for _, l := range d.cancel {
		if run, ok := s.layers[l]; ok {
			run.cancel()
			delete(s.layers, l)
		}
	}
	for _, sub := range d.submit {
		ctx := s.sendingTo(sub.layer)
		s.goIO(func() { s.submit(ctx, sub) })
	}
	for _, p := range d.probe {
		data, err := s.journal.piece(p.id, p.place.blob.from, p.place.part)
		if err != nil {
			return err
		}
		s.goIO(func() { s.probe(s.sendCtx, p, data) })
	}
	for _, look := range d.search {
		s.goIO(func() { s.search(s.ctx, look) })
	}
	if c := d.claim; c != nil {
		batch := make([]da.Claim, len(c.items))
		for i, it := range c.items {
			var err error
			if batch[i], err = s.journal.claim(it.queue.ID, it.from, it.to); err != nil {
				return err
			}
		}
		s.goIO(func() { s.claim(s.sendCtx, c, batch) })
	}
	return nil
}

func (s *shell) sendingTo(l *layer) context.Context {
	run, ok := s.layers[l]
	if !ok {
		run.ctx, run.cancel = context.WithCancel(s.sendCtx)
		s.layers[l] = run
	}
	return run.ctx
}

func (s *shell) goIO(f func()) { s.io.Go(f) }

// recut cuts a blob of the journal into smaller pieces.
func (s *shell) recut(c recut) error {
	parts := make([][]byte, len(c.blob.pieces))
	for i := range parts {
		var err error
		if parts[i], err = s.journal.piece(c.rollup.ID, c.blob.from, i); err != nil {
			return err
		}
	}
	data, err := follower.JoinBlob(parts)
	if err != nil {
		return fmt.Errorf("put a blob of the journal together: %w", err)
	}
	if parts, err = follower.SplitBlob(data, c.limit); err != nil {
		return fmt.Errorf("rollup %s: %w", c.rollup.Name, err)
	}
	w := s.journal.begin()
	s.core.recut(c.rollup, c.blob, parts, w)
	return w.commit()
}
