package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/internal/pebblelog"
)

// What is on disk, all integers big endian:
//
//	'f'                                         format version, 1 byte
//	'k' -> height(8)                            blobs below it are pruned
//	'h' height(8)                               block header, see header.encode
//	'b' height(8) namespace(29) index(4)        commitment(32) and data of one blob; index is its place in the block
//	'c' height(8) namespace(29) commitment(32)  index(4) of the first blob of that commitment
//
// Keys of a block follow those of all blocks before, so pebble moves tables down
// without rewriting them, and a namespace at a height is one range of keys
// whatever else the height holds.
const (
	keyFormat     byte = 'f'
	keyKept       byte = 'k'
	keyHeader     byte = 'h'
	keyBlob       byte = 'b'
	keyCommitment byte = 'c'
)

const formatVersion = 2

// namespace is a Celestia namespace, see da.Namespace.V0.
type namespace = [29]byte

// entry is a blob on its way into a block.
type entry struct {
	ns         namespace
	data       []byte
	commitment commitment
}

// blob is a blob on its way out. Its bytes are the store's.
type blob struct {
	index      uint32
	commitment []byte
	data       []byte
}

// header describes one block. The hashes chain the blocks, so that two stores
// that grew apart are told apart by any one header.
type header struct {
	height   uint64
	time     time.Time
	previous [32]byte
	data     [32]byte // SHA-256 over (namespace, commitment) of each blob, in order of storage
}

func (h header) hash() [32]byte {
	return sha256.Sum256(append([]byte("ordo/da/local/header/v2\x00"), h.encode()...))
}

func (h header) encode() []byte {
	out := binary.BigEndian.AppendUint64(nil, h.height)
	out = binary.BigEndian.AppendUint64(out, uint64(h.time.UnixNano()))
	out = append(out, h.previous[:]...)
	return append(out, h.data[:]...)
}

func decodeHeader(raw []byte) (header, error) {
	if len(raw) != 80 {
		return header{}, fmt.Errorf("block header has %d bytes, want 80", len(raw))
	}
	h := header{
		height: binary.BigEndian.Uint64(raw),
		time:   time.Unix(0, int64(binary.BigEndian.Uint64(raw[8:]))).UTC(),
	}
	copy(h.previous[:], raw[16:])
	copy(h.data[:], raw[48:])
	return h, nil
}

// store keeps blocks on disk.
type store struct{ db *pebble.DB }

func openStore(dir string, fs vfs.FS) (*store, error) {
	opts := &pebble.Options{
		FS:           fs,
		CacheSize:    8 << 20,
		MemTableSize: 8 << 20,
		MaxOpenFiles: 256,
		Logger:       pebblelog.Quiet("DA store"),
	}
	// Blobs come compressed.
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("open DA store %s: %w", dir, err)
	}
	s := &store{db}
	if err := s.checkFormat(); err != nil {
		return nil, errors.Join(fmt.Errorf("open DA store %s: %w", dir, err), db.Close())
	}
	return s, nil
}

func (s *store) checkFormat() error {
	raw, closer, err := s.db.Get([]byte{keyFormat})
	if errors.Is(err, pebble.ErrNotFound) {
		return s.db.Set([]byte{keyFormat}, []byte{formatVersion}, pebble.Sync)
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	if !bytes.Equal(raw, []byte{formatVersion}) {
		return fmt.Errorf("format %x was written by another version, this one reads %x: start with an empty folder", raw, formatVersion)
	}
	return nil
}

// head returns the last header; the zero header where there is no block.
func (s *store) head() (header, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyHeader}, UpperBound: []byte{keyHeader + 1}})
	if err != nil {
		return header{}, err
	}
	defer func() { _ = it.Close() }() // it only read
	if !it.Last() {
		return header{}, it.Error()
	}
	raw, err := it.ValueAndErr()
	if err != nil {
		return header{}, err
	}
	return decodeHeader(raw)
}

// headerAt returns the header at a height. Errors: pebble.ErrNotFound.
func (s *store) headerAt(height uint64) (header, error) {
	raw, closer, err := s.db.Get(headerKey(height))
	if err != nil {
		return header{}, err
	}
	defer closer.Close()
	return decodeHeader(raw)
}

