package eigenda

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/ordo-network/ordo/da"
)

// However many certificates strangers make up at one height, a reader gets past it, what
// is good there included, and no single call asks for more than its share.
func TestMadeUpCertificatesAtOneHeight(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := s.proxy.store([]byte("good"))
	rs := make([]Recorded, 2*maxAsks)
	for i := range rs {
		rs[i] = Recorded{Commitment: binary.BigEndian.AppendUint32([]byte{1}, uint32(i)), ID: da.ID([]byte("x"))}
	}
	height := s.chain.forge(s.ns, slices.Concat(rs, []Recorded{{Commitment: good, ID: da.ID([]byte("good"))}})...)
	var asked atomic.Int64
	s.proxy.setGet(func(http.ResponseWriter, []byte) bool { asked.Add(1); return false })
	for try := 1; ; try++ {
		before := asked.Load()
		blobs, err := s.Blobs(t.Context(), height, s.ns)
		if n := asked.Load() - before; n > maxAsks+lookAhead+maxCanaries {
			t.Errorf("one call asked %d times", n)
		}
		if err == nil {
			if len(blobs) != 1 || string(blobs[0].Data) != "good" {
				t.Errorf("%d blobs", len(blobs))
			}
			break
		}
		if !errors.Is(err, da.ErrUnavailable) || try > 4*minRefusals {
			t.Fatalf("after %d tries: %v", try, err)
		}
		s.clock.advance(patience / 2)
	}
	if most := int64(minRefusals*(len(rs)+maxCanaries) + 2); asked.Load() > most {
		t.Errorf("asked %d times, at most %d are needed", asked.Load(), most)
	}
	before := asked.Load()
	wantBlobs(t, s.Client, height, s.ns, []byte("good"))
	if n := asked.Load() - before; n != 0 {
		t.Errorf("asked %d times for what is known", n)
	}
}

// Many certificates in doubt are asked for again after a pause, however often a reader asks.
func TestRetriesAskForNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var rs []Recorded
	for i := range byte(200) {
		rs = append(rs, garbage(i))
	}
	height := s.chain.forge(s.ns, rs...)
	for range 50 {
		if _, err := s.Blobs(t.Context(), height, s.ns); !errors.Is(err, errInDoubt) {
			t.Fatalf("the error is %v, want errInDoubt", err)
		}
		s.clock.advance(patience / 200)
	}
	if n := s.proxy.getCount(rs[0].Commitment); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// Blobs of other people that strangers record ahead of a rollup's own neither push it out
// nor fill the memory.
func TestForeignBlobsPushNothingOut(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	const size = 15 << 20
	big := make([]byte, size)
	s.proxy.setGet(func(w http.ResponseWriter, cert []byte) bool {
		if cert[0] == 1 {
			return false
		}
		mine := big
		if cert[0] == 3 { // each is another blob
			mine = bytes.Clone(big)
			mine[0] = cert[1]
		}
		_, _ = w.Write(mine) // the client notices
		return true
	})
	good, want := s.proxy.store([]byte("good")), Recorded{ID: da.ID([]byte("good"))}
	want.Commitment = good
	const n = maxHeightBytes/size + 4
	var foreign, own []Recorded
	for i := range byte(n) {
		foreign = append(foreign, Recorded{Commitment: []byte{2, i}, ID: da.ID([]byte("not that"))})
		blob := bytes.Clone(big)
		blob[0] = i
		own = append(own, Recorded{Commitment: []byte{3, i}, ID: da.ID(blob)})
	}
	height := s.chain.forge(s.ns, append(foreign, want)...)
	wantBlobs(t, s.Client, height, s.ns, []byte("good"))
	if left := leftOut(t, s.Client, reasonMismatched); left != n {
		t.Errorf("%v are counted as mismatched, want %d", left, n)
	}
	// They may be recorded for what they are: then all are handed over, in order, those
	// that memory has no room for without their data.
	height = s.chain.forge(s.ns, append(own, want)...)
	blobs, err := s.Blobs(t.Context(), height, s.ns)
	if err != nil || len(blobs) != n+1 {
		t.Fatalf("%d blobs, %v", len(blobs), err)
	}
	held := 0
	for i, b := range blobs {
		held += len(b.Data)
		data, id := b.Data, want.ID
		if i < n {
			id = own[i].ID
		}
		if data == nil && i == n {
			data, err = s.Get(t.Context(), s.ns, b.Ref)
		}
		if data != nil && (err != nil || da.ID(data) != id) {
			t.Errorf("blob %d is another, %v", i, err)
		}
	}
	if most := maxHeightBytes + parallel*size; held > most || blobs[0].Data == nil || blobs[n].Data != nil {
		t.Errorf("%d bytes are held, want at most %d of the first", held, most)
	}
}
