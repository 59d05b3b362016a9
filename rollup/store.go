package rollup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/internal/pebblelog"
	"github.com/ordo-network/ordo/order"
)

// Keys of the store:
//
//	h/<sequencer height>  record: what the node made of that block of the order
//	g/<sequencer height>  block of the order that waits for its rollup block
//	b/<rollup block>      made: what that block was made from
//	i/<bundle ID>         sequencer height that ordered the bundle
//	t/<transaction hash>  place: where the transaction was executed, if the node keeps an index
//	f/<sequencer height>  unix ms at which the order was firm up to that height
//	v/<sequencer height>  batches that are known to be void there, 32 bytes each
//	void                  height at which a leg was executed that is void: resync
//	soft                  checkpoint of the soft follower
//	firm                  cursor of the firm reader
//	chain                 settings that made the chain
//	told                  what a client said of the last block that skipped something, where
//	                      it does not say it again
//
// All but v/, void and chain can be derived again from the order. It is written without
// sync: a process that is killed may lose the newest entries, some tens of KiB, and a
// machine that loses power more; the driver treats a missing record as one that it has yet
// to make. What is gathered is synced, since the sources that gave it may not give it again
// soon; so is the index, which nobody else keeps.
const (
	keyRecord   = "h/"
	keyGathered = "g/"
	keyMade     = "b/"
	keyBundle   = "i/"
	keyPlace    = "t/"
	keyFirmAt   = "f/"
	keyVoid     = "v/"
	keyResync   = "void"
	keySoft     = "soft"
	keyFirm     = "firm"
	keyChain    = "chain"
	keyTold     = "told"
)

const (
	// keepRecords is how many sequencer heights below the firm one keep their
	// record, for status queries: about three hours at ten blocks a second.
	keepRecords = 100_000
	// pruneEvery is how often older ones are removed, in heights: each range deletion is one
	// more thing for reads to look at.
	pruneEvery = 1000
)

// record is what the node made of one block of the order.
type record struct {
	Hash   execution.Hash // of the sequencer block
	SeenAt time.Time      // when this node took it in, to the millisecond
	Number uint64         // the rollup's soft head after it
	Head   execution.Hash
	// Waits says that the block was gathered: without what is gathered, it is not taken in.
	Waits bool
}

const recordLen = 32 + 8 + 8 + 32 // and one byte more where it waits

func (r record) encode() []byte {
	b := make([]byte, 0, recordLen+1)
	b = append(b, r.Hash[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.SeenAt.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, r.Number)
	b = append(b, r.Head[:]...)
	if r.Waits {
		b = append(b, 1)
	}
	return b
}

func decodeRecord(b []byte) (record, error) {
	var r record
	if len(b) != recordLen && len(b) != recordLen+1 {
		return r, fmt.Errorf("record of %d bytes, want %d", len(b), recordLen)
	}
	copy(r.Hash[:], b)
	r.SeenAt = time.UnixMilli(int64(binary.BigEndian.Uint64(b[32:])))
	r.Number = binary.BigEndian.Uint64(b[40:])
	copy(r.Head[:], b[48:])
	r.Waits = len(b) > recordLen
	return r, nil
}

// store is the node's memory beside the execution client's own.
type store struct {
	db *pebble.DB
	// forever keeps what blocks were made from: where nobody else knows.
	forever bool
	// neverFirm says that no DA layer makes blocks firm: what is old goes by what was taken in.
	neverFirm bool
}

func openStore(dir string) (*store, error) { return openStoreOn(vfs.Default, dir) }

func openStoreOn(fs vfs.FS, dir string) (*store, error) {
	o := &pebble.Options{FS: fs, Logger: pebblelog.Quiet("rollup store"), MemTableSize: 4 << 20, CacheSize: 32 << 20}
	// Each transaction is looked up before it is put into an index that lacks it.
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	return &store{db: db}, nil
}

func (s *store) close() error { return s.db.Close() }

func heightKey(prefix string, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefix), height)
}

func (s *store) get(key []byte) ([]byte, bool, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read store: %w", err)
	}
	out := append([]byte(nil), v...)
	return out, true, closer.Close()
}

func (s *store) record(height uint64) (record, bool, error) {
	v, ok, err := s.get(heightKey(keyRecord, height))
	if !ok || err != nil {
		return record{}, false, err
	}
	r, err := decodeRecord(v)
	return r, err == nil, err
}

