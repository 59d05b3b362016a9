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
// can: the request never arrives, or it is carried out and the answer is lost.
type Faults struct {
	next http.RoundTripper

	mu       sync.Mutex
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

// Dropped says how many requests have failed so far.
func (f *Faults) Dropped() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dropped
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (f *Faults) CloseIdleConnections() {
	if c, ok := f.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (f *Faults) RoundTrip(r *http.Request) (*http.Response, error) {
	dropRequest, dropAnswer := f.take()
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

func (f *Faults) take() (request, answer bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
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
