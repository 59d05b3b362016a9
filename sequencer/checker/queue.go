package checker

import (
	"context"
	"sync"
	"time"
)

// queue gives each relayer with claims in it its turn, and of each the oldest first: one
// that claims a lot, or what is not true, holds up nobody but itself.
type queue struct {
	turns []string // relayers with claims in the queue, by their turn
	of    map[string][]*state
	size  int
}

func (q *queue) push(s *state) {
	if q.of == nil {
		q.of = make(map[string][]*state)
	}
	relayer := s.claim.Relayer
	if len(q.of[relayer]) == 0 {
		q.turns = append(q.turns, relayer)
	}
	q.of[relayer] = append(q.of[relayer], s)
	q.size++
}

// pop returns nil where the queue is empty.
func (q *queue) pop() *state {
	if q.size == 0 {
		return nil
	}
	relayer := q.turns[0]
	q.turns = q.turns[1:]
	s := q.of[relayer][0]
	if q.of[relayer] = q.of[relayer][1:]; len(q.of[relayer]) == 0 {
		delete(q.of, relayer)
	} else {
		q.turns = append(q.turns, relayer)
	}
	q.size--
	return s
}

// pace bounds what is fetched in bytes per second. How much a fetch brings is known
// afterwards: what it was too much, the next ones wait for.
type pace struct {
	rate int
	now  func() time.Time

	mu   sync.Mutex
	free time.Time // when all that was fetched is paid for
}

// spent notes bytes that were fetched.
func (p *pace) spent(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(bytes) / float64(p.rate) * float64(time.Second)))
}

// wait returns when the next fetch may begin.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	wait := p.free.Sub(p.now())
	p.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
