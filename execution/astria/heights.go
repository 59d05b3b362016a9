package astria

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/internal/pebblelog"
)

// heights keeps which sequencer block each rollup block is made from, where blocks of
// the order are gathered and numbers alone no longer tell.
type heights struct{ db *pebble.DB }

func openHeights(dir string) (*heights, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: pebblelog.Quiet("heights of the rollup's blocks"), MemTableSize: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("open the heights of rollup blocks in %s: %w", dir, err)
	}
	return &heights{db}, nil
}

// put notes what a block is about to be made from, on disk when it returns. A crash
// before the block is made leaves an entry that the same block replaces.
func (h *heights) put(number, height uint64) error {
	if err := h.db.Set(numberKey(number), binary.BigEndian.AppendUint64(nil, height), pebble.Sync); err != nil {
		return fmt.Errorf("note the height of rollup block %d: %w", number, err)
	}
	return nil
}

func (h *heights) get(number uint64) (height uint64, ok bool, err error) {
	raw, err := get(h.db, numberKey(number))
	if err != nil || raw == nil {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(raw), true, nil
}

func (h *heights) close() error { return h.db.Close() }

// get returns nil where there is nothing.
func get(db *pebble.DB, key []byte) ([]byte, error) {
	raw, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key[:1], err)
	}
	return append([]byte(nil), raw...), closer.Close()
}
