package datest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"regexp"
	"sync"

	"github.com/ordo-network/ordo/da"
)

// manyBlobs is how many namespaces one Submit is tried with, where the layer takes that many.
const manyBlobs = 1000

func describes(s *suite) {
	if name := s.layer.Name(); !regexp.MustCompile(`^[a-z0-9-]{1,16}$`).MatchString(name) {
		s.Errorf("the name is %q, want 1 to 16 of a-z, 0-9 and -", name)
	}
	l := s.layer.Limits()
	if l.MaxBlobBytes <= 0 || l.MaxSubmitBytes < l.MaxBlobBytes || l.MaxSubmitBlobs <= 0 {
		s.Errorf("the limits are %+v, want more than 0, and that a Submit holds a blob", l)
	}
	if again := s.layer.Limits(); again != l {
		s.Errorf("the limits were %+v and are %+v", l, again)
	}
	price, err := s.layer.Price(s.ctx)
	if err != nil {
		s.wantErr(err, da.ErrUnavailable) // some layers do not tell
	}
	if price.PerMB < 0 || math.IsNaN(price.PerMB) || math.IsInf(price.PerMB, 0) || price.PerMB > 0 && price.Unit == "" {
		s.Errorf("the price is %+v", price)
	}
}

func readBack(s *suite) {
	ns := namespace()
	data := [][]byte{random(1), random(70_000), {0}, random(300)}
	refs := s.submit(ns, data...)
	if head := s.head(); head < refs[len(refs)-1].Height {
		s.Errorf("head is %d after a submission at %d", head, refs[len(refs)-1].Height)
	}
	s.want(ns, refs, data...)
	s.want(ns, refs, data...)
}

func twice(s *suite) {
	ns, data := namespace(), random(100)
	refs := s.submit(ns, data, data)
	s.want(ns, refs, data, data)
	refs = append(refs, s.submit(ns, data)...)
	s.want(ns, refs, data, data, data)
}

func manyNamespaces(s *suite) {
	n := min(manyBlobs, s.layer.Limits().MaxSubmitBlobs)
	blobs := make([]da.Blob, n)
	for i := range blobs {
		blobs[i] = da.Blob{Namespace: namespace(), Data: fmt.Appendf(nil, "blob %d", i)}
		if i > 0 && i%10 == 0 { // some have two, with others between
			blobs[i].Namespace = blobs[i-2].Namespace
		}
	}
	refs := s.submitAll(blobs)
	type stored struct {
		refs []da.Ref
		data [][]byte
	}
	of := map[da.Namespace]stored{}
	for i, b := range blobs {
		have := of[b.Namespace]
		of[b.Namespace] = stored{append(have.refs, refs[i]), append(have.data, b.Data)}
	}
	var wg sync.WaitGroup
	turns := make(chan struct{}, 16)
	for ns, have := range of {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			s.want(ns, have.refs, have.data...)
		})
	}
	wg.Wait()
}

