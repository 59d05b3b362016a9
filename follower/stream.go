package follower

import (
	"context"
	"errors"
	"sync"
	"time"

	"connectrpc.com/connect"

	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Why a stream is given up although nothing is known to be wrong with the endpoint.
var (
	errEnded   = errors.New("stream ended")
	errStalled = errors.New("stream gives no block although there is more")
)

const (
	// progressEvery is how often catching up is logged.
	progressEvery = 5 * time.Second
	// patience is how many times StallAfter an endpoint may say that it waits for a
	// block's data, before others are tried.
	patience = 10
	// farBehind is how many blocks below the claimed height counts as catching up.
	farBehind = 100
)

// stream is one subscription at one endpoint.
type stream struct {
	f        *Follower
	endpoint *endpoint
	verifier *Verifier
	queue    *queue

	waiting  time.Time // since when the endpoint says so; zero where it does not
	behind   bool
	reported time.Time // when progress was last logged
	height   uint64    // and at which height
}

type received struct {
	msg *sequencerv1.SubscribeRollupResponse
	err error
}

// run verifies and queues blocks until the endpoint fails; it always returns an error.
func (s *stream) run(ctx context.Context, from uint64) error {
	if err := s.f.skip(ctx, s.endpoint, s.verifier, from); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	in := make(chan received)
	var receiver sync.WaitGroup
	next := s.verifier.Height()
	receiver.Go(func() { s.receive(ctx, next, in) })
	defer receiver.Wait()
	defer cancel()

	silent := time.NewTimer(s.f.cfg.StallAfter)
	defer silent.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-in:
			if alive, err := s.accept(ctx, r); err != nil {
				return err
			} else if !alive {
				continue // as if it had not come
			}
		case <-silent.C:
			if s.f.nobodyAhead(ctx, s.verifier.Height()) {
				break // the chain stands still: no other endpoint would help
			}
			select {
			case r := <-in: // it came while the others were asked
				if alive, err := s.accept(ctx, r); err != nil {
					return err
				} else if !alive {
					return errStalled
				}
			default:
				return errStalled
			}
		}
		// Time spent in the verifier and the queue is not the endpoint's.
		silent.Reset(s.f.cfg.StallAfter)
	}
}

// receive passes on what the endpoint sends. Nothing is read ahead of the verifier.
func (s *stream) receive(ctx context.Context, from uint64, in chan<- received) {
	put := func(r received) {
		select {
		case in <- r:
		case <-ctx.Done():
		}
	}
	st, err := s.endpoint.client.SubscribeRollup(ctx, connect.NewRequest(&sequencerv1.SubscribeRollupRequest{
		RollupId: s.f.cfg.Rollup[:], FromHeight: from,
	}))
	if err != nil {
		put(received{err: transportError(err)})
		return
	}
	for st.Receive() {
		put(received{msg: st.Msg()})
		if ctx.Err() != nil {
			break
		}
	}
	err = errEnded
	if st.Err() != nil {
		err = transportError(st.Err())
	}
	put(received{err: err})
	_ = st.Close() // nothing is left to be read from it
}

// accept verifies a message and queues its block. One without a block says that the
// endpoint has the next block and waits for its data, as others may have to as well: it
// is alive then, but not for as long as it likes.
func (s *stream) accept(ctx context.Context, r received) (alive bool, err error) {
	if r.err != nil {
		return false, r.err
	}
	f := s.f
	if r.msg.GetBlock() == nil {
		if r.msg.GetLatestHeight() < s.verifier.Height() {
			return false, nil
		}
		if s.waiting.IsZero() {
			s.waiting = time.Now()
		}
		return time.Since(s.waiting) < patience*f.cfg.StallAfter, nil
	}
	s.waiting = time.Time{}
	b, err := s.verifier.Next(r.msg.GetBlock(), f.cfg.Now())
	if err != nil {
		return false, lieUnlessOurs(err)
	}
	f.endpoints.works(s.endpoint)
	cp := b.Checkpoint()
	f.head.Store(&cp)
	f.metrics.blocks.Inc()
	f.metrics.height.Set(float64(b.Height))
	f.metrics.latest.Set(float64(max(b.Height, r.msg.GetLatestHeight())))
	s.progress(b.Height, r.msg.GetLatestHeight())
	return true, s.queue.put(ctx, b)
}

// progress logs how catching up goes.
func (s *stream) progress(height, of uint64) {
	now := s.f.cfg.Now()
	log := s.f.cfg.Logger.With("height", height, "of", of, "endpoint", s.endpoint.url)
	switch behind := height+farBehind < of; {
	case behind && !s.behind:
		s.behind, s.reported, s.height = true, now, height
	case behind && now.Sub(s.reported) >= progressEvery:
		rate := float64(height-s.height) / now.Sub(s.reported).Seconds()
		log.Info("catching up with the sequencer", "blocks_per_second", int(rate))
		s.reported, s.height = now, height
	case !behind && s.behind && height >= of:
		s.behind = false
		log.Info("caught up with the sequencer")
	}
}

// nobodyAhead asks every endpoint in good standing whether it has the height.
// What they claim is not believed for longer than it takes to try them.
func (f *Follower) nobodyAhead(ctx context.Context, height uint64) bool {
	ready, _ := f.endpoints.split(f.cfg.Now())
	heights := make([]uint64, len(ready))
	var wg sync.WaitGroup
	for i, e := range ready {
		wg.Go(func() { heights[i] = e.latest(ctx) })
	}
	wg.Wait()
	for _, h := range heights {
		if h >= height {
			return false
		}
	}
	return true
}