// putVoid notes batches that were shown to be void at a height. They are on disk on
// return: no other source need ever show it again.
func (s *store) putVoid(height uint64, ids []order.BatchID) (err error) {
	if len(ids) == 0 {
		return nil
	}
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := s.setVoid(b, height, ids); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// void returns the batches that are known to be void at a height.
func (s *store) void(height uint64) ([]order.BatchID, error) {
	v, _, err := s.get(heightKey(keyVoid, height))
	var out []order.BatchID
	for id := range slices.Chunk(v, len(order.BatchID{})) {
		if len(id) == len(order.BatchID{}) {
			out = append(out, order.BatchID(id))
		}
	}
	return out, err
}

// setVoid notes batches that are void at a height, beside those known already.
func (s *store) setVoid(b *pebble.Batch, height uint64, ids []order.BatchID) error {
	known, err := s.void(height)
	if err != nil {
		return err
	}
	var v []byte
	for _, id := range slices.Compact(slices.SortedFunc(slices.Values(append(known, ids...)), func(a, b order.BatchID) int { return bytes.Compare(a[:], b[:]) })) {
		v = append(v, id[:]...)
	}
	return b.Set(heightKey(keyVoid, height), v, nil)
}

// putWrong notes that a leg of those batches was taken in at a height, and executed if it
// was. It is on disk on return: the node stops then, and must not go on as if nothing was.
func (s *store) putWrong(height uint64, ids []order.BatchID, executed bool) (err error) {
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := s.setVoid(b, height, ids); err != nil {
		return err
	}
	if executed {
		if err := b.Set([]byte(keyResync), binary.BigEndian.AppendUint64(nil, height), nil); err != nil {
			return err
		}
	}
	// What waits for its block is read again.
	if err := b.DeleteRange(heightKey(keyGathered, height), heightKey(keyGathered, math.MaxUint64), nil); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

// resync returns the height at which putWrong noted that a leg was executed.
func (s *store) resync() (uint64, bool, error) {
	v, ok, err := s.get([]byte(keyResync))
	if err != nil || !ok || len(v) != 8 {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(v), true, nil
}

// resynced notes that the order is executed anew: what is known of blocks and
// transactions is of another chain.
func (s *store) resynced() (err error) {
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, prefix := range []string{keyMade, keyBundle, keyPlace} {
		end := []byte(prefix)
		end[len(end)-1]++
		if err := b.DeleteRange([]byte(prefix), end, nil); err != nil {
			return err
		}
	}
	if err := b.Delete([]byte(keyResync), nil); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

func (s *store) putCheckpoint(raw []byte) error {
	return s.db.Set([]byte(keySoft), raw, pebble.NoSync)
}

// putFirm notes in one step that the order is firm up to a height, and where the
// reader of the DA layer stands.
func (s *store) putFirm(height uint64, at time.Time, cursor []byte) (err error) {
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.Set(heightKey(keyFirmAt, height), binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())), nil); err != nil {
		return err
	}
	if err := b.Set([]byte(keyFirm), cursor, nil); err != nil {
		return err
	}
	if err := s.prune(b, height-1, height); err != nil {
		return err
	}
	return b.Commit(pebble.NoSync)
}

// prune removes what is too old, where a height is passed on the way from one to another at
// which that is done.
func (s *store) prune(b *pebble.Batch, from, to uint64) error {
	to -= to % pruneEvery
	if to <= from || to <= keepRecords {
		return nil
	}
	oldest := to - keepRecords
	if !s.forever {
		if err := s.pruneMade(b, oldest); err != nil {
			return err
		}
	}
	for _, prefix := range []string{keyRecord, keyFirmAt, keyVoid} {
		if err := b.DeleteRange(heightKey(prefix, 0), heightKey(prefix, oldest), nil); err != nil {
			return err
		}
	}
	return nil
}

// firmAt returns when the order was seen firm at a height.
func (s *store) firmAt(height uint64) (time.Time, bool) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: heightKey(keyFirmAt, height), UpperBound: []byte("f0")})
	if err != nil {
		return time.Time{}, false
	}
	var at time.Time
	found := it.First() && len(it.Value()) == 8
	if found {
		at = time.UnixMilli(int64(binary.BigEndian.Uint64(it.Value())))
	}
	return at, it.Close() == nil && found
}
