package ordering

import (
	"fmt"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// Fate is what became of a bundle that a block carried.
type Fate struct {
	Height uint64
	Reason DropReason // 0: it was ordered
}

// Carried is what one block decided for good: the record that the chain keeps for as
// long as one of the bundles could be brought in again. A bundle that was dropped
// because an earlier block had decided is not in it.
type Carried struct {
	Height  uint64
	Until   uint64 // last height at which one of them could be ordered
	Records []Record
}

// Record is a bundle's ID and why it was dropped; 0: it was ordered.
type Record struct {
	ID     order.BundleID
	Reason DropReason
}

func (c *Carried) add(id order.BundleID, reason DropReason, expiry uint64) {
	c.Records = append(c.Records, Record{id, reason})
	c.Until = max(c.Until, expiry)
}

const recordSize = 33

// encodeRecords returns 33 bytes for each bundle: ID and drop reason.
func (c *Carried) encodeRecords() []byte {
	out := make([]byte, 0, len(c.Records)*recordSize)
	for _, r := range c.Records {
		out = append(append(out, r.ID[:]...), byte(r.Reason))
	}
	return out
}

func decodeRecords(raw []byte, yield func(order.BundleID, DropReason)) error {
	if len(raw)%recordSize != 0 {
		return fmt.Errorf("record of carried bundles has %d bytes, want a multiple of %d", len(raw), recordSize)
	}
	for ; len(raw) > 0; raw = raw[recordSize:] {
		yield(order.BundleID(raw[:recordSize-1]), DropReason(raw[recordSize-1]))
	}
	return nil
}

// Window holds in memory the fates of all bundles that could still be brought in
// again. It is a cache of the module's records at one committed height: it changes
// where that height is committed, and is read again from the store wherever the
// store is at another height than it (a fresh start, a snapshot, a block of
// genesis). It is safe for concurrent use.
type Window struct {
	mu     sync.RWMutex
	loaded bool
	height uint64 // of the state that it mirrors
	fates  map[order.BundleID]Fate
	until  map[uint64][]order.BundleID // by the last height at which they matter
}

// NewWindow returns a window that mirrors nothing yet.
func NewWindow() *Window { return &Window{} }

// Mirrors reports whether the window stands for the state at that height.
func (w *Window) Mirrors(height uint64) bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.loaded && w.height == height
}

// Fate says what became of a bundle that an earlier block carried.
func (w *Window) Fate(id order.BundleID) (Fate, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	f, ok := w.fates[id]
	return f, ok
}

// Apply adds what the committed block carried and forgets what no longer matters.
func (w *Window) Apply(c Carried) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range c.Records {
		w.put(r.ID, Fate{Height: c.Height, Reason: r.Reason}, c.Until)
	}
	w.height = c.Height
	w.prune()
}

// reset makes the window mirror the records of the state at that height.
func (w *Window) reset(height uint64, read func(put func(id order.BundleID, f Fate, until uint64)) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fates, w.until = make(map[order.BundleID]Fate), make(map[uint64][]order.BundleID)
	w.height = height
	if err := read(w.put); err != nil {
		w.loaded = false
		return err
	}
	w.loaded = true
	w.prune()
	return nil
}

func (w *Window) put(id order.BundleID, f Fate, until uint64) {
	w.fates[id] = f
	w.until[until] = append(w.until[until], id)
}

// prune forgets the bundles that have expired before the next block.
func (w *Window) prune() {
	for until, ids := range w.until {
		if until > w.height {
			continue
		}
		for _, id := range ids {
			delete(w.fates, id)
		}
		delete(w.until, until)
	}
}
