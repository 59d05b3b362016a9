package api

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/internal/pebblelog"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// Keys of the index:
//
//	n              -> height: all blocks up to it are indexed
//	b bundle       -> fate: what became of the bundle
//	h height bundle ->       a fate of that height, for pruning
//
// A fate is kind (1 byte), height (8), index (8), reason (the rest); numbers are
// big endian. The other keys are told in recorded.go and
// presence.go.
const (
	keyIndexed byte = 'n'
	keyBundle  byte = 'b'
	keyHeight  byte = 'h'
)

// pruneEvery is the number of blocks between two prunings.
const pruneEvery = 256

type fateKind byte

const (
	fateUnknown  fateKind = iota
	fateReceived          // by this node; height is the bundle's expiry
	fateDropped
	fateOrdered
)

// fate is what became of a bundle.
type fate struct {
	kind   fateKind
	height uint64
	index  uint64
	reason string
}

// index knows the fate of the bundles of recent blocks and of those that were
// submitted here, what relayers claimed, and for which rollups blocks were. What
// blocks say is written without a sync: what a crash loses is indexed again, because
// the height that is reached stands in the same batch as what that height brought. So
// are receipts while the pool has the bundles on disk; they are synced before it
// forgets one that no block carried, since nothing else tells of a bundle that expired.
type index struct {
	log     *slog.Logger
	chain   *chain
	retain  retention
	metrics *metrics
	pool    Pool

	mu      sync.RWMutex // a fate is read before it is written
	db      *pebble.DB
	present present
}

// retention is for how many heights something is kept; 0 keeps all.
type retention struct{ bundles, claims, presence uint64 }

func openIndex(dir string, retain retention, c *chain, from Pool, m *metrics, log *slog.Logger) (*index, error) {
	cache := pebble.NewCache(4 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{
		Cache: cache, MemTableSize: 2 << 20, MaxOpenFiles: 64,
		Logger: pebblelog.To(log, "bundle index"),
	})
	if err != nil {
		return nil, fmt.Errorf("open bundle index %s: %w", dir, err)
	}
	return &index{log: log, chain: c, retain: retain, metrics: m, pool: from, db: db}, nil
}

func (x *index) close() error { return x.db.Close() }

// retryIndex is the time between two tries at a block that cannot be indexed.
const retryIndex = 10 * time.Second

// follow indexes block after block until the context ends. A block that cannot be
// indexed is tried again and again: the node orders without an index, and must not
// stop for want of one. Only where nothing can be written here the pool fills up with
// what has expired.
func (x *index) follow(ctx context.Context) {
	for {
		err := x.catchUp(ctx)
		if ctx.Err() != nil {
			return
		}
		x.log.Error("the index of bundles does not advance", "err", err, "retry_in", retryIndex.String())
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryIndex):
		}
	}
}

// catchUp indexes block after block until one fails or the context ends.
func (x *index) catchUp(ctx context.Context) error {
	next, err := x.height()
	if err != nil {
		return err
	}
	if err := x.note(next); err != nil { // what the pool found when it was opened
		return err
	}
	for next++; ; next++ {
		next = max(next, x.chain.earliest()) // what was pruned before it was indexed is gone
		if err := x.chain.head.wait(ctx, next); err != nil {
			return err
		}
		s, err := x.chain.at(ctx, next)
		if errors.Is(err, errPruned) {
			continue
		}
		if err != nil {
			return fmt.Errorf("index block %d: %w", next, err)
		}
		if err := x.add(s); err != nil {
			return fmt.Errorf("index block %d: %w", next, err)
		}
		if err := x.note(next); err != nil {
			return err
		}
		if next%pruneEvery == 0 {
			if err := x.prune(next); err != nil {
				return fmt.Errorf("prune bundle index: %w", err)
			}
		}
		x.metrics.indexed.Set(float64(next))
	}
}

// height returns the last height indexed.
func (x *index) height() (uint64, error) {
	v, closer, err := x.db.Get([]byte{keyIndexed})
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read bundle index: %w", err)
	}
	defer func() { _ = closer.Close() }()
	return binary.BigEndian.Uint64(v), nil
}

// add indexes one block. The chain orders a bundle once, so that it did is the last
// word.
func (x *index) add(s *served) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer func() {
		if err != nil {
			x.present = present{} // what is on disk counts
		}
	}()
	batch := x.db.NewBatch()
	defer func() { _ = batch.Close() }()
	for i, o := range s.order.Bundles {
		x.set(batch, o.ID, fate{kind: fateOrdered, height: s.height, index: uint64(i)})
	}
	if err := errors.Join(x.addDropped(batch, s), x.addClaims(batch, s), x.addPresence(batch, s)); err != nil {
		return err
	}
	_ = batch.Set([]byte{keyIndexed}, binary.BigEndian.AppendUint64(nil, s.height), nil) // batches in memory do not fail
	return batch.Commit(pebble.NoSync)
}

