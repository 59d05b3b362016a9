package follower

import (
	"context"
	"errors"
	"sync"
	"time"
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
type stream[M any] struct {
	*reader
	endpoint  *endpoint
	headers   *headers
	subscribe func(ctx context.Context, from uint64) (subscription[M], error)
	// accept verifies a message. It may say, without an error, that the stream is not alive.
	accept func(ctx context.Context, msg *M) (alive bool, err error)

	waiting  time.Time // since when the endpoint says so; zero where it does not
	behind   bool
	reported time.Time // when progress was last logged
	height   uint64    // and at which height
}

// subscription is what connect makes of a stream.
type subscription[M any] interface {
	Receive() bool
	Msg() *M
	Err() error
	Close() error
}

type received[M any] struct {
	msg *M
	err error
}

// run verifies and queues blocks until the endpoint fails; it always returns an error.
func (s *stream[M]) run(ctx context.Context, from uint64) error {
	if err := s.skip(ctx, s.endpoint, s.headers, from); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	in := make(chan received[M])
	var receiver sync.WaitGroup
	next := s.headers.Height()
	receiver.Go(func() { s.receive(ctx, next, in) })
	defer receiver.Wait()
	defer cancel()

	silent := time.NewTimer(s.cfg.StallAfter)
	defer silent.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-in:
			if alive, err := s.take(ctx, r); err != nil {
				return err
			} else if !alive {
				continue // as if it had not come
			}
		case <-silent.C:
			if s.nobodyAhead(ctx, s.headers.Height()) {
				break // the chain stands still: no other endpoint would help
			}
			select {
			case r := <-in: // it came while the others were asked
				if alive, err := s.take(ctx, r); err != nil {
					return err
				} else if !alive {
					return errStalled
				}
			default:
				return errStalled
			}
		}
		// Time spent in the verifier and the queue is not the endpoint's.
		silent.Reset(s.cfg.StallAfter)
	}
}

// receive passes on what the endpoint sends. Nothing is read ahead of the verifier.
func (s *stream[M]) receive(ctx context.Context, from uint64, in chan<- received[M]) {
	put := func(r received[M]) {
		select {
		case in <- r:
		case <-ctx.Done():
		}
	}
	st, err := s.subscribe(ctx, from)
	if err != nil {
		put(received[M]{err: transportError(err)})
		return
	}
	for st.Receive() {
		put(received[M]{msg: st.Msg()})
		if ctx.Err() != nil {
			break
		}
	}
	err = errEnded
	if st.Err() != nil {
		err = transportError(st.Err())
	}
	put(received[M]{err: err})
	_ = st.Close() // nothing is left to be read from it
}

func (s *stream[M]) take(ctx context.Context, r received[M]) (alive bool, err error) {
	if r.err != nil {
		return false, r.err
	}
	return s.accept(ctx, r.msg)
}

// waits takes in that the endpoint has the next block and waits for its data, as others
// may have to as well: it is alive then, but not for as long as it likes.
func (s *stream[M]) waits(latest uint64) (alive bool) {
	if latest < s.headers.Height() {
		return false
	}
	if s.waiting.IsZero() {
		s.waiting = time.Now()
	}
	return time.Since(s.waiting) < patience*s.cfg.StallAfter
}

// verified notes a block that holds.
func (s *stream[M]) verified(c Checkpoint, latest uint64) {
	s.waiting = time.Time{}
	s.endpoints.works(s.endpoint)
	s.head.Store(&c)
	s.metrics.blocks.Inc()
	s.metrics.height.Set(float64(c.Height()))
	s.metrics.latest.Set(float64(max(c.Height(), latest)))
	s.progress(c.Height(), latest)
}

// progress logs how catching up goes.
func (s *stream[M]) progress(height, of uint64) {
	now := s.cfg.Now()
	log := s.cfg.Logger.With("height", height, "of", of, "endpoint", s.endpoint.url)
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
func (r *reader) nobodyAhead(ctx context.Context, height uint64) bool {
	ready, _ := r.endpoints.split(r.cfg.Now())
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
