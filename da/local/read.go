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

// prunedError is da.ErrUnavailable: that the blobs are not here says nothing about
// whether there are some.
type prunedError struct{ height, kept uint64 }

func (e *prunedError) Error() string {
	return fmt.Sprintf("height %d is pruned, this layer keeps blobs from height %d on: %s", e.height, e.kept, da.ErrUnavailable)
}
func (e *prunedError) Unwrap() error { return da.ErrUnavailable }

// read calls fn for what the namespace holds at the height. Errors: da.ErrNotYet, da.ErrUnavailable.
func (l *Layer) read(height uint64, ns namespace, fn func(blob) error) error {
	return l.view(height, func(v view) error { return v.blobs(height, ns, fn) })
}

// find calls fn for the first blob of that commitment, where there is one. Errors: as for read.
func (l *Layer) find(height uint64, ns namespace, commitment []byte, fn func(blob) error) error {
	return l.view(height, func(v view) error { return v.find(height, ns, commitment, fn) })
}

// view calls fn with a view of the store that holds the blobs of the height.
func (l *Layer) view(height uint64, fn func(view) error) (err error) {
	release, err := l.hold()
	if err != nil {
		return err
	}
	defer release()
	if head := l.lastHeader().height; height > head {
		return notYet(height, head)
	}
	v := l.store.view()
	defer func() { _ = v.Close() }() // it only read
	// Looked at once the view stands: blobs go only after kept has moved, so that their
	// absence never passes for emptiness.
	l.mu.Lock()
	kept := l.kept
	l.mu.Unlock()
	if height < kept {
		return &prunedError{height, kept}
	}
	if err := fn(v); err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("read DA block %d: %w: %w", height, err, da.ErrUnavailable)
	}
	return nil
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
