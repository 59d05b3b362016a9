package lane

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// Record is what a member keeps of a batch that it attests: enough to give the same
// attestation again, and its shards.
type Record struct {
	Clock uint64 // of the attestation, in milliseconds
	Batch *order.SignedBatch
	Share *shard.Share
}

// Field numbers of Record: clock, a number; batch and share, messages.
const (
	tagClock = byte(1<<3 | protowire.VarintType)
	tagBatch = byte(2<<3 | protowire.BytesType)
	tagShare = byte(3<<3 | protowire.BytesType)
)

// Encode returns the canonical encoding: proto3, fields in ascending order, none that
// is zero.
func (r *Record) Encode() []byte { return r.Share.Append(r.Head()) }

// Head is the canonical encoding up to where the share's begins: with the batch's root it
// says what the share is.
func (r *Record) Head() []byte {
	b := make([]byte, 0, 32+r.Batch.Size())
	if r.Clock != 0 {
		b = protowire.AppendVarint(append(b, tagClock), r.Clock)
	}
	b = protowire.AppendBytes(append(b, tagBatch), r.Batch.Encode())
	return protowire.AppendVarint(append(b, tagShare), uint64(r.Share.Size()))
}

// DecodeRecord reads what Encode writes and nothing else. Share aliases raw.
// Errors: order.ErrEncoding, order.ErrInvalid, shard.ErrEncoding.
func DecodeRecord(raw []byte) (*Record, error) {
	r, share, err := decodeRecord(raw)
	if err != nil {
		return nil, err
	}
	if r.Share, err = shard.DecodeShare(share); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	return r, nil
}

// DecodeRecordShare reads a record whose share is wanted as it is encoded. The share
// aliases raw and is not looked at: what is on disk was checked before it came there.
// Errors: order.ErrEncoding, order.ErrInvalid.
func DecodeRecordShare(raw []byte) (batch *order.SignedBatch, share []byte, err error) {
	r, share, err := decodeRecord(raw)
	if err != nil {
		return nil, nil, err
	}
	return r.Batch, share, nil
}

func decodeRecord(raw []byte) (r *Record, share []byte, err error) {
	r, rest := new(Record), raw
	if len(rest) > 0 && rest[0] == tagClock {
		clock, n := protowire.ConsumeVarint(rest[1:])
		if n < 0 || n != protowire.SizeVarint(clock) || clock == 0 {
			return nil, nil, fmt.Errorf("decode record: clock: %w", order.ErrEncoding)
		}
		r.Clock, rest = clock, rest[1+n:]
	}
	batch, rest, ok := message(rest, tagBatch)
	if !ok {
		return nil, nil, fmt.Errorf("decode record: batch: %w", order.ErrEncoding)
	}
	share, rest, ok = message(rest, tagShare)
	if !ok || len(rest) > 0 {
		return nil, nil, fmt.Errorf("decode record: share: %w", order.ErrEncoding)
	}
	if r.Batch, err = order.DecodeSignedBatch(batch); err != nil {
		return nil, nil, fmt.Errorf("decode record: %w", err)
	}
	return r, share, nil
}

// message reads a message that has a length of the fewest bytes.
func message(b []byte, tag byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != tag {
		return nil, b, false
	}
	size, n := protowire.ConsumeVarint(b[1:])
	if n < 0 || n != protowire.SizeVarint(size) || size > uint64(len(b)-1-n) {
		return nil, b, false
	}
	b = b[1+n:]
	return b[:size:size], b[size:], true
}
