package local

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/da"
)

// errEnough ends a read early; it is no failure.
var errEnough = errors.New("enough")

func (l *Layer) lastHeader() header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// headerAt returns the header of a block. Errors: da.ErrNotYet, da.ErrNotFound, da.ErrUnavailable.
func (l *Layer) headerAt(height uint64) (header, error) {
	if head := l.lastHeader().height; height > head {
		return header{}, notYet(height, head)
	}
	release, err := l.hold()
	if err != nil {
		return header{}, err
	}
	defer release()
	h, err := l.store.headerAt(height)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return header{}, fmt.Errorf("height %d: %w: %w", height, errNoHeader, da.ErrNotFound)
	case err != nil:
		return header{}, fmt.Errorf("read DA header %d: %w: %w", height, err, da.ErrUnavailable)
	}
	return h, nil
}

// errNoHeader is joined with da.ErrNotFound.
var errNoHeader = errors.New("no such header")

// futureError is da.ErrNotYet.
type futureError struct{ height, head uint64 }

func (e *futureError) Error() string {
	return fmt.Sprintf("height %d, head %d: %s", e.height, e.head, da.ErrNotYet)
}
func (e *futureError) Unwrap() error { return da.ErrNotYet }

func notYet(height, head uint64) error { return &futureError{height, head} }

// read calls fn for what the namespace holds at the height. Errors: da.ErrNotYet, da.ErrUnavailable.
func (l *Layer) read(height uint64, ns namespace, fn func(blob) error) error {
	release, err := l.blobsAt(height)
	if err != nil {
		return err
	}
	defer release()
	if err := l.store.blobs(height, ns, fn); err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("read DA block %d: %w: %w", height, err, da.ErrUnavailable)
	}
	return nil
}

// find calls fn for the first blob of that commitment, where there is one. Errors: as for read.
func (l *Layer) find(height uint64, ns namespace, commitment []byte, fn func(blob) error) error {
	release, err := l.blobsAt(height)
	if err != nil {
		return err
	}
	defer release()
	if err := l.store.find(height, ns, commitment, fn); err != nil {
		return fmt.Errorf("read DA block %d: %w: %w", height, err, da.ErrUnavailable)
	}
	return nil
}

// blobsAt makes sure that the height's blobs are there until release is called. What
// was pruned is not known to be missing, only to be had elsewhere.
func (l *Layer) blobsAt(height uint64) (release func(), err error) {
	l.mu.Lock()
	head, kept := l.head.height, l.kept
	l.mu.Unlock()
	switch {
	case height > head:
		return nil, notYet(height, head)
	case height < kept:
		return nil, fmt.Errorf("height %d is pruned, this layer keeps heights from %d: %w", height, kept, da.ErrUnavailable)
	}
	return l.hold()
}

// hold keeps the store open until release is called.
func (l *Layer) hold() (release func(), err error) {
	l.reading.RLock()
	if l.gone {
		l.reading.RUnlock()
		return nil, fmt.Errorf("%w: %w", errClosed, da.ErrUnavailable)
	}
	return l.reading.RUnlock, nil
}