// append stores one block on parent. A crash before the commit leaves nothing of
// the block, a crash after it leaves all of the block: readers never see a part.
// When append returns, the block is on disk.
func (s *store) append(parent header, now time.Time, entries []entry) (header, error) {
	h := header{height: parent.height + 1, time: time.Unix(0, now.UnixNano()).UTC(), previous: parent.hash()}
	if !h.time.After(parent.time) {
		h.time = parent.time.Add(1) // the clock was set back
	}
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return bytes.Compare(entries[i].ns[:], entries[j].ns[:]) })

	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // committed, or given up
	digest := sha256.New()
	for _, i := range order {
		digest.Write(entries[i].ns[:])
		digest.Write(entries[i].commitment[:])
	}
	// From the last on, so that of the same commitments the first stays.
	for _, i := range slices.Backward(order) {
		e := entries[i]
		if err := setBlob(batch, blobKey(h.height, e.ns, uint32(i)), e); err != nil {
			return header{}, fmt.Errorf("store DA block %d: %w", h.height, err)
		}
		if err := batch.Set(commitmentKey(h.height, e.ns, e.commitment[:]), binary.BigEndian.AppendUint32(nil, uint32(i)), nil); err != nil {
			return header{}, fmt.Errorf("store DA block %d: %w", h.height, err)
		}
	}
	digest.Sum(h.data[:0])
	if err := batch.Set(headerKey(h.height), h.encode(), nil); err != nil {
		return header{}, fmt.Errorf("store DA block %d: %w", h.height, err)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return header{}, fmt.Errorf("store DA block %d: %w", h.height, err)
	}
	return h, nil
}

// setBlob writes the value straight into the batch: blobs are large.
func setBlob(batch *pebble.Batch, key []byte, e entry) error {
	op := batch.SetDeferred(len(key), len(e.commitment)+len(e.data))
	copy(op.Key, key)
	copy(op.Value, e.commitment[:])
	copy(op.Value[len(e.commitment):], e.data)
	return op.Finish()
}

// view is the store at one moment. The caller closes it.
type view struct{ *pebble.Snapshot }

func (s *store) view() view { return view{s.db.NewSnapshot()} }

// blobs calls fn with each blob of the namespace at the height. Its bytes are fn's
// only until it returns.
func (v view) blobs(height uint64, ns namespace, fn func(blob) error) error {
	it, err := v.NewIter(&pebble.IterOptions{
		LowerBound: blobKey(height, ns, 0),
		// Index 2^32-1 is never reached: a block holds far fewer blobs.
		UpperBound: blobKey(height, ns, ^uint32(0)),
	})
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }() // it only read
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		key := it.Key()
		if err := passBlob(binary.BigEndian.Uint32(key[len(key)-4:]), value, fn); err != nil {
			return err
		}
	}
	return it.Error()
}

// find calls fn with the first blob of that commitment, where there is one. Its bytes
// are fn's only until it returns.
func (v view) find(height uint64, ns namespace, commitment []byte, fn func(blob) error) error {
	raw, closer, err := v.Get(commitmentKey(height, ns, commitment))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	index := binary.BigEndian.Uint32(raw)
	if err := closer.Close(); err != nil {
		return err
	}
	value, closer, err := v.Get(blobKey(height, ns, index))
	if err != nil {
		return err
	}
	defer func() { _ = closer.Close() }() // it only read
	return passBlob(index, value, fn)
}

func passBlob(index uint32, value []byte, fn func(blob) error) error {
	const n = len(commitment{})
	if len(value) <= n {
		return fmt.Errorf("blob %d has %d bytes on disk, want more than %d", index, len(value), n)
	}
	return fn(blob{index: index, commitment: value[:n], data: value[n:]})
}

// kept returns the height below which blobs are pruned.
func (s *store) kept() (uint64, error) {
	raw, closer, err := s.db.Get([]byte{keyKept})
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = closer.Close() }() // it only read
	if len(raw) != 8 {
		return 0, fmt.Errorf("the pruned height has %d bytes, want 8", len(raw))
	}
	return binary.BigEndian.Uint64(raw), nil
}

// drop removes the blobs below a height. A crash leaves them all or none, and nothing
// that is gone passes for empty: the height is recorded in the same step.
func (s *store) drop(below uint64) error {
	batch := s.db.NewBatch()
	defer func() { _ = batch.Close() }() // committed, or given up
	for _, prefix := range []byte{keyBlob, keyCommitment} {
		if err := batch.DeleteRange(heightKey(prefix, 0), heightKey(prefix, below), nil); err != nil {
			return err
		}
	}
	if err := batch.Set([]byte{keyKept}, binary.BigEndian.AppendUint64(nil, below), nil); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

func heightKey(prefix byte, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, height)
}

func headerKey(height uint64) []byte { return heightKey(keyHeader, height) }

func blobKey(height uint64, ns namespace, index uint32) []byte {
	return binary.BigEndian.AppendUint32(append(heightKey(keyBlob, height), ns[:]...), index)
}

func commitmentKey(height uint64, ns namespace, commitment []byte) []byte {
	return append(append(heightKey(keyCommitment, height), ns[:]...), commitment...)
}
