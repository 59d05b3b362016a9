package datest

import (
	"bytes"
	"context"
	"time"

	"github.com/ordo-network/ordo/da"
)

func get(s *suite) {
	ns := namespace()
	data := [][]byte{random(10), random(20_000), random(10)}
	refs := s.submit(ns, data...)
	seen := map[uint64]bool{}
	for i, r := range refs {
		got, err := s.layer.Get(s.ctx, ns, r)
		switch {
		case err != nil:
			s.Errorf("get blob %d: %v", i, err)
		// Without a commitment it is the first of its height.
		case !bytes.Equal(got, data[i]) && (len(r.Commitment) > 0 || !seen[r.Height]):
			s.Errorf("the reference of blob %d gives another one", i)
		}
		if !seen[r.Height] {
			seen[r.Height] = true
			got, err := s.layer.Get(s.ctx, ns, da.Ref{Height: r.Height})
			if err != nil || !bytes.Equal(got, data[i]) {
				s.Errorf("the first blob at height %d, got without commitment, is another one: %v", r.Height, err)
			}
		}
	}
}

func wrongRef(s *suite) {
	ns := namespace()
	ref := s.submit(ns, random(100))[0]
	_, err := s.layer.Get(s.ctx, namespace(), da.Ref{Height: ref.Height})
	s.wantErr(err, da.ErrNotFound)
	if n := len(ref.Commitment); n > 0 {
		wrong := bytes.Clone(ref.Commitment)
		wrong[n-1] ^= 1
		_, err = s.layer.Get(s.ctx, ns, da.Ref{Height: ref.Height, Commitment: wrong})
		s.wantErr(err, da.ErrNotFound)
	}
}

func notYet(s *suite) {
	ns := namespace()
	above := s.submit(ns, random(10))[0].Height + 1_000_000
	_, err := s.layer.Blobs(s.ctx, above, ns)
	s.wantErr(err, da.ErrNotYet)
	_, err = s.layer.Get(s.ctx, ns, da.Ref{Height: above})
	s.wantErr(err, da.ErrNotYet)
}

func empty(s *suite) {
	height := s.submit(namespace(), random(10))[0].Height
	if got := s.blobs(height, namespace()); len(got) != 0 {
		s.Errorf("a namespace that nobody wrote to holds %d blobs", len(got))
	}
}

func waitHead(s *suite) {
	height := s.submit(namespace(), random(10))[0].Height
	if head, err := s.layer.WaitHead(s.ctx, height-1); err != nil || head < height {
		s.Errorf("waiting for what is there gives %d, %v; want %d or more", head, err, height)
	}
	above := s.head()
	type answer struct {
		head uint64
		err  error
	}
	answers := make(chan answer, 3)
	for range cap(answers) {
		go func() {
			head, err := s.layer.WaitHead(s.ctx, above)
			answers <- answer{head, err}
		}()
	}
	s.submit(namespace(), random(10))
	for range cap(answers) {
		if a := <-answers; a.err != nil || a.head <= above {
			s.Errorf("waiting for more than %d gives %d, %v", above, a.head, a.err)
		}
	}
}

func waitHeadEnds(s *suite) {
	above := s.submit(namespace(), random(10))[0].Height + 1_000_000
	ctx, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := s.layer.WaitHead(ctx, above)
	s.wantErr(err, da.ErrUnavailable)
	if s.ctx.Err() != nil {
		s.Error("it waited on after its context had ended")
	}
}

func failedRead(s *suite) {
	ns := namespace()
	ref := s.submit(ns, random(5))[0]
	for _, drop := range []func(int){s.faults.DropRequests, s.faults.DropAnswers} {
		drop(everything)
		_, err := s.layer.Blobs(s.ctx, ref.Height, ns)
		s.wantErr(err, da.ErrUnavailable)
		_, err = s.layer.Get(s.ctx, ns, ref)
		s.wantErr(err, da.ErrUnavailable)
		_, err = s.layer.Head(s.ctx)
		s.wantErr(err, da.ErrUnavailable)
		_, err = s.layer.WaitHead(s.ctx, 0)
		s.wantErr(err, da.ErrUnavailable)
		s.faults.Heal()
	}
	if got := s.blobs(ref.Height, ns); len(got) != 1 {
		s.Errorf("after the failure there are %d blobs, want 1", len(got))
	}
}
