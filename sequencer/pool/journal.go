package pool

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/internal/direct"
)

const (
	// segmentBytes is when another segment begins.
	segmentBytes = 16 << 20
	// spareSegments is what segments may hold beside bundles that wait, and once more their
	// bytes, before those of the oldest move to the newest.
	spareSegments = 8

	journalDisk = vfs.DiskWriteCategory("pool-journal")
)

// journal is safe for concurrent use. Many puts share a sync.
type journal struct {
	fs      vfs.FS
	dir     string
	segment int64 // bytes after which another begins
	lock    io.Closer
	log     *slog.Logger

	wake chan struct{} // something is to do for the writer
	done chan struct{} // closed when the writer has ended

	mu       sync.Mutex // guards what follows, and fields of segments that change
	waiting  []*put
	closed   bool
	live     map[uint64]record // by number of arrival
	bytes    int64             // of all segments but dead ones
	liveSize int64             // of all live records
	sealed   []*segment        // nothing is written to them any more; rising
	dead     []*segment        // without bundles, to be removed

	// Of the writer alone.
	file   *direct.Appender // of the open segment; nil where none is open
	open   *segment
	last   uint64 // number in the name of the last segment
	failed error
}

// record is a bundle that waits, and where it stands. The bytes are the pool's.
type record struct {
	raw []byte
	in  *segment
}

// put is a bundle on its way to the disk.
type put struct {
	seq  uint64
	raw  []byte
	done chan error
}

// openJournal opens the journal in the directory, of the operating system where fs
// is nil, or one in memory where both are empty.
func openJournal(fs vfs.FS, dir string, segment int64, log *slog.Logger) (_ *journal, err error) {
	if fs == nil {
		if fs = vfs.Default; dir == "" {
			fs, dir = vfs.NewMem(), "/"
		}
	}
	j := &journal{
		fs: fs, dir: dir, segment: segment, log: log, wake: make(chan struct{}, 1), done: make(chan struct{}), live: make(map[uint64]record),
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make pool journal: %w", err)
	}
	if err := j.syncDir(fs.PathDir(dir)); err != nil {
		return nil, fmt.Errorf("make pool journal: %w", err)
	}
	if j.lock, err = fs.Lock(fs.PathJoin(dir, lockFile)); err != nil {
		return nil, fmt.Errorf("open pool journal in %q: another process has it: %w", dir, err)
	}
	if err := j.readAll(); err != nil {
		return nil, errors.Join(fmt.Errorf("read pool journal in %q: %w", dir, err), j.lock.Close())
	}
	go j.run()
	return j, nil
}

// load yields the bundles that were on disk by number of arrival. The bytes must not change.
func (j *journal) load(yield func(seq uint64, raw []byte)) {
	j.mu.Lock()
	live := maps.Clone(j.live)
	j.mu.Unlock()
	for _, seq := range slices.Sorted(maps.Keys(live)) {
		yield(seq, live[seq].raw)
	}
}

// keep notes that the last that was written of a bundle stands in a segment: under the lock.
func (j *journal) keep(seq uint64, raw []byte, in *segment) {
	if was, ok := j.live[seq]; ok {
		j.leave(was)
	}
	j.live[seq] = record{raw, in}
	j.liveSize += int64(recordHead + len(raw))
	in.count++
}

// leave notes that a record is of no use any more: under the lock.
func (j *journal) leave(r record) {
	j.liveSize -= int64(recordHead + len(r.raw))
	r.in.count--
	j.bury(r.in)
}

// bury has a segment without bundles removed, unless more may come into it: under the lock.
func (j *journal) bury(s *segment) {
	if s.count == 0 && s.sealed {
		j.dead, j.bytes = append(j.dead, s), j.bytes-s.size
		j.nudge()
	}
}

