package pool

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/internal/pebblelog"
)

// journal keeps accepted bundles on disk, by number of arrival. Put returns after
// the write-ahead log is on disk; pebble gathers concurrent writes into one sync.
// A delete need not survive a crash: a bundle that comes back is found carried or
// expired, and is deleted again.
type journal struct{ db *pebble.DB }

// openJournal opens the journal in the directory, of the operating system where fs
// is nil, or one in memory where both are empty.
func openJournal(fs vfs.FS, dir string) (*journal, error) {
	// A bundle is deleted within a second, as a rule. A table in memory that holds more than that
	// second's is written out without them, while a small one would write most of them once more.
	opts := &pebble.Options{FS: fs, CacheSize: 1 << 20, MemTableSize: 8 << 20, Logger: pebblelog.Quiet("pool journal")}
	if fs == nil && dir == "" {
		opts.FS = vfs.NewMem()
	}
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open pool journal in %q: %w", dir, err)
	}
	return &journal{db: db}, nil
}

func (j *journal) put(seq uint64, raw []byte) error {
	if err := j.db.Set(binary.BigEndian.AppendUint64(nil, seq), raw, pebble.Sync); err != nil {
		return fmt.Errorf("write bundle to pool journal: %w", err)
	}
	return nil
}

func (j *journal) delete(seqs []uint64) error {
	if len(seqs) == 0 {
		return nil
	}
	b := j.db.NewBatch()
	for _, seq := range seqs {
		if err := b.Delete(binary.BigEndian.AppendUint64(nil, seq), nil); err != nil {
			return errors.Join(fmt.Errorf("delete from pool journal: %w", err), b.Close())
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("delete from pool journal: %w", err)
	}
	return nil
}

// load yields all bundles by number of arrival. The bytes are the callee's.
func (j *journal) load(yield func(seq uint64, raw []byte)) error {
	it, err := j.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("read pool journal: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if key := it.Key(); len(key) == 8 {
			yield(binary.BigEndian.Uint64(key), append([]byte(nil), it.Value()...))
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read pool journal: %w", err)
	}
	return nil
}

func (j *journal) close() error { return j.db.Close() }