// addDropped notes what the block dropped, where nothing better has become of it. A
// bundle may be carried several times, by lanes that do not know of each other: it is
// ordered once, perhaps in this very block, and dropped as a duplicate elsewhere.
func (x *index) addDropped(batch *pebble.Batch, s *served) error {
	if len(s.dropped) == 0 {
		return nil
	}
	ordered := make(map[order.BundleID]bool, len(s.order.Bundles))
	for _, o := range s.order.Bundles {
		ordered[o.ID] = true
	}
	dropped := make(map[order.BundleID]bool, len(s.dropped))
	for _, d := range s.dropped {
		before, err := x.get(d.ID)
		switch {
		case err != nil:
			return err
		case ordered[d.ID], before.kind == fateOrdered:
			continue
		case d.Reason == ordering.DropDuplicate && (dropped[d.ID] || before.kind == fateDropped):
			continue
		}
		dropped[d.ID] = true
		x.set(batch, d.ID, fate{kind: fateDropped, height: s.height, reason: d.Reason.String()})
	}
	return nil
}

// received notes that this node took the bundle in.
func (x *index) received(id order.BundleID, expiry uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	batch := x.db.NewBatch()
	defer func() { _ = batch.Close() }()
	if err := x.receive(batch, id, expiry); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

// receive notes a bundle of which nothing better is known.
func (x *index) receive(batch *pebble.Batch, id order.BundleID, expiry uint64) error {
	before, err := x.get(id)
	if err == nil && before.kind == fateUnknown {
		x.set(batch, id, fate{kind: fateReceived, height: expiry})
	}
	return err
}

// note puts on disk what is known of bundles that left the pool without a block having carried
// them, when blocks up to the height are indexed.
func (x *index) note(height uint64) error {
	left := x.pool.Left()
	if len(left) == 0 {
		return nil
	}
	if err := x.keep(left, height); err != nil {
		return fmt.Errorf("index bundles that left the pool: %w", err)
	}
	// A crash before this brings the bundles back, and they leave again.
	x.pool.Forget(left)
	return nil
}

func (x *index) keep(left []pool.Left, height uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	batch := x.db.NewBatch()
	defer func() { _ = batch.Close() }()
	for _, l := range left {
		// One that expired so long ago may have been ordered by a block that is forgotten.
		if keep := x.retain.bundles; keep > 0 && l.Expiry+keep/2 < height {
			continue
		}
		if err := x.receive(batch, l.ID, l.Expiry); err != nil {
			return err
		}
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	return x.db.LogData(nil, pebble.Sync) // and with it the receipts before
}

// fate returns what became of the bundle, and the height up to which that is known.
func (x *index) fate(id order.BundleID) (fate, uint64, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f, err := x.get(id)
	if err != nil {
		return f, 0, err
	}
	height, err := x.height()
	return f, height, err
}

// prune forgets what is below the retained heights.
func (x *index) prune(height uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	batch := x.db.NewBatch()
	defer func() { _ = batch.Close() }()
	if keep := x.retain.bundles; keep > 0 && height > keep {
		if err := x.pruneFates(batch, height-keep); err != nil {
			return err
		}
	}
	if keep := x.retain.claims; keep > 0 && height > keep {
		if err := x.pruneClaims(batch, height-keep); err != nil {
			return err
		}
	}
	if keep := x.retain.presence; keep > 0 && height > keep {
		prunePresence(batch, height-keep)
	}
	return batch.Commit(pebble.NoSync)
}

// pruneFates forgets the fates of heights before the one given.
func (x *index) pruneFates(batch *pebble.Batch, before uint64) error {
	end := binary.BigEndian.AppendUint64([]byte{keyHeight}, before)
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyHeight}, UpperBound: end})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) != 1+8+len(order.BundleID{}) {
			continue
		}
		id := order.BundleID(key[9:])
		f, err := x.get(id)
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if f.height == binary.BigEndian.Uint64(key[1:9]) {
			_ = batch.Delete(append([]byte{keyBundle}, id[:]...), nil)
		}
	}
	if err := it.Close(); err != nil {
		return err
	}
	_ = batch.DeleteRange([]byte{keyHeight}, end, nil)
	return nil
}

func (x *index) set(batch *pebble.Batch, id order.BundleID, f fate) {
	v := binary.BigEndian.AppendUint64([]byte{byte(f.kind)}, f.height)
	v = binary.BigEndian.AppendUint64(v, f.index)
	_ = batch.Set(append([]byte{keyBundle}, id[:]...), append(v, f.reason...), nil)
	_ = batch.Set(append(binary.BigEndian.AppendUint64([]byte{keyHeight}, f.height), id[:]...), nil, nil)
}

func (x *index) get(id order.BundleID) (fate, error) {
	v, closer, err := x.db.Get(append([]byte{keyBundle}, id[:]...))
	if errors.Is(err, pebble.ErrNotFound) {
		return fate{}, nil
	}
	if err != nil {
		return fate{}, fmt.Errorf("read bundle index: %w", err)
	}
	defer func() { _ = closer.Close() }()
	if len(v) < 17 {
		return fate{}, fmt.Errorf("bundle index holds %d bytes for bundle %s, want 17 or more", len(v), id)
	}
	return fate{
		kind: fateKind(v[0]), height: binary.BigEndian.Uint64(v[1:9]),
		index: binary.BigEndian.Uint64(v[9:17]), reason: string(v[17:]),
	}, nil
}
