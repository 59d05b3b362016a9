package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ordo-network/ordo/internal/direct"
)

// writer appends to the open segment. It belongs to one goroutine, but for open.
type writer struct {
	file   *direct.Appender // nil when no segment is open
	seg    *segment
	index  segmentIndex
	size   uint32 // appended, and on disk
	failed error
	next   uint32 // the next segment's number

	open uint32 // the open segment's number or 0, guarded by the store's lock
	disk disk
}

// run writes groups until the queue is closed and empty. While one group is synced
// the next gathers.
func (s *Store) run() {
	defer close(s.done)
	for range s.queue.wake {
		for {
			group, more := s.queue.take()
			if !more {
				return
			}
			if len(group) == 0 {
				break
			}
			s.commit(group)
			s.queue.release(group)
		}
	}
}

// commit writes the group, syncs once, and answers every put.
func (s *Store) commit(group []*put) {
	fresh, same := s.sift(group)
	err := s.write(fresh)
	for _, p := range fresh {
		p.done <- err
	}
	for _, p := range same {
		p.done <- err
	}
}

// position is a key that can be compared.
type position struct {
	laneKey
	sequence uint64
}

// sift answers the puts that need no writing, and sets apart those whose bytes
// another put of the group writes.
func (s *Store) sift(group []*put) (fresh, same []*put) {
	seen := make(map[position]*put, len(group))
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range group {
		at := position{laneKey{string(p.key.Owner), p.key.Session}, p.key.Sequence}
		want, known := p.digest, false
		if e, held := s.index.find(p.key); held {
			want, known = e.digest, !p.mend
		}
		first := seen[at]
		if first != nil {
			want = first.digest
		}
		switch {
		case want != p.digest:
			p.done <- fmt.Errorf("put %v: %w", p.key, ErrConflict)
		case first != nil:
			same = append(same, p)
		case known: // written by an earlier group since Put looked
			p.done <- nil
		default:
			seen[at] = p
			fresh = append(fresh, p)
		}
	}
	return fresh, same
}

// write puts the records on disk and then into the index. After an error nothing is
// written any more: what a failed sync left on disk cannot be known without reading it
// anew, which is what Open does.
func (s *Store) write(puts []*put) error {
	w := &s.writer
	if len(puts) == 0 || w.failed != nil {
		return w.failed
	}
	start := s.opts.Now()
	records, err := s.append(puts)
	if err != nil {
		w.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		s.queue.close(w.failed)
		s.opts.Logger.Error("shard store stopped taking records", "error", err)
		return w.failed
	}
	s.mu.Lock()
	s.index.segments[w.seg.number] = w.seg
	w.open = w.seg.number
	s.metrics.bytes.Add(float64(int64(w.size) - w.seg.bytes))
	w.seg.bytes = int64(w.size)
	for i := range records {
		s.index.add(w.seg, &records[i])
		w.index.add(&records[i], w.seg.mark)
	}
	s.mu.Unlock()
	s.metrics.group.Observe(float64(len(puts)))
	s.metrics.sync.Observe(s.opts.Now().Sub(start).Seconds())
	return nil
}

// append writes and syncs the records.
func (s *Store) append(puts []*put) ([]indexed, error) {
	w := &s.writer
	if err := s.room(); err != nil {
		return nil, err
	}
	records := make([]indexed, len(puts))
	for i, p := range puts {
		r := &records[i]
		r.offset = uint32(w.file.Size())
		r.header = header{key: p.key, tag: p.tag, synced: w.size, length: uint32(p.length()), head: uint32(len(p.head)), digest: p.digest}
		var head [headerBytes]byte
		// Crash from here to the end of the sync: any part of the group may be on disk.
		// No Put of it has returned. Open keeps the records that are whole and notes
		// those whose header is; the next segment begins in a file of its own.
		for _, b := range [][]byte{r.header.append(head[:0], w.seg.mark, r.offset), p.head, p.body} {
			if _, err := w.file.Write(b); err != nil {
				return nil, fmt.Errorf("write segment: %w", err)
			}
		}
	}
	if err := w.file.Sync(); err != nil {
		return nil, fmt.Errorf("sync segment: %w", err)
	}
	// Crash from here: the group is on disk, whether its Puts have returned or not.
	w.size = uint32(w.file.Size())
	return records, nil
}

// room opens a new segment where none is open or the open one is full.
func (s *Store) room() error {
	w := &s.writer
	if w.file != nil && int64(w.size) < s.opts.SegmentBytes && w.index.records() < maxSegmentRecords {
		return nil
	}
	// Crash during the seal: the segment has no index, or half a one under another
	// name. Its records are on disk since their own syncs; Open makes the index.
	if err := w.seal(); err != nil {
		return err
	}
	var mark [8]byte
	if _, err := io.ReadFull(s.opts.Rand, mark[:]); err != nil {
		return fmt.Errorf("draw segment mark: %w", err)
	}
	if w.next == 0 {
		return errors.New("no segment numbers left")
	}
	g := &segment{number: w.next, mark: binary.BigEndian.Uint64(mark[:]) | 1} // never that of zeroes
	file, err := direct.Create(w.disk.fs, w.disk.path(g.name()+segmentSuffix), diskCategory)
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	w.file, w.seg, w.index = file, g, newSegmentIndex(g.mark)
	w.size, w.next = 0, w.next+1
	// Crash before this sync: an empty segment is there or not; Open removes it. The
	// name must be durable before the first record's Put returns.
	return w.disk.syncDir(w.disk.dir)
}

// seal gives the open segment its index. A segment that failed gets none: Open will
// look at what is really there.
func (w *writer) seal() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	if err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	if w.failed == nil {
		return w.disk.writeIndex(w.seg, &w.index)
	}
	return nil
}
