package freeport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
)

// ledger knows who has which port. Its file is empty and stays so: a lock on the byte at
// offset p is a claim of port p. The kernel gives the locks back when the process ends,
// also after kill -9, so that there is nothing to clean up and nothing that grows.
//
// Such locks are the process's: they do not tell its callers apart, which is what taken is
// for, child processes do not inherit them, and closing any descriptor of the file gives
// all of them back. So a process opens a file once and never closes it.
type ledger struct {
	low, high int // ports from low to below high

	mu    sync.Mutex
	file  *os.File
	taken map[int]bool // by this process
}

func openLedger(path string, low, high int) (*ledger, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the file of claims: %w (remove it if it is not yours, or name another directory with TMPDIR)", err)
	}
	return &ledger{low: low, high: high, file: file, taken: make(map[int]bool)}, nil
}

// errClaimed says that a port is another caller's.
var errClaimed = errors.New("claimed by another test or program")

// claim looks once through all ports. Where it begins is random, so that processes that
// run side by side rarely meet.
func (l *ledger) claim(n int) (first int, err error) {
	places := l.high - l.low - n + 1
	if n < 1 || places < 1 {
		return 0, fmt.Errorf("find free ports: %d in a row were asked for, want 1 to %d", n, l.high-l.low)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	start := rand.IntN(places)
	for at := 0; at < places; {
		first = l.low + (start+at)%places
		bad, cause := l.try(first, n)
		switch {
		case cause == nil:
			return first, nil
		case !errors.Is(cause, errClaimed) && !errors.Is(cause, syscall.EADDRINUSE):
			return 0, fmt.Errorf("find free ports: port %d: %w", bad, cause)
		}
		// The places from here to the bad port have it, too; after the last place comes the
		// first one.
		at += min(bad-first+1, l.high-n-first+1)
		err = fmt.Errorf("port %d: %w", bad, cause)
	}
	return 0, fmt.Errorf("find free ports: no %d in a row from %d to %d (%w): end other tests, or programs that listen there", n, l.low, l.high-1, err)
}

// try claims the n ports from first on, or none and names one that cannot be had.
func (l *ledger) try(first, n int) (bad int, err error) {
	for port := first + n - 1; port >= first; port-- {
		if l.taken[port] {
			return port, errClaimed
		}
	}
	span := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: int64(first), Len: int64(n)}
	err = l.lock(span)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return first, errClaimed // one of them is, it is not told which
	}
	if err != nil {
		return first, fmt.Errorf("lock %s: %w", l.file.Name(), err)
	}
	// Only now, so that no other process looks at the same ports at the same time.
	for port := first + n - 1; port >= first; port-- {
		if err := listenable(port); err != nil {
			span.Type = syscall.F_UNLCK
			return port, errors.Join(err, l.lock(span))
		}
	}
	for port := first; port < first+n; port++ {
		l.taken[port] = true
	}
	return 0, nil
}

func (l *ledger) lock(span syscall.Flock_t) error {
	for {
		if err := syscall.FcntlFlock(l.file.Fd(), syscall.F_SETLK, &span); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
