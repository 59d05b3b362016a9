package engine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/internal/pebblelog"
)

// journal keeps the blocks that a client was made to build. It is what makes the rollup's
// chain Ordo's own: a client that falls back is given them again, and what sequencer
// block each was made from is written nowhere else.
//
// Keys:
//
//	g              hash of the genesis
//	f              number of the firm block
//	b<number>      the block, see record, from some below the firm one on (see prune);
//	               numbers are 8 bytes, big-endian
//	h<hash>        number of the block with that hash
//	s              what the last block was said to have skipped, see told
type journal struct {
	db   *pebble.DB
	keep uint64 // blocks below the firm one
}

// record is a block in the journal.
type record struct {
	Hash       common.Hash     `json:"hash"`
	Height     uint64          `json:"height"` // of the sequencer block
	Time       uint64          `json:"time"`
	GasLimit   uint64          `json:"gas_limit"`
	BeaconRoot common.Hash     `json:"beacon_root"`
	Payload    json.RawMessage `json:"payload"`
	Requests   []hexutil.Bytes `json:"requests"` // null before Prague
}

func openJournal(dir string, log *slog.Logger) (*journal, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: pebblelog.To(log, "journal of blocks")})
	if err != nil {
		return nil, fmt.Errorf("open the journal of blocks in %s: %w", dir, err)
	}
	return &journal{db, keepBelowFirm}, nil
}

func (j *journal) close() error { return j.db.Close() }

func blockKey(number uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'b'}, number) }

func hashKey(hash execution.Hash) []byte { return append([]byte{'h'}, hash[:]...) }

// get returns a value, nil where there is none.
func (j *journal) get(key []byte) ([]byte, error) {
	value, closer, err := j.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal of blocks: %w", err)
	}
	defer func() { _ = closer.Close() }() // gives a buffer back
	return append([]byte{}, value...), nil
}

// genesis returns the hash of the chain's genesis, zero where none is known.
func (j *journal) genesis() (hash execution.Hash, err error) {
	value, err := j.get([]byte("g"))
	copy(hash[:], value)
	return hash, err
}

func (j *journal) setGenesis(hash execution.Hash) error {
	return j.db.Set([]byte("g"), hash[:], pebble.Sync)
}

// told is what the last block's caller is told, beside the block.
type told struct {
	Number  uint64              `json:"number"`
	Of      int                 `json:"of"` // how many transactions it was made from
	Skipped []execution.Skipped `json:"skipped"`
}

// add puts the next block on disk, with what was skipped of that many transactions. After
// a crash it is there whole or not at all; whether or not the client has it then, it is the
// same block that would be made again. The caller may be killed before it has noted what
// was skipped: until it comes with the next block, it is kept here.
func (j *journal) add(number uint64, r *record, of int, skipped []execution.Skipped) error {
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode block %d: %w", number, err)
	}
	last, err := json.Marshal(told{number, of, skipped})
	if err != nil {
		return fmt.Errorf("encode what block %d skipped: %w", number, err)
	}
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }()
	key := blockKey(number)
	if err := errors.Join(batch.Set([]byte("s"), last, nil), batch.Set(key, value, nil), batch.Set(hashKey(execution.Hash(r.Hash)), key[1:], nil), batch.Commit(pebble.Sync)); err != nil {
		return fmt.Errorf("write block %d to the journal: %w", number, err)
	}
	return nil
}

// block returns a block that must be there.
func (j *journal) block(number uint64) (*record, error) {
	value, err := j.get(blockKey(number))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, j.missing(number)
	}
	r := new(record)
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("decode block %d of the journal: %w", number, err)
	}
	return r, nil
}

// tip returns the number of the last block, 0 where there is none.
func (j *journal) tip() (uint64, error) {
	iter, err := j.db.NewIter(&pebble.IterOptions{LowerBound: []byte("b"), UpperBound: []byte("c")})
	if err != nil {
		return 0, fmt.Errorf("read the journal of blocks: %w", err)
	}
	var number uint64
	if iter.Last() {
		number = binary.BigEndian.Uint64(iter.Key()[1:])
	}
	if err := iter.Close(); err != nil {
		return 0, fmt.Errorf("read the journal of blocks: %w", err)
	}
	return number, nil
}

// told returns what the last block's caller was told; of block 0 where that is not known.
func (j *journal) told() (t told, err error) {
	value, err := j.get([]byte("s"))
	if err != nil || value == nil {
		return told{}, err
	}
	if err := json.Unmarshal(value, &t); err != nil {
		return told{}, fmt.Errorf("decode what the last block of the journal skipped: %w", err)
	}
	return t, nil
}

// number returns the number of the block with that hash, and whether there is one.
func (j *journal) number(hash execution.Hash) (uint64, bool, error) {
	value, err := j.get(hashKey(hash))
	if err != nil || len(value) != 8 {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(value), true, nil
}

// firm returns the number of the firm block, 0 where none was set.
func (j *journal) firm() (uint64, error) {
	value, err := j.get([]byte("f"))
	if err != nil || len(value) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

// setFirm puts on disk which block is firm, and removes what is far below it.
func (j *journal) setFirm(number uint64) error {
	batch := j.db.NewBatch()
	defer func() { _ = batch.Close() }()
	if err := j.prune(batch, number); err != nil {
		return err
	}
	if err := errors.Join(batch.Set([]byte("f"), binary.BigEndian.AppendUint64(nil, number), nil), batch.Commit(pebble.Sync)); err != nil {
		return fmt.Errorf("write the firm block to the journal: %w", err)
	}
	return nil
}
