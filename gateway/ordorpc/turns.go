package ordorpc

import (
	"context"
	"sync"
	"time"
)

const (
	defaultNonceWait = 500 * time.Millisecond
	// mostWaits is how many times that a transaction waits where others of its account are
	// being taken.
	mostWaits = 10
	// maxTurns bounds the transactions that wait, and maxTurnsOf those of one account.
	maxTurns   = 4096
	maxTurnsOf = 256
)

// turns lets transactions wait until it is their account's turn to send their nonce.
type turns struct {
	patience time.Duration // Config.NonceWait

	mu      sync.Mutex
	waiting map[string]*line
	n       int
	vain    map[string]time.Time // when the last one of an account waited in vain
}

// line is the transactions of one account that wait.
type line struct {
	turns map[uint64]*turn // by nonce
	n     int
	moved time.Time // when the last one of the account was taken
}

// turn is what transactions of one nonce wait for.
type turn struct {
	come chan struct{} // closed when it is there
	n    int           // who waits
}

// enter puts a transaction in line; ok is false where there is no room, or where one of the
// account has just waited in vain: of many in one message each waits for the one before.
// Who is let in leaves.
func (t *turns) enter(address string, nonce uint64) (_ *turn, l *line, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l = t.waiting[address]
	if t.n >= maxTurns || l != nil && l.n >= maxTurnsOf || time.Since(t.vain[address]) < t.patience {
		return nil, nil, false
	}
	if t.waiting == nil {
		t.waiting, t.vain = make(map[string]*line), make(map[string]time.Time)
	}
	if l == nil {
		l = &line{turns: make(map[uint64]*turn)}
		t.waiting[address] = l
	}
	its := l.turns[nonce]
	if its == nil {
		its = &turn{come: make(chan struct{})}
		l.turns[nonce] = its
	}
	its.n++
	l.n++
	t.n++
	return its, l, true
}

// leave takes a transaction out of its line.
func (t *turns) leave(address string, nonce uint64, its *turn, l *line, came bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	if its.n--; its.n == 0 && l.turns[nonce] == its {
		delete(l.turns, nonce)
	}
	if l.n--; l.n == 0 {
		delete(t.waiting, address)
	}
	if !came {
		if len(t.vain) >= maxTurns {
			clear(t.vain)
		}
		t.vain[address] = time.Now()
	}
}

// wait waits for the turn, until the account has not moved for a while or ctx ends.
func (t *turns) wait(ctx context.Context, its *turn, l *line) (came bool) {
	began := time.Now()
	until := began.Add(t.patience)
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	for {
		select {
		case <-its.come:
			return true
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		t.mu.Lock()
		if next := l.moved.Add(t.patience); next.After(until) {
			until = next
		}
		t.mu.Unlock()
		if most := began.Add(mostWaits * t.patience); until.After(most) {
			until = most
		}
		left := time.Until(until)
		if left <= 0 {
			return false
		}
		timer.Reset(left)
	}
}

// taken tells the account's line that it moved, and that it is the turn of the nonce.
func (t *turns) taken(address string, next uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.vain, address)
	l := t.waiting[address]
	if l == nil {
		return
	}
	l.moved = time.Now()
	if its := l.turns[next]; its != nil {
		close(its.come)
		delete(l.turns, next)
	}
}
