package relayer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
)

// What is on disk, all integers big endian:
//
//	'f'                    format version, 1 byte
//	'n' rollup(32)         read: next height (8), checkpoint of the height below
//	'p' rollup(32)         posted: last height (8), DA height (8)
//	'b' rollup(32) from(8) a blob that is not known to be on DA: to (8), DA head
//	                       before it was submitted (8), the blob
const (
	keyFormat byte = 'f'
	keyRead   byte = 'n'
	keyPosted byte = 'p'
	keyBlob   byte = 'b'
)

const (
	journalVersion = 1
	blobMetaBytes  = 16
)

// journal remembers each step of each blob. Its two writes are the two steps:
//
//	built   the blob, and from where to read on. Synced before the blob is submitted:
//	        a crash before it reads the blocks again, a crash after it finds the blob
//	        here and, as it may have been submitted, looks for it on the layer.
//	posted  the DA height, in exchange for the blob. Not synced: a crash that loses it
//	        is a crash before it, and the blob is found on the layer.
type journal struct{ db *pebble.DB }

// blobMeta is a blob of the journal without its bytes.
type blobMeta struct {
	from, to uint64 // heights of the sequencer chain
	noted    uint64 // the layer's head before the blob was submitted: it stands above
	size     int
	id       da.BlobID
}

// progress is what the journal knows of a rollup.
type progress struct {
	next       uint64 // height to read on from; 0 where nothing was read
	checkpoint []byte // of next-1, see follower.Checkpoint
	posted     uint64 // last height that is on DA; 0 where there is none
	daHeight   uint64 // where that is
	backlog    []blobMeta
}

func openJournal(dir string, fs vfs.FS) (*journal, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FS: fs, CacheSize: 8 << 20, MemTableSize: 8 << 20, MaxOpenFiles: 128, Logger: quiet{},
	})
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j := &journal{db}
	if err := j.checkFormat(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", dir, err), db.Close())
	}
	return j, nil
}

func (j *journal) checkFormat() error {
	raw, err := j.get([]byte{keyFormat})
	switch {
	case err != nil:
		return err
	case raw == nil:
		return j.db.Set([]byte{keyFormat}, []byte{journalVersion}, pebble.Sync)
	case !bytes.Equal(raw, []byte{journalVersion}):
		return fmt.Errorf("format %x was written by another version, this one reads %x", raw, journalVersion)
	}
	return nil
}

func (j *journal) close() error { return j.db.Close() }

// progress reads what is known of a rollup.
func (j *journal) progress(rollup order.RollupID) (progress, error) {
	var p progress
	read, err := j.get(rollupKey(keyRead, rollup))
	if err != nil {
		return p, err
	}
	posted, err := j.get(rollupKey(keyPosted, rollup))
	if err != nil {
		return p, err
	}
	if read != nil {
		if len(read) < 8 {
			return p, fmt.Errorf("journal: reading position has %d bytes", len(read))
		}
		p.next, p.checkpoint = binary.BigEndian.Uint64(read), read[8:]
	}
	if posted != nil {
		if len(posted) != 16 {
			return p, fmt.Errorf("journal: posted height has %d bytes", len(posted))
		}
		p.posted, p.daHeight = binary.BigEndian.Uint64(posted), binary.BigEndian.Uint64(posted[8:])
	}
	p.backlog, err = j.backlog(rollup)
	return p, err
}

func (j *journal) backlog(rollup order.RollupID) ([]blobMeta, error) {
	it, err := j.db.NewIter(&pebble.IterOptions{LowerBound: blobKey(rollup, 0), UpperBound: blobKey(rollup, ^uint64(0))})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer func() { _ = it.Close() }() // it only read
	var out []blobMeta
	for it.First(); it.Valid(); it.Next() {
		raw, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		if len(raw) <= blobMetaBytes {
			return nil, fmt.Errorf("journal: blob record has %d bytes", len(raw))
		}
		key := it.Key()
		out = append(out, blobMeta{
			from: binary.BigEndian.Uint64(key[len(key)-8:]), to: binary.BigEndian.Uint64(raw), noted: binary.BigEndian.Uint64(raw[8:]),
			size: len(raw) - blobMetaBytes, id: da.ID(raw[blobMetaBytes:]),
		})
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return out, nil
}

// data reads a blob.
func (j *journal) data(rollup order.RollupID, from uint64) ([]byte, error) {
	raw, err := j.get(blobKey(rollup, from))
	if err != nil {
		return nil, err
	}
	if len(raw) <= blobMetaBytes {
		return nil, fmt.Errorf("journal: blob from height %d is gone", from)
	}
	return raw[blobMetaBytes:], nil
}

// built notes a blob that ends below next. When it returns, that is on disk.
func (j *journal) built(rollup order.RollupID, m blobMeta, data, checkpoint []byte) error {
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }() // committed, or given up
	read := append(binary.BigEndian.AppendUint64(nil, m.to+1), checkpoint...)
	record := make([]byte, 0, blobMetaBytes+len(data))
	record = binary.BigEndian.AppendUint64(record, m.to)
	record = binary.BigEndian.AppendUint64(record, m.noted)
	record = append(record, data...)
	if err := errors.Join(
		batch.Set(rollupKey(keyRead, rollup), read, nil),
		batch.Set(blobKey(rollup, m.from), record, nil),
	); err != nil {
		return fmt.Errorf("journal blob: %w", err)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("journal blob: %w", err)
	}
	return nil
}

// posted notes that the blobs, which follow each other, are on DA at the height.
func (j *journal) posted(rollup order.RollupID, blobs []blobMeta, daHeight uint64) error {
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }() // committed, or given up
	for _, m := range blobs {
		if err := batch.Delete(blobKey(rollup, m.from), nil); err != nil {
			return fmt.Errorf("journal DA height: %w", err)
		}
	}
	value := binary.BigEndian.AppendUint64(nil, blobs[len(blobs)-1].to)
	value = binary.BigEndian.AppendUint64(value, daHeight)
	if err := batch.Set(rollupKey(keyPosted, rollup), value, nil); err != nil {
		return fmt.Errorf("journal DA height: %w", err)
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("journal DA height: %w", err)
	}
	return nil
}

// get returns a copy of a value, nil where there is none.
func (j *journal) get(key []byte) ([]byte, error) {
	raw, closer, err := j.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer closer.Close()
	return append([]byte{}, raw...), nil
}

func rollupKey(kind byte, rollup order.RollupID) []byte { return append([]byte{kind}, rollup[:]...) }

func blobKey(rollup order.RollupID, from uint64) []byte {
	return binary.BigEndian.AppendUint64(rollupKey(keyBlob, rollup), from)
}

// quiet drops pebble's account of its compactions. Errors are returned; what
// pebble cannot go on after, a failed write to its log, ends the process.
type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf("relayer's journal: "+f, args...)) }
