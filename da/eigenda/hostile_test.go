package eigenda

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
)

const patience = 10 * time.Second

// scene is a chain, a proxy and a reader whose time the test moves.
type scene struct {
	*testing.T
	proxy *proxyDouble
	chain *chain
	clock *clock
	*Client
	ns da.Namespace
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{T: t, proxy: newProxyDouble(t), chain: newChain(), clock: newClock(), ns: namespace("victim")}
	s.Client = open(t, s.proxy.URL, Options{Index: s.chain, Patience: patience, Now: s.clock.Now})
	return s
}

// garbage is a certificate that a stranger made up.
func garbage(n byte) Recorded {
	return Recorded{Commitment: []byte{1, 0xbd, n}, ID: da.ID([]byte{n})}
}

// readAll reads the heights in turn, asking every second where there is no answer, and
// says how long that took.
func (s *scene) readAll(from, to uint64) (data []string, took time.Duration) {
	s.Helper()
	began := s.clock.Now()
	for h := from; h <= to; {
		blobs, err := s.Blobs(s.Context(), h, s.ns)
		switch {
		case err == nil:
			for _, b := range blobs {
				data = append(data, string(b.Data))
			}
			h++
		case errors.Is(err, da.ErrUnavailable):
			s.clock.advance(time.Second)
		default:
			s.Fatalf("height %d: %v", h, err)
		}
		if took = s.clock.Now().Sub(began); took > time.Hour {
			s.Fatalf("held up at height %d: %v", h, err)
		}
	}
	return data, took
}

func TestMadeUpCertificatesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	from := uint64(1)
	for n := range byte(100) { // in a row, before the first good one
		s.chain.forge(s.ns, garbage(n))
	}
	submitOne(t, s.Client, s.ns, []byte("good"))
	to := s.chain.forge(s.ns, garbage(100), garbage(101), Recorded{}, Recorded{Commitment: make([]byte, da.MaxCommitmentBytes+1)})
	submitOne(t, s.Client, s.ns, []byte("better"))
	data, took := s.readAll(from, to+1)
	if len(data) != 2 || data[0] != "good" || data[1] != "better" {
		t.Errorf("read %q", data)
	}
	// All of them take their time at once.
	if took > 2*patience {
		t.Errorf("it took %v with a patience of %v", took, patience)
	}
	if n := leftOut(t, s.Client, reasonRefused); n < 102 {
		t.Errorf("%v are counted as refused", n)
	}
	if leftOut(t, s.Client, reasonMalformed) < 2 {
		t.Error("the malformed ones are not counted")
	}
	// Given up is given up: nobody asks again.
	before := s.proxy.getCount(garbage(3).Commitment)
	if _, took := s.readAll(from, to+1); took != 0 {
		t.Errorf("the second time took %v", took)
	}
	if s.proxy.getCount(garbage(3).Commitment) != before {
		t.Error("a certificate that was given up is asked for again")
	}
}

// A failure of the proxy or of EigenDA makes nobody pass by what is good.
func TestFailuresAreNoVerdicts(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.ResponseWriter, []byte) bool{
		"500":       answer(500, "get data from V2 backend: no retriever answers"),
		"404":       answer(404, "404 page not found"),
		"400":       answer(400, "The plain HTTP request was sent to HTTPS port"),
		"401":       answer(401, ""),
		"503":       answer(503, ""),
		"302":       answer(302, ""),
		"empty":     answer(200, ""),
		"hung up":   hangUp,
		"cut short": cutShort,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			first := submitOne(t, s.Client, s.ns, []byte("first"))
			wantBlobs(t, s.Client, first.Height, s.ns, []byte("first")) // it was well once
			second := submitOne(t, s.Client, s.ns, []byte("second"))
			s.proxy.setGet(fault)
			for range 100 {
				if _, err := s.Blobs(t.Context(), second.Height, s.ns); !errors.Is(err, da.ErrUnavailable) {
					t.Fatalf("the error is %v, want ErrUnavailable", err)
				}
				if _, err := s.Get(t.Context(), s.ns, second); !errors.Is(err, da.ErrUnavailable) {
					t.Fatalf("the error is %v, want ErrUnavailable", err)
				}
				s.clock.advance(patience / 3)
			}
			s.proxy.setGet(nil)
			wantBlobs(t, s.Client, second.Height, s.ns, []byte("second"))
		})
	}
}