func (j *journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// put returns when the bundle is on disk. Its bytes must not change.
func (j *journal) put(seq uint64, raw []byte) error {
	p := &put{seq, raw, make(chan error, 1)}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.waiting = append(j.waiting, p)
	j.mu.Unlock()
	j.nudge()
	if err := <-p.done; err != nil {
		return fmt.Errorf("write bundle to pool journal: %w", err)
	}
	return nil
}

// delete forgets bundles. Numbers that it does not have are no error.
func (j *journal) delete(seqs []uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, seq := range seqs {
		if r, ok := j.live[seq]; ok {
			delete(j.live, seq)
			j.leave(r)
		}
	}
}

// run is the writer: while it syncs one group of puts, the next gathers.
func (j *journal) run() {
	defer close(j.done)
	for range j.wake {
		for {
			j.mu.Lock()
			group, dead, closed := j.waiting, j.dead, j.closed
			j.waiting, j.dead = nil, nil
			j.mu.Unlock()
			j.remove(dead)
			if len(group) == 0 {
				if closed {
					return
				}
				break
			}
			j.commit(group)
		}
	}
}

// commit writes a group, and answers its puts. After an error nothing is written any more: what of it is
// on disk shows when the journal is opened again.
func (j *journal) commit(group []*put) {
	if j.failed == nil {
		if j.failed = j.write(group); j.failed != nil {
			j.log.Error("pool journal takes no bundles any more: mend the disk and start the node again", "error", j.failed)
		}
	}
	for _, p := range group {
		p.done <- j.failed
	}
}

func (j *journal) write(group []*put) error {
	if err := j.room(group[0].seq); err != nil {
		return err
	}
	// What waits in the oldest segment goes along, where segments hold little else than
	// what is gone: so they are bounded, and each is moved once in a while at most.
	old := j.oldest()
	all := append(old, group...)
	for _, p := range all {
		for _, b := range [][]byte{recordHeader(j.open.salt, p.seq, p.raw), p.raw} {
			if _, err := j.file.Write(b); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
	}
	// A crash before this line leaves any part of the group, in any order: read keeps what is
	// whole of it, as nobody was promised anything.
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	size := j.file.Size()
	j.open.size, j.bytes = size, j.bytes+size-j.open.size
	for _, p := range group {
		j.keep(p.seq, p.raw, j.open)
	}
	for _, p := range old {
		if _, waits := j.live[p.seq]; waits { // it did when the write began
			j.keep(p.seq, p.raw, j.open)
		}
	}
	return nil
}

// room opens a segment where none is open, or the open one is large enough.
func (j *journal) room(first uint64) error {
	if j.file != nil && j.open.size < j.segment {
		return nil
	}
	if err := j.seal(); err != nil {
		return err
	}
	j.last = max(first, j.last+1) // puts come in any order
	name := segmentName(j.last)
	file, err := direct.Create(j.fs, j.fs.PathJoin(j.dir, name), journalDisk)
	if err != nil {
		return fmt.Errorf("create segment: %w", err)
	}
	var salt [segmentHead]byte
	_, _ = rand.Read(salt[:]) // which never fails
	j.file, j.open = file, &segment{name: name, salt: binary.BigEndian.Uint32(salt[:])}
	if _, err := file.Write(salt[:]); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	// The name must be on disk before a put returns whose bundle stands there.
	return j.syncDir(j.dir)
}

// seal ends the open segment, if there is one.
func (j *journal) seal() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sealed, j.open.sealed = append(j.sealed, j.open), true
	j.bury(j.open)
	if err != nil {
		return fmt.Errorf("close segment: %w", err)
	}
	return nil
}

// oldest returns what waits in the oldest segment, where there is too much that does not.
func (j *journal) oldest() (puts []*put) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.bytes-j.liveSize <= spareSegments*j.segment+j.liveSize {
		return nil
	}
	i := slices.IndexFunc(j.sealed, func(s *segment) bool { return s.count > 0 })
	if i < 0 {
		return nil
	}
	for seq, r := range j.live {
		if r.in == j.sealed[i] {
			puts = append(puts, &put{seq: seq, raw: r.raw})
		}
	}
	slices.SortFunc(puts, func(a, b *put) int { return cmp.Compare(a.seq, b.seq) })
	return puts
}

// remove removes segments. After a crash before that, or where it fails, their bundles come back
// when the journal is opened, and are found to be gone.
func (j *journal) remove(dead []*segment) {
	for _, s := range dead {
		if err := j.fs.Remove(j.fs.PathJoin(j.dir, s.name)); err != nil {
			j.log.Warn("pool journal: a segment without bundles cannot be removed", "error", err)
		}
		j.mu.Lock()
		j.sealed = slices.DeleteFunc(j.sealed, func(x *segment) bool { return x == s })
		j.mu.Unlock()
	}
}

// syncDir makes names that were created in the directory durable.
func (j *journal) syncDir(dir string) error {
	d, err := j.fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// close writes what waits, and ends.
func (j *journal) close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	j.nudge()
	<-j.done
	err := j.seal()
	j.remove(j.dead)
	return errors.Join(err, j.lock.Close())
}
