package checker

import (
	"context"
	"slices"
	"sync"
	"time"
)

// queue gives each relayer with claims in it its turn, and of each the oldest first: one
// that claims a lot, or what is not true, holds up nobody but itself.
type queue struct {
	turns []string // relayers with claims in the queue, by their turn
	of    map[string][]*state
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
}

// pop returns the first claim that may be taken, by the relayers' turns; nil where none may.
func (q *queue) pop(may func(*state) bool) *state {
	for turn, relayer := range q.turns {
		i := slices.IndexFunc(q.of[relayer], may)
		if i < 0 {
			continue
		}
		s := q.of[relayer][i]
		q.of[relayer] = slices.Delete(q.of[relayer], i, i+1)
		q.turns = slices.Delete(q.turns, turn, turn+1)
		if len(q.of[relayer]) == 0 {
			delete(q.of, relayer)
		} else {
			q.turns = append(q.turns, relayer)
		}
		return s
	}
	return nil
}

// heads yields the first claim of each of the next relayers.
func (q *queue) heads(relayers int, yield func(*state)) {
	for _, relayer := range q.turns[:min(relayers, len(q.turns))] {
		yield(q.of[relayer][0])
	}
}

// keep drops what is not to stay.
func (q *queue) keep(stays func(*state) bool) {
	q.turns = slices.DeleteFunc(q.turns, func(relayer string) bool {
		q.of[relayer] = slices.DeleteFunc(q.of[relayer], func(s *state) bool { return !stays(s) })
		if len(q.of[relayer]) > 0 {
			return false
		}
		delete(q.of, relayer)
		return true
	})
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
