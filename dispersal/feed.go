package dispersal

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// ErrSlow ends the subscription of who takes certificates more slowly than they come.
var ErrSlow = errors.New("too slow: certificates were lost, subscribe again")

// maxBehind is how many certificates a subscriber may be behind.
const maxBehind = 4096

// Subscription yields certificates in the order in which this node learned them.
type Subscription struct {
	more chan struct{} // holds a token when there is something to look at

	mu      sync.Mutex
	waiting []*order.Certificate
	err     error
}

// Next waits for the next certificate. Errors: ErrSlow, the subscription context's.
func (s *Subscription) Next() (*order.Certificate, error) {
	for {
		s.mu.Lock()
		if s.err != nil {
			defer s.mu.Unlock()
			return nil, s.err
		}
		if len(s.waiting) > 0 {
			next := s.waiting[0]
			s.waiting[0] = nil
			s.waiting = s.waiting[1:]
			s.mu.Unlock()
			return next, nil
		}
		s.mu.Unlock()
		<-s.more
	}
}

func (s *Subscription) push(certs ...*order.Certificate) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && len(s.waiting)+len(certs) > maxBehind {
		s.waiting, s.err = nil, ErrSlow
	}
	if s.err == nil {
		s.waiting = append(s.waiting, certs...)
	}
	s.nudge()
	return s.err == nil
}

func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.waiting, s.err = nil, err
	}
	s.nudge()
}

func (s *Subscription) nudge() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// feed is what is told to subscribers. It is guarded by the library's lock.
type feed struct {
	subscribers []*Subscription
}

func (f *feed) publish(c *order.Certificate) {
	f.subscribers = slices.DeleteFunc(f.subscribers, func(s *Subscription) bool { return !s.push(c) })
}

// Certified subscribes to certificates, those first that wait to be ordered already,
// until the context ends.
func (n *Node) Certified(ctx context.Context) *Subscription {
	s := &Subscription{more: make(chan struct{}, 1)}
	l := n.library
	l.mu.Lock()
	certs := make([]*order.Certificate, len(l.learned))
	for i := range l.learned {
		certs[i] = l.learned[i].Certificate
	}
	if s.push(certs...) {
		l.feed.subscribers = append(l.feed.subscribers, s)
	}
	l.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.end(context.Cause(ctx))
		l.mu.Lock()
		defer l.mu.Unlock()
		l.feed.subscribers = slices.DeleteFunc(l.feed.subscribers, func(o *Subscription) bool { return o == s })
	})
	return s
}
