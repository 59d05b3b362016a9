package lane

import (
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

// Encode returns the canonical encoding.
func (r *Record) Encode() []byte { return nil }

// DecodeRecord reads what Encode writes and nothing else. Share aliases raw.
// Errors: order.ErrEncoding, order.ErrInvalid.
func DecodeRecord(raw []byte) (*Record, error) { return nil, nil }
