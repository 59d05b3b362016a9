package relayer

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/ordo-network/ordo/da"
)

// submitGrace is how long a submission under way may go on after the relayer was
// told to stop: its outcome is worth a moment, though the journal needs none.
const submitGrace = 2 * time.Second

// publish submits what the journal holds, in order. It returns an error of the
// journal, or when ctx is done.
func (s *stream) publish(ctx context.Context) error {
	for {
		if err := s.backlog.waitFilled(ctx); err != nil {
			return err
		}
		var err error
		if s.unsure > 0 {
			err = s.resolve(ctx)
		} else {
			err = s.submit(ctx)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var broken *journalError
		switch {
		case err == nil:
			s.failures = 0
			continue
		case errors.As(err, &broken):
			return err
		}
		wait := s.r.backoff(s.failures)
		s.failures++
		if errors.Is(err, da.ErrUnavailable) {
			s.r.outage.failed(err)
		} else {
			s.log.Error("DA layer refuses the rollup's blobs, trying again", "error", err, "retry_in", wait.Round(time.Millisecond))
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}

// journalError marks what is no fault of the layer.
type journalError struct{ error }

func (e *journalError) Unwrap() error { return e.error }

// submit sends the first blobs of the backlog. One submission of a rollup is
// under way at a time, so blobs are on DA in order, and one after a gap never is.
//
// A crash before the submission, or before its answer: the blobs are in the
// journal and are looked for on DA by the next start. A crash after the answer
// and before posted is on disk: the same.
func (s *stream) submit(ctx context.Context) error {
	if err := s.gather(ctx); err != nil {
		return err
	}
	n := maxGroup
	if s.single {
		n = 1
	}
	group := s.backlog.front(n, min(s.r.layer.Limits().MaxBlobBytes, s.r.batch.SubmitBytes))
	size := int64(0)
	for _, m := range group {
		size += int64(m.size)
	}
	// The bytes of a blob are in memory only while it is submitted.
	size = min(size, memoryBytes)
	if err := s.r.inFlight.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.r.inFlight.Release(1)
	if err := s.r.sending.Acquire(ctx, size); err != nil {
		return err
	}
	defer s.r.sending.Release(size)
	blobs := make([][]byte, len(group))
	for i, m := range group {
		var err error
		if blobs[i], err = s.r.journal.data(s.rollup.ID, m.from); err != nil {
			return &journalError{err}
		}
	}
	sendCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(submitGrace, cancel) })()
	started := s.r.now()
	height, err := s.r.layer.Submit(sendCtx, da.Namespace(s.rollup.ID), blobs)
	s.metrics.submission(err)
	switch {
	case errors.Is(err, da.ErrTooLarge):
		s.single = true
		return err
	case errors.Is(err, da.ErrRejected):
		return err
	case err != nil:
		s.unsure, s.scanned = len(group), 0
		return err
	}
	s.single = false
	s.r.metrics.submitSeconds.Observe(s.r.now().Sub(started).Seconds())
	s.r.outage.over()
	return s.confirm(group, height)
}

// gather has collect cut what it holds. The request that is about to leave may be
// under way for a DA block: what missed it would come a block later.
func (s *stream) gather(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case s.cutNow <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resolve looks for blobs whose submission may have been stored, from the head
// that was noted before they were first submitted. Those that are there are
// confirmed; the others may be sent again.
func (s *stream) resolve(ctx context.Context) error {
	first := s.backlog.front(1, 0)[0]
	height := max(first.noted+1, s.daHeight, s.scanned+1)
	for s.unsure > 0 {
		head, err := s.r.layer.Head(ctx)
		if err != nil {
			return err
		}
		if height > head {
			break
		}
		for ; height <= head && s.unsure > 0; height++ {
			blobs, err := s.r.layer.Blobs(ctx, height, da.Namespace(s.rollup.ID))
			if err != nil {
				return err
			}
			if err := s.match(blobs, height); err != nil {
				return err
			}
			s.scanned = height
		}
	}
	s.unsure = 0
	s.r.outage.over()
	return nil
}

// match confirms the blobs at the front of the backlog that the height holds.
// They stand there in order; whatever else there is may be anybody's.
func (s *stream) match(blobs []da.Blob, height uint64) error {
	want := s.backlog.front(s.unsure, math.MaxInt)
	n := 0
	for _, b := range blobs {
		if n < len(want) && len(b.Data) == want[n].size && da.ID(b.Data) == want[n].id {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	s.log.Info("found on the DA layer what was submitted before", "blobs", n, "da_height", height, "to_height", want[n-1].to)
	s.metrics.found.Add(float64(n))
	s.unsure -= n
	return s.confirm(want[:n], height)
}

// confirm notes that the blobs, the first of the backlog, are at the DA height.
func (s *stream) confirm(group []blobMeta, height uint64) error {
	if err := s.r.journal.posted(s.rollup.ID, group, height); err != nil {
		return &journalError{err}
	}
	s.daHeight = height
	s.r.watch.saw(height)
	to := group[len(group)-1].to
	s.log.Debug("posted", "from_height", group[0].from, "to_height", to, "blobs", len(group), "da_height", height)
	s.metrics.confirmed.Set(float64(to))
	s.metrics.blobs.Add(float64(len(group)))
	s.metrics.pending.Set(float64(s.backlog.pop(len(group))))
	return nil
}