// That the proxy served something while a certificate was in doubt tells nothing when it
// serves nothing at the end.
func TestFailureThatComesLater(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := submitOne(t, s.Client, s.ns, []byte("first"))
	second := submitOne(t, s.Client, s.ns, []byte("second"))
	third := submitOne(t, s.Client, s.ns, []byte("third"))
	s.proxy.setGet(func(w http.ResponseWriter, cert []byte) bool {
		return string(cert) == string(second.Commitment) && answer(500, "one relay is down")(w, cert)
	})
	wantInDoubt := func() {
		t.Helper()
		if _, err := s.Blobs(t.Context(), second.Height, s.ns); !errors.Is(err, errInDoubt) {
			t.Fatalf("the error is %v, want errInDoubt", err)
		}
	}
	wantInDoubt()
	s.clock.advance(time.Second)
	wantBlobs(t, s.Client, first.Height, s.ns, []byte("first"))
	wantBlobs(t, s.Client, third.Height, s.ns, []byte("third"))
	s.proxy.setGet(answer(500, "all are down"))
	for range 50 {
		wantInDoubt()
		s.clock.advance(time.Second)
	}
	s.proxy.setGet(nil)
	wantBlobs(t, s.Client, second.Height, s.ns, []byte("second"))
}

// Statuses that speak of the proxy and not of the certificate are no refusals, even of
// one certificate alone.
func TestBusyProxyRefusesNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 408, 429, 502, 503, 504} {
		s := newScene(t)
		ref := submitOne(t, s.Client, s.ns, []byte("wanted"))
		submitOne(t, s.Client, s.ns, []byte("other"))
		s.proxy.setGet(func(w http.ResponseWriter, cert []byte) bool {
			return string(cert) == string(ref.Commitment) && answer(status, "")(w, cert)
		})
		for range 30 {
			if _, err := s.Blobs(t.Context(), ref.Height, s.ns); !errors.Is(err, da.ErrUnavailable) {
				t.Fatalf("%d: the error is %v, want ErrUnavailable", status, err)
			}
			wantBlobs(t, s.Client, ref.Height+1, s.ns, []byte("other"))
			s.clock.advance(time.Second)
		}
		s.proxy.setGet(nil)
		wantBlobs(t, s.Client, ref.Height, s.ns, []byte("wanted"))
	}
}

// What was served last may be gone as well; then another one tells how the proxy is.
func TestCanaryThatIsGone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	bad := s.chain.forge(s.ns, garbage(1))
	good := submitOne(t, s.Client, s.ns, []byte("good"))
	gone := submitOne(t, s.Client, s.ns, []byte("gone"))
	wantBlobs(t, s.Client, good.Height, s.ns, []byte("good"))
	wantBlobs(t, s.Client, gone.Height, s.ns, []byte("gone"))
	s.proxy.setGet(func(w http.ResponseWriter, cert []byte) bool {
		return string(cert) == string(gone.Commitment) && answer(500, "expired")(w, cert)
	})
	s.clock.advance(time.Hour)
	if data, took := s.readAll(bad, bad); len(data) != 0 || took > 2*patience {
		t.Errorf("read %q after %v", data, took)
	}
}

// cutShort promises more than it sends.
func cutShort(w http.ResponseWriter, _ []byte) bool {
	w.Header().Set("Content-Length", "100")
	_, _ = io.WriteString(w, "half") // the client notices
	return true
}

// Get has no window to look ahead in: what it served before tells how the proxy is.
func TestGetGivesUpToo(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := submitOne(t, s.Client, s.ns, []byte("good"))
	bad := da.Ref{Commitment: garbage(1).Commitment}
	get := func() error {
		_, err := s.Get(t.Context(), s.ns, bad)
		s.clock.advance(time.Second)
		return err
	}
	for range 100 { // nothing was served yet: nobody knows
		if err := get(); !errors.Is(err, da.ErrUnavailable) {
			t.Fatalf("the error is %v, want ErrUnavailable", err)
		}
	}
	if _, err := s.Get(t.Context(), s.ns, good); err != nil {
		t.Fatal(err)
	}
	if err := get(); !errors.Is(err, da.ErrNotFound) {
		t.Errorf("the error is %v, want ErrNotFound", err)
	}
	// Another, long after: the good one is asked for again.
	s.clock.advance(time.Hour)
	bad.Commitment = garbage(2).Commitment
	asked := 0
	for errors.Is(get(), da.ErrUnavailable) {
		if asked++; asked > 100 {
			t.Fatal("never given up")
		}
	}
	if took := time.Duration(asked) * time.Second; took < patience || took > 2*patience {
		t.Errorf("given up after %v", took)
	}
}

// The proxy's own word for an invalid certificate is no verdict at once: it may be behind
// with what it compares it with.
func TestInvalidCertificate(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	height := s.chain.forge(s.ns, garbage(1))
	early := submitOne(t, s.Client, s.ns, []byte("early"))
	submitOne(t, s.Client, s.ns, []byte("good"))
	var behind atomic.Bool
	behind.Store(true)
	s.proxy.setGet(func(w http.ResponseWriter, cert []byte) bool {
		if string(cert) == string(early.Commitment) && behind.Load() || cert[1] == 0xbd {
			return answer(418, "reference block number is in the future")(w, cert)
		}
		return false
	})
	for _, h := range []uint64{height, early.Height} {
		if _, err := s.Blobs(t.Context(), h, s.ns); !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("height %d: %v, want ErrUnavailable", h, err)
		}
	}
	if _, err := s.Get(t.Context(), s.ns, early); !errors.Is(err, da.ErrUnavailable) || errors.Is(err, da.ErrNotFound) {
		t.Errorf("the error is %v, want ErrUnavailable", err)
	}
	behind.Store(false)
	if data, took := s.readAll(height, early.Height); len(data) != 1 || data[0] != "early" || took > 2*patience {
		t.Errorf("read %q after %v", data, took)
	}
}

