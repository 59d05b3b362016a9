package astria

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/internal/pebblelog"
)

// The index holds what an execution.Client does not tell of its past:
//
//	n | number (8 bytes, big endian)  ExecutedBlockMetadata
//	h | hash (32 bytes)               number (8 bytes, big endian)
//	c                                 lowest Celestia height to search (8 bytes, big endian)
//
// A block that the client lost in a crash may still stand here: whoever asks checks
// that it is not above the soft one.
type index struct{ db *pebble.DB }

var celestiaKey = []byte("c")

func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte("n"), n) }
func hashKey(h string) []byte {
	hash := hashOf(h)
	return append([]byte("h"), hash[:]...)
}

func openIndex(dir string) (*index, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: pebblelog.Quiet("index of the rollup's blocks"), MemTableSize: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("open the index of blocks in %s: %w", dir, err)
	}
	return &index{db}, nil
}

// put notes a block, on disk when it returns.
func (x *index) put(m *executionv2.ExecutedBlockMetadata) error {
	raw, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode block %d: %w", m.GetNumber(), err)
	}
	batch := x.db.NewBatch()
	defer batch.Close()
	key := numberKey(m.GetNumber())
	if err := errors.Join(batch.Set(key, raw, nil), batch.Set(hashKey(m.GetHash()), key[1:], nil)); err != nil {
		return fmt.Errorf("note block %d: %w", m.GetNumber(), err)
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("note block %d: %w", m.GetNumber(), err)
	}
	return nil
}

// byNumber returns nil where there is none.
func (x *index) byNumber(n uint64) (*executionv2.ExecutedBlockMetadata, error) {
	raw, err := get(x.db, numberKey(n))
	if raw == nil || err != nil {
		return nil, err
	}
	m := new(executionv2.ExecutedBlockMetadata)
	if err := proto.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("decode block %d: %w", n, err)
	}
	return m, nil
}

// byHash returns nil where there is none.
func (x *index) byHash(h string) (*executionv2.ExecutedBlockMetadata, error) {
	raw, err := get(x.db, hashKey(h))
	if raw == nil || err != nil {
		return nil, err
	}
	m, err := x.byNumber(binary.BigEndian.Uint64(raw))
	if hashOf(m.GetHash()) != hashOf(h) { // another block came to stand at that number
		return nil, err
	}
	return m, err
}

func (x *index) celestia() (uint64, error) {
	raw, err := get(x.db, celestiaKey)
	if raw == nil || err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(raw), nil
}

func (x *index) putCelestia(height uint64) error {
	return x.db.Set(celestiaKey, binary.BigEndian.AppendUint64(nil, height), pebble.Sync)
}

func (x *index) close() error { return x.db.Close() }
