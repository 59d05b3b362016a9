package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/ordo-network/ordo/internal/direct"
)

// Open opens the store in the directory, which it makes and locks. A segment that was
// open at a crash is scanned; what is damaged in it is logged.
func Open(dir string, opts Options) (*Store, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	d := disk{fs: opts.FS, dir: dir}
	s := &Store{
		opts: opts, disk: d, metrics: m,
		index:  index{lanes: make(map[laneKey]map[uint64]entry), segments: make(map[uint32]*segment)},
		queue:  queue{limit: opts.QueueBytes, wake: make(chan struct{}, 1)},
		writer: writer{disk: d, next: 1},
		done:   make(chan struct{}),
	}
	if err := d.fs.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create shard store: %w", err)
	}
	if err := d.syncDir(d.fs.PathDir(dir)); err != nil {
		return nil, fmt.Errorf("create shard store: %w", err)
	}
	if s.lock, err = d.fs.Lock(d.path("LOCK")); err != nil {
		return nil, fmt.Errorf("lock shard store %q, is another process using it: %w", dir, err)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open shard store %q: %w", dir, err), s.lock.Close())
	}
	go s.run()
	return s, nil
}

// load reads all segments in the order of writing. It may be cut short by a crash
// anywhere and begun again.
func (s *Store) load() error {
	files, err := s.disk.fs.List(s.disk.dir)
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		name, suffix := trim(file)
		g, ok := parseSegment(name)
		if !ok {
			continue
		}
		switch suffix {
		case segmentSuffix:
			if err := s.loadSegment(g); err != nil {
				return fmt.Errorf("read segment %s: %w", file, err)
			}
			if g.number == math.MaxUint32 {
				return fmt.Errorf("segment %s has the last number there is; move the store away to begin anew", file)
			}
			s.writer.next = max(s.writer.next, g.number+1)
		case partSuffix:
			if err := s.disk.remove(file); err != nil {
				return err
			}
		case indexSuffix: // of a segment that Prune removed
			if !slices.Contains(files, name+segmentSuffix) {
				if err := s.disk.remove(file); err != nil {
					return err
				}
			}
		}
	}
	// The names of segments that a crash left undurable must be so before their
	// records are answered for.
	return s.disk.syncDir(s.disk.dir)
}

func (s *Store) loadSegment(g *segment) error {
	if other := s.index.segments[g.number]; other != nil {
		return fmt.Errorf("its number is also that of %s; remove the one that does not belong here", other.name())
	}
	info, err := s.disk.fs.Stat(s.disk.path(g.name() + segmentSuffix))
	if err != nil {
		return fmt.Errorf("look at segment: %w", err)
	}
	if g.bytes = info.Size(); g.bytes == 0 {
		return errors.Join(s.disk.remove(g.name()+segmentSuffix), s.disk.remove(g.name()+indexSuffix))
	}
	if g.bytes > math.MaxUint32 {
		return fmt.Errorf("it has %d bytes, no segment of this store is that large", g.bytes)
	}
	records, err := s.disk.readIndex(g)
	if err != nil {
		if records, err = s.rescan(g); err != nil {
			return err
		}
	}
	s.index.segments[g.number] = g
	s.metrics.bytes.Add(float64(g.bytes))
	for i := range records {
		s.index.add(g, &records[i])
	}
	return nil
}

// rescan scans a segment that has no index, or a damaged one, and gives it one.
func (s *Store) rescan(g *segment) ([]indexed, error) {
	f, err := s.disk.fs.Open(s.disk.path(g.name() + segmentSuffix))
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	// After a kill, what was written is in memory of the operating system and can be
	// read, but it may not be on disk. Sync before anyone relies on it.
	found := scan(f, g.bytes, g.mark)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("sync segment: %w", err)
	}
	damaged := 0
	x := newSegmentIndex(g.mark)
	for i := range found.records {
		if found.records[i].damaged {
			damaged++
		}
		x.add(&found.records[i], g.mark)
	}
	s.metrics.damaged.Add(float64(damaged))
	s.metrics.torn.Add(float64(found.torn))
	s.metrics.lost.Add(float64(found.lost))
	log := s.opts.Logger.With("segment", g.name(), "records", len(found.records), "damaged_records", damaged,
		"torn_bytes", found.torn, "lost_bytes", found.lost)
	if damaged > 0 || found.lost > 0 {
		log.Warn("shard store segment recovered with damage, the records are fetched again from peers when needed")
	} else {
		log.Info("shard store segment recovered")
	}
	// Crash before the index is whole: the next Open scans again and finds the same.
	if err := s.disk.writeIndex(g, &x); err != nil {
		return nil, err
	}
	return found.records, nil
}

// remove removes a file that may be gone already.
func (d disk) remove(file string) error {
	if err := d.fs.Remove(d.path(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", file, err)
	}
	return nil
}

// readRecord reads the record and verifies it against the index.
func (d disk) readRecord(g *segment, key Key, e entry) ([]byte, error) {
	f, err := direct.Open(d.fs, d.path(g.name()+segmentSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its segment is gone", ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	raw, err := f.Read(int64(e.offset), headerBytes+int(e.length))
	if closed := f.Close(); closed != nil {
		return nil, fmt.Errorf("close segment: %w", closed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	h, err := decodeHeader(raw, g.mark, e.offset)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	record := raw[headerBytes:]
	if !h.key.equal(key) || h.length != e.length || h.digest != e.digest || digestOf(record[:h.head], record[h.head:]) != e.digest {
		return nil, fmt.Errorf("%w: its digest differs", ErrCorrupt)
	}
	return record, nil
}
