package datest

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// ErrFault is what a dropped request fails with.
var ErrFault = errors.New("connection lost (injected)")

// Faults is a transport that fails on demand, in the two ways that a remote write
// can: the request never arrives, or it is carried out and the answer is lost. What a layer
// does by other ways than HTTP goes through Do.
type Faults struct {
	next http.RoundTripper

	mu       sync.Mutex
	matches  func(*http.Request) bool
	requests int
	answers  int
	dropped  int
}

// NewFaults returns a transport over next, or over one of its own where next is nil.
func NewFaults(next http.RoundTripper) *Faults {
	if next == nil {
		next = &http.Transport{MaxIdleConnsPerHost: 64}
	}
	return &Faults{next: next}
}

// DropRequests makes the next n requests fail before they are sent.
func (f *Faults) DropRequests(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = n
}

// DropAnswers makes the next n requests fail after they were carried out.
func (f *Faults) DropAnswers(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = n
}

// Only lets faults befall those requests alone that match, and what goes through Do; nil:
// all requests.
func (f *Faults) Only(match func(*http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matches = match
}

// Heal ends all faults.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.matches, f.requests, f.answers = nil, 0, 0
}

// Dropped says how many requests have failed so far.
func (f *Faults) Dropped() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped
}

// Do makes a request that is not one of HTTP: it fails as those do.
func (f *Faults) Do(request func() error) error {
	dropRequest, dropAnswer := f.take(nil)
	if dropRequest {
		return ErrFault
	}
	if err := request(); err != nil {
		return err
	}
	if dropAnswer {
		return ErrFault
	}
	return nil
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (f *Faults) CloseIdleConnections() {
	if c, ok := f.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (f *Faults) RoundTrip(r *http.Request) (*http.Response, error) {
	dropRequest, dropAnswer := f.take(r)
	if dropRequest {
		if r.Body != nil {
			_ = r.Body.Close() // as the interface demands
		}
		return nil, ErrFault
	}
	resp, err := f.next.RoundTrip(r)
	if err != nil || !dropAnswer {
		return resp, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return nil, errors.Join(ErrFault, err, resp.Body.Close())
}

// take uses up a fault; r is nil for what goes through Do.
func (f *Faults) take(r *http.Request) (request, answer bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r != nil && f.matches != nil && !f.matches(r):
		return false, false
	case f.requests > 0:
		f.requests--
		request = true
	case f.answers > 0:
		f.answers--
		answer = true
	default:
		return false, false
	}
	f.dropped++
	return request, answer
}