func TestOnlyWhatWasRecordedIsGivenBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	good := submitOne(t, s.Client, s.ns, []byte("good"))
	// A stranger records the good certificate for other data, and as it is many times.
	height := s.chain.forge(s.ns,
		Recorded{Commitment: good.Commitment, ID: da.ID([]byte("other"))},
		Recorded{Commitment: good.Commitment, ID: da.ID([]byte("good"))},
		Recorded{Commitment: good.Commitment, ID: da.ID([]byte("good"))},
		Recorded{Commitment: good.Commitment, ID: da.ID([]byte("other"))},
	)
	wantBlobs(t, s.Client, height, s.ns, []byte("good"))
	if n := leftOut(t, s.Client, reasonMismatched); n != 1 {
		t.Errorf("%v are counted, want 1", n)
	}
	if n := s.proxy.getCount(good.Commitment); n != 1 {
		t.Errorf("the blob was transferred %d times", n)
	}
	// What is cached is nobody's to change.
	blobs, err := s.Blobs(t.Context(), good.Height, s.ns)
	if err != nil {
		t.Fatal(err)
	}
	blobs[0].Data[0] = 'f'
	wantBlobs(t, s.Client, good.Height, s.ns, []byte("good"))
	// A proxy that gives other bytes.
	other := open(t, s.proxy.URL, Options{Index: s.chain})
	s.proxy.setGet(answer(200, "food"))
	wantBlobs(t, other, good.Height, s.ns)
}

func TestBlobThatHasNoEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ref := submitOne(t, s.Client, s.ns, []byte("good"))
	sent := make(chan int, 1)
	s.proxy.setGet(func(w http.ResponseWriter, _ []byte) bool {
		chunk, n := make([]byte, 1<<20), 0
		for n < 1<<30 {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
		return true
	})
	if _, err := s.Blobs(t.Context(), ref.Height, s.ns); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("the error is %v, want ErrUnavailable", err)
	}
	if n := <-sent; n > 64<<20 {
		t.Errorf("the reader took %d bytes", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache()
	for i := range 100 {
		c.put([]byte{byte(i)}, make([]byte, 1<<20))
		c.put([]byte{byte(i)}, make([]byte, 1<<20))
	}
	c.put([]byte("huge"), make([]byte, maxCacheBytes+1))
	if c.size != maxCacheBytes || c.lru.Len() != len(c.byCert) || c.size != c.lru.Len()<<20 {
		t.Errorf("%d bytes in %d blobs", c.size, c.lru.Len())
	}
	if c.get([]byte{99}) == nil || c.get([]byte{0}) != nil || c.get([]byte("huge")) != nil {
		t.Error("the newest is gone, or the oldest or the huge one is there")
	}
}

func TestVerdictsAreBounded(t *testing.T) {
	t.Parallel()
	v := newVerdicts(patience, time.Now)
	huge := v.of(make([]item, maxCases+1))
	for i := range 2 * maxCases / (100 + fileCost) {
		items := make([]item, 100)
		items[0].commitment = []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		if f := v.of(items); v.of(items) != f {
			t.Fatal("a file is made twice")
		}
	}
	n := 0
	for e := v.order.Front(); e != nil; e = e.Next() {
		n += e.Value.(*file).cost()
	}
	if n != v.cases || n > maxCases || len(v.files) != v.order.Len() || v.files[huge.key] != nil {
		t.Errorf("%d cases in %d files, %d are counted", n, len(v.files), v.cases)
	}
}

// Whatever the proxy answers, the reader has an answer or an error that it knows.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte("data"))
	f.Add(418, []byte("invalid"))
	f.Add(500, []byte("get request failed \x00\xff"))
	f.Add(204, []byte(nil))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			return // the double cannot send it, or not with a body
		}
		s := newScene(t)
		s.proxy.setGet(answer(status, string(body)))
		s.proxy.setPut(answer(status, string(body)))
		data, err := s.Get(t.Context(), s.ns, da.Ref{Commitment: []byte{1, 2}})
		if err == nil && (status != 200 || string(data) != string(body)) ||
			err != nil && !errors.Is(err, da.ErrUnavailable) && !errors.Is(err, da.ErrNotFound) {
			t.Errorf("get: %d %q gives %q, %v", status, body, data, err)
		}
		_, err = s.Submit(t.Context(), []da.Blob{{Data: []byte("x")}})
		if err != nil && !errors.Is(err, da.ErrUnavailable) && !errors.Is(err, da.ErrRejected) && !errors.Is(err, da.ErrTooLarge) {
			t.Errorf("put: %d %q gives %v", status, body, err)
		}
	})
}
