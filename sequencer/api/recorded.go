package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Keys of the index that are about claims:
//
//	f                         -> height: all claims of blocks from it on are here
//	c rollup height position  -> claim, as ordo.sequencer.v1.RecordedClaim
//	d height rollup position  ->       there is that claim, for pruning
//
// The position is that of the claim among the block's, 4 bytes.
const (
	keyClaimFloor  byte = 'f'
	keyClaim       byte = 'c'
	keyClaimHeight byte = 'd'
)

const (
	// listedClaims bounds the claims of an answer, listedBytes their size, scannedClaims
	// those looked at; each but for the last block's.
	listedClaims  = 1000
	listedBytes   = 4 << 20
	scannedClaims = 10_000
)

func claimKey(id order.RollupID, height uint64, position int) []byte {
	k := binary.BigEndian.AppendUint64(append([]byte{keyClaim}, id[:]...), height)
	return binary.BigEndian.AppendUint32(k, uint32(position))
}

func claimHeightKey(height uint64, id order.RollupID, position int) []byte {
	k := append(binary.BigEndian.AppendUint64([]byte{keyClaimHeight}, height), id[:]...)
	return binary.BigEndian.AppendUint32(k, uint32(position))
}

// addClaims notes what the block recorded. It comes after all blocks of the index, but for
// those that this node never had.
func (x *index) addClaims(batch *pebble.Batch, s *served) error {
	floor, last, err := x.claimBounds()
	if err != nil {
		return err
	}
	if floor == 0 || last+1 < s.height {
		x.setClaimFloor(batch, s.height)
	}
	for i, c := range s.claims {
		id, err := order.RollupIDFromBytes(c.GetClaim().GetRollupId())
		if err != nil {
			return fmt.Errorf("claim %d: %w", i, err)
		}
		raw, err := proto.Marshal(c)
		if err != nil {
			return fmt.Errorf("encode claim %d: %w", i, err)
		}
		_ = batch.Set(claimKey(id, s.height, i), raw, nil) // batches in memory do not fail
		_ = batch.Set(claimHeightKey(s.height, id, i), nil, nil)
	}
	return nil
}

func (x *index) setClaimFloor(batch *pebble.Batch, height uint64) {
	_ = batch.Set([]byte{keyClaimFloor}, binary.BigEndian.AppendUint64(nil, height), nil)
}

// claimBounds returns the heights whose claims are here; 0 and 0 where there are none yet.
func (x *index) claimBounds() (floor, last uint64, err error) {
	v, closer, err := x.db.Get([]byte{keyClaimFloor})
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read bundle index: %w", err)
	}
	defer func() { _ = closer.Close() }()
	last, err = x.height()
	return binary.BigEndian.Uint64(v), last, err
}

// claims returns what blocks from..to recorded of the rollup, for one layer or all.
// Errors: errNotYet, errPruned.
func (x *index) claims(id order.RollupID, layer string, from uint64, limit int) (out []*v1.RecordedClaim, to uint64, err error) {
	if limit <= 0 || limit > listedClaims {
		limit = listedClaims
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	floor, last, err := x.claimBounds()
	switch {
	case err != nil:
		return nil, 0, err
	case from > last+1:
		return nil, 0, fmt.Errorf("claims of block %d are %w: the latest indexed is %d", from, errNotYet, last)
	case from < floor:
		return nil, 0, fmt.Errorf("claims of block %d are %w: the earliest here are of %d", from, errPruned, floor)
	}
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: claimKey(id, from, 0), UpperBound: claimKey(id, last+1, 0)})
	if err != nil {
		return nil, 0, fmt.Errorf("read bundle index: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var height uint64
	size, scanned := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		at := binary.BigEndian.Uint64(it.Key()[1+len(id):])
		if at != height && (len(out) >= limit || size >= listedBytes || scanned >= scannedClaims) {
			return out, height, nil // what comes is of later blocks
		}
		height = at
		scanned++
		c := new(v1.RecordedClaim)
		if err := proto.Unmarshal(it.Value(), c); err != nil {
			return nil, 0, fmt.Errorf("decode claim of block %d: %w", height, err)
		}
		if layer == "" || c.GetClaim().GetLayer() == layer {
			out = append(out, c)
			size += len(it.Value())
		}
	}
	return out, last, it.Error()
}

// pruneClaims forgets the claims of blocks before the height.
func (x *index) pruneClaims(batch *pebble.Batch, before uint64) error {
	floor, _, err := x.claimBounds()
	if err != nil || floor == 0 || floor >= before {
		return err
	}
	end := binary.BigEndian.AppendUint64([]byte{keyClaimHeight}, before)
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyClaimHeight}, UpperBound: end})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) != 1+8+len(order.RollupID{})+4 {
			continue
		}
		height, rest := key[1:9], key[9:]
		rollup, position := rest[:len(order.RollupID{})], rest[len(order.RollupID{}):]
		_ = batch.Delete(bytes.Join([][]byte{{keyClaim}, rollup, height, position}, nil), nil)
	}
	if err := it.Close(); err != nil {
		return err
	}
	_ = batch.DeleteRange([]byte{keyClaimHeight}, end, nil)
	x.setClaimFloor(batch, before)
	return nil
}
