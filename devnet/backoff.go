package devnet

import "time"

// backoff spaces the restarts of a child: the wait doubles from one quick death to
// the next, and starts over after the child was up for a while.
type backoff struct {
	first, most time.Duration
	// steady is the time up after which a death counts as the first.
	steady time.Duration
	next   time.Duration
}

func newBackoff() *backoff {
	return &backoff{first: 250 * time.Millisecond, most: 15 * time.Second, steady: 10 * time.Second}
}

// wait returns how long to wait after a child died that was up for so long.
func (b *backoff) wait(up time.Duration) time.Duration {
	if b.next == 0 || up >= b.steady {
		b.next = b.first
	}
	w := b.next
	b.next = min(2*b.next, b.most)
	return w
}