func concurrent(s *suite) {
	const n = 20
	shared := namespace()
	var wg sync.WaitGroup
	all := make([][]da.Ref, n)
	blobs := make([][]da.Blob, n)
	for i := range n {
		blobs[i] = []da.Blob{{Namespace: shared, Data: fmt.Appendf(nil, "shared %d", i)}, {Namespace: namespace(), Data: random(100 + i)}}
		wg.Go(func() {
			var err error
			if all[i], err = s.layer.Submit(s.ctx, blobs[i]); err != nil {
				s.Errorf("submit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if s.Failed() {
		return
	}
	for i, refs := range all {
		s.checkRefs(blobs[i], refs)
		s.want(blobs[i][1].Namespace, refs[1:], blobs[i][1].Data)
		found := 0
		for _, b := range s.blobs(refs[0].Height, shared) {
			if bytes.Equal(b.Data, blobs[i][0].Data) {
				found++
			}
		}
		if found != 1 {
			s.Errorf("%q is %d times where Submit said", blobs[i][0].Data, found)
		}
	}
}

func order(s *suite) {
	ns := namespace()
	var refs []da.Ref
	var data [][]byte
	for i := range 3 {
		b := []byte{byte(i + 1)}
		refs, data = append(refs, s.submit(ns, b)...), append(data, b)
		if i > 0 && refs[i].Height < refs[i-1].Height {
			s.Fatalf("submission %d is at height %d, the one before at %d", i, refs[i].Height, refs[i-1].Height)
		}
	}
	s.want(ns, refs, data...)
}

func tooLarge(s *suite) {
	l := s.layer.Limits()
	ns, small := namespace(), random(1)
	above := s.head()
	refuse := func(what string, data ...[]byte) {
		s.Helper()
		if _, err := s.layer.Submit(s.ctx, of(ns, data...)); err == nil {
			s.Errorf("%s was stored", what)
		} else {
			s.wantErr(err, da.ErrTooLarge)
		}
	}
	refuse("a blob over the limit", small, make([]byte, l.MaxBlobBytes+1))
	blob := make([]byte, l.MaxBlobBytes) // many times the same costs no memory
	if n := l.MaxSubmitBytes/l.MaxBlobBytes + 1; n <= l.MaxSubmitBlobs {
		many := [][]byte{small}
		for range n {
			many = append(many, blob)
		}
		refuse("more bytes than a Submit may have", many...)
	}
	many := make([][]byte, l.MaxSubmitBlobs+1)
	for i := range many {
		many[i] = small
	}
	refuse("more blobs than a Submit may have", many...)
	if n := s.stored(above, ns, small); n != 0 {
		s.Errorf("of what was refused %d blobs are stored", n)
	}
}

func largest(s *suite) {
	ns, data := namespace(), random(s.layer.Limits().MaxBlobBytes)
	refs := s.submit(ns, data)
	s.want(ns, refs, data)
	got, err := s.layer.Get(s.ctx, ns, refs[0])
	if err != nil || !bytes.Equal(got, data) {
		s.Errorf("its reference gives %d bytes, %v", len(got), err)
	}
}

func rejected(s *suite) {
	ns, data := namespace(), random(5)
	above := s.head()
	_, err := s.layer.Submit(s.ctx, nil)
	s.wantErr(err, da.ErrRejected)
	_, err = s.layer.Submit(s.ctx, of(ns, data, nil))
	s.wantErr(err, da.ErrRejected)
	if n := s.stored(above, ns, data); n != 0 {
		s.Errorf("what was rejected is stored %d times", n)
	}
}

func canceled(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.layer.Submit(ctx, of(namespace(), random(5)))
	s.wantErr(err, da.ErrUnavailable)
}

// everything is more requests than any call makes.
const everything = 1 << 20

func failedNotStored(s *suite) {
	ns, data := namespace(), random(1000)
	above := s.head()
	s.faults.DropRequests(everything)
	_, err := s.layer.Submit(s.ctx, of(ns, data))
	s.wantErr(err, da.ErrUnavailable)
	s.faults.Heal()
	if n := s.stored(above, ns, data); n != 0 {
		s.Errorf("the blob is there %d times, want 0", n)
	}
}

func failedButStored(s *suite) {
	ns, data := namespace(), random(1000)
	above := s.head()
	before := s.faults.Dropped()
	s.faults.Only(s.stores)
	s.faults.DropAnswers(1)
	_, err := s.layer.Submit(s.ctx, of(ns, data))
	s.wantErr(err, da.ErrUnavailable)
	s.faults.Heal()
	if s.faults.Dropped() != before+1 {
		s.Fatal("no answer was lost: Harness.Stores matches no request of Submit")
	}
	if n := s.stored(above, ns, data); n != 1 {
		s.Errorf("the blob is there %d times, want once", n)
	}
}
