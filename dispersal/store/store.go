package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

var (
	// ErrNotFound is returned for a key that is not held: never put, or pruned.
	ErrNotFound = errors.New("no such record")
	// ErrCorrupt is returned for a record that is held but damaged. The same bytes can
	// be fetched from peers and put again, or repaired.
	ErrCorrupt = errors.New("the record is damaged on disk")
	// ErrConflict is returned for a key that was put with other bytes.
	ErrConflict = errors.New("the lane position is taken by another record")
	// ErrBusy is returned when too much waits for the disk. Nothing was written; try again.
	ErrBusy = errors.New("the shard store is busy, try again later")
	// ErrFailed is returned after the disk refused a write or a sync. What of it is on
	// disk is unknown until the store is opened again; Get goes on.
	ErrFailed = errors.New("the shard store's disk failed, check it and restart")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the shard store is closed")
)

// Options are what a store works with. The zero value is usable.
type Options struct {
	// SegmentBytes is the size from which a segment is full, at most 1 GiB; 0 means
	// 64 MiB. Prune drops whole segments, so small ones free space sooner.
	SegmentBytes int64
	// QueueBytes bounds the records that wait in Put; 0 means 64 MiB.
	QueueBytes int64
	// FS holds the files; nil is the operating system's.
	FS vfs.FS
	// Now measures syncs; nil is time.Now.
	Now func() time.Time
	// Rand gives segments their marks, which nobody may guess; nil is crypto/rand.
	Rand io.Reader
	// Logger and Registerer may be nil.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const maxSegmentBytes = 1 << 30

func (o *Options) complete() error {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 64 << 20
	}
	if o.SegmentBytes < 0 || o.SegmentBytes > maxSegmentBytes || o.QueueBytes < 0 {
		return fmt.Errorf("shard store with segments of %d and a queue of %d bytes, want segments up to %d and a positive queue",
			o.SegmentBytes, o.QueueBytes, maxSegmentBytes)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Store is an open shard store. Its methods may be called by many goroutines.
type Store struct {
	opts    Options
	disk    disk
	lock    io.Closer
	metrics *metrics

	mu    sync.RWMutex // never held over I/O
	index index

	queue  queue
	writer writer
	done   chan struct{} // the writer has returned
}

// Put keeps the record under the key and returns once it is on disk. The tag is what
// Prune compares, say the height or the epoch that the record serves. The record must
// not change until Put returns.
//
// Putting the same bytes again is harmless and mends a damaged record; other bytes
// are ErrConflict. ErrBusy and the context's error mean that nothing was written.
// After ErrFailed the record may or may not be there when the store is opened again.
func (s *Store) Put(ctx context.Context, key Key, tag uint64, record []byte) error {
	return s.PutParts(ctx, key, tag, record, nil)
}

// PutParts is Put for a record of two parts, which Get returns as one. The head tells what the body
// is, as a hash of it would: no two bodies go with one head. So the body, where it is large, need only be told
// from damage, which costs a twentieth of a SHA-256.
func (s *Store) PutParts(ctx context.Context, key Key, tag uint64, head, body []byte) error {
	if err := key.check(); err != nil {
		return err
	}
	p := &put{key: key, tag: tag, head: head, body: body, done: make(chan error, 1)}
	if p.length() > MaxRecordBytes {
		return fmt.Errorf("record of %d bytes, want at most %d", p.length(), MaxRecordBytes)
	}
	if len(body) > 0 && (len(head) == 0 || len(head) > maxHeadBytes) {
		return fmt.Errorf("put %v: a head of %d bytes before a body, want 1 to %d", key, len(head), maxHeadBytes)
	}
	p.digest = digestOf(head, body)
	s.mu.RLock()
	e, held := s.index.find(key)
	s.mu.RUnlock()
	if held {
		p.as(e)
		err := s.compare(p, e)
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) {
			return err
		}
		p.mend, p.tag = errors.Is(err, ErrCorrupt), max(tag, e.tag)
	}
	return s.submit(ctx, p)
}

// Repair writes the record anew if it is damaged. Its parts must be those that were
// put, else ErrConflict; a key that is not held is ErrNotFound.
func (s *Store) Repair(ctx context.Context, key Key, head, body []byte) error {
	s.mu.RLock()
	e, held := s.index.find(key)
	s.mu.RUnlock()
	if !held {
		return fmt.Errorf("repair %v: %w", key, ErrNotFound)
	}
	return s.PutParts(ctx, key, e.tag, head, body)
}

// compare says whether the held record has the put's bytes.
func (s *Store) compare(p *put, e entry) error {
	if e.digest != p.digest || int(e.length) != p.length() {
		return fmt.Errorf("put %v: %w", p.key, ErrConflict)
	}
	held, err := s.read(p.key, e)
	if err == nil && (!bytes.HasPrefix(held, p.head) || !bytes.HasSuffix(held, p.body)) {
		return fmt.Errorf("put %v: %w", p.key, ErrConflict)
	}
	return err
}

// Get returns the key's record, which is the caller's.
func (s *Store) Get(key Key) ([]byte, error) {
	s.mu.RLock()
	e, held := s.index.find(key)
	s.mu.RUnlock()
	if !held {
		return nil, fmt.Errorf("get %v: %w", key, ErrNotFound)
	}
	return s.read(key, e)
}

// read reads and verifies the record. Damage is noted, so that it ends a lane's
// contiguous run.
func (s *Store) read(key Key, e entry) ([]byte, error) {
	s.mu.RLock()
	g := s.index.segments[e.segment]
	s.mu.RUnlock()
	if g == nil {
		return nil, fmt.Errorf("get %v: %w", key, ErrNotFound)
	}
	record, err := s.disk.readRecord(g, key, e)
	if err == nil {
		return record, nil
	}
	if !errors.Is(err, ErrCorrupt) {
		return nil, fmt.Errorf("get %v: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index.segments[e.segment] == nil { // pruned while being read
		return nil, fmt.Errorf("get %v: %w", key, ErrNotFound)
	}
	if now, ok := s.index.find(key); ok && now == e && !e.damaged {
		e.damaged = true
		s.index.lanes[laneKey{string(key.Owner), key.Session}][key.Sequence] = e
		s.metrics.damaged.Inc()
	}
	return nil, fmt.Errorf("get %v: %w", key, err)
}

// Prune drops every full segment whose records all have tags below the mark. Other
// records below it stay, and are served, until their segment goes. Keys of dropped
// records are forgotten: the caller refuses to put them again.
func (s *Store) Prune(below uint64) error {
	var drop []*segment
	var lanes []laneKey
	s.mu.Lock()
	for number, g := range s.index.segments {
		if g.tag < below && number != s.writer.open {
			delete(s.index.segments, number)
			drop = append(drop, g)
			s.metrics.bytes.Sub(float64(g.bytes))
		}
	}
	if len(drop) > 0 {
		for k := range s.index.lanes {
			lanes = append(lanes, k)
		}
	}
	s.mu.Unlock()
	if len(drop) == 0 {
		return nil
	}
	for _, k := range lanes { // one at a time: puts do not wait for all of it
		s.mu.Lock()
		s.index.sweep(k)
		s.mu.Unlock()
	}
	var errs []error
	for _, g := range drop {
		// Crash before the removals are durable: the segments come back at Open, whole
		// or without their index, and go with the next Prune.
		errs = append(errs, s.disk.remove(g.name()+segmentSuffix), s.disk.remove(g.name()+indexSuffix))
	}
	if err := errors.Join(append(errs, s.disk.syncDir(s.disk.dir))...); err != nil {
		return fmt.Errorf("prune shard store: %w", err)
	}
	s.opts.Logger.Debug("shard store pruned", "segments", len(drop), "below", below)
	return nil
}

// Close writes what waits, gives the open segment its index and lets go of the directory.
func (s *Store) Close() error {
	if !s.queue.close(ErrClosed) {
		<-s.done
		return nil
	}
	<-s.done
	if err := errors.Join(s.writer.seal(), s.lock.Close()); err != nil {
		return fmt.Errorf("close shard store: %w", err)
	}
	return nil
}
