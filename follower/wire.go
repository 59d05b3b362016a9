package follower

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Bounds of what is read. They are checked before anything is decoded.
const (
	// MaxBlockBytes bounds an encoded RollupBlock. The largest that the chain's bounds
	// allow is one of 24 MiB of batches, all of one rollup, each void for its last leg:
	//
	//	24 MiB    the legs' data
	//	24 MiB    shards of the same batches, exactly k of each (shards.md)
	//	 5 MiB    records and documents of bundles with several legs: for one of two legs at
	//	          most 407 bytes, whose summary takes 253 of the 3 MiB of certificates; for
	//	          more legs less of what the summary takes, for one 128 of 179
	//	 1 MiB    signed header, validators, and what proves header and records
	//	29 MiB    beside the shards' data, for each of at most 256 batches:
	//	            21.4 KiB  shards are filled up by less than 64 bytes, k is at most 342
	//	            82.7 KiB  proofs of 200 shares in a tree of 1,024 leaves: a node a row
	//	                      each, and a second one where a share lies in two pairs of
	//	                      nodes, 2,647 nodes of 32 bytes
	//	            10.4 KiB  200 holders, core, tags and lengths of 200 shares
	//
	// This holds for any stakes. The API's tests hold it against the chain's bounds.
	MaxBlockBytes = 84 << 20
	// maxBlockLegs is more than the certificates that fit a block can stand for.
	maxBlockLegs = 1 << 18
	// maxVoidBatches is how many batches a block may hold.
	maxVoidBatches = 1 << 14
	// maxVoidShares is the most shards that rebuild a batch, in any layout.
	maxVoidShares = shard.MaxShards/3 + 1
	// maxVoidParts bounds the holders, and again the shares, of all void batches together.
	maxVoidParts = 1 << 18
	// maxBatchCoreBytes is far above the size of any batch core.
	maxBatchCoreBytes = 1 << 10
	// maxSignedHeaderBytes and maxValidatorsBytes leave room for more than 2,000 validators.
	maxSignedHeaderBytes = 256 << 10
	maxValidatorsBytes   = 256 << 10
	// maxOrderingHeaderBytes is far above the size of any ordering header.
	maxOrderingHeaderBytes = 1 << 10
	// maxProofHashes is far above the length of a path in a tree that fits a block.
	maxProofHashes = 128
	// maxGroupHashes is more than the proofs take of all rollups that fit a message.
	maxGroupHashes = 1 << 17
	// maxBlockTransactions is more than fit 24 MiB of batches, where each takes three bytes.
	maxBlockTransactions = 9 << 20
	// minSiblingBytes is what a leg's summary takes: two hashes and two numbers. Shorter ones
	// would take far more in memory than on the wire.
	minSiblingBytes = 2*34 + 2*2
	// maxHeight is CometBFT's: heights are int64 there, and no sum of two overflows.
	maxHeight = math.MaxInt64 / 2
)

// Field numbers of ordo.order.v1 and ordo.sequencer.v1.
const (
	fieldBlockSignedHeader   = 2
	fieldBlockValidators     = 3
	fieldBlockOrderingHeader = 4
	fieldBlockOrderingProof  = 5
	fieldBlockNamespaceProof = 6
	fieldBlockLegs           = 7
	fieldBlockVoidBatches    = 8
	fieldPartNamespaceProof  = 2
	fieldPartLegs            = 3
	fieldPartVoidBatches     = 4
	fieldBlocksParts         = 2
	fieldVoidBatchCore       = 1
	fieldVoidBatchHolders    = 2
	fieldVoidBatchShares     = 3
	fieldMerkleProofAunts    = 3
	fieldNamespaceProofNodes = 3
	fieldLegTransactions     = 2
	fieldLegBundle           = 3
	fieldDocLegs             = 5
)

// DecodeBlock decodes a RollupBlock from anyone; it verifies nothing. A few hostile
// bytes can stand for many objects in memory (an empty leg has two), so everything
// that repeats is counted on the wire first. Errors: ErrMalformed.
func DecodeBlock(raw []byte) (*orderv1.RollupBlock, error) {
	if len(raw) > MaxBlockBytes {
		return nil, fmt.Errorf("block of %d bytes, at most %d: %w", len(raw), MaxBlockBytes, ErrMalformed)
	}
	if err := boundBlock(raw); err != nil {
		return nil, err
	}
	rb := new(orderv1.RollupBlock)
	if err := proto.Unmarshal(raw, rb); err != nil {
		return nil, fmt.Errorf("decode block: %w: %w", err, ErrMalformed)
	}
	return rb, nil
}

// boundBlock counts what repeats in an encoded RollupBlock.
func boundBlock(raw []byte) error { return new(contentBounds).block(raw) }

// contentBounds counts what a block holds, for a rollup in all messages that it comes in, for
// many in one message. Fields that stand there twice are joined by who decodes them, so no
// count begins anew.
type contentBounds struct {
	bytes, rollups, legs, transactions, hashes, voids int
	parts                                             voidParts
}

// block counts what an encoded RollupBlock has, or a piece of one.
func (c *contentBounds) block(raw []byte) error {
	c.bytes += len(raw)
	if err := atMost("bytes of a block", c.bytes, MaxBlockBytes); err != nil {
		return err
	}
	return eachBytes(raw, func(num protowire.Number, b []byte) error {
		switch num {
		case fieldBlockSignedHeader:
			return atMost("signed header", len(b), maxSignedHeaderBytes)
		case fieldBlockValidators:
			return atMost("validator set", len(b), maxValidatorsBytes)
		case fieldBlockOrderingHeader:
			return atMost("ordering header", len(b), maxOrderingHeaderBytes)
		case fieldBlockOrderingProof, fieldBlockNamespaceProof:
			return c.proof(b)
		case fieldBlockLegs:
			return c.leg(b)
		case fieldBlockVoidBatches:
			return c.void(b)
		}
		return nil
	})
}

// part counts what an encoded RollupPart has.
func (c *contentBounds) part(raw []byte) error {
	c.rollups++
	if err := atMost("rollups of a block", c.rollups, MaxGroup); err != nil {
		return err
	}
	return eachBytes(raw, func(num protowire.Number, b []byte) error {
		switch num {
		case fieldPartNamespaceProof:
			return c.proof(b)
		case fieldPartLegs:
			return c.leg(b)
		case fieldPartVoidBatches:
			return c.void(b)
		}
		return nil
	})
}

// proof counts the hashes of either kind of proof: both have them in a field of that number.
func (c *contentBounds) proof(raw []byte) error {
	most := min(maxProofHashes*(2+c.rollups), maxGroupHashes)
	return eachBytes(raw, func(num protowire.Number, _ []byte) error {
		if num == fieldMerkleProofAunts {
			c.hashes++
		}
		return atMost("hashes of proofs", c.hashes, most)
	})
}

func (c *contentBounds) leg(raw []byte) error {
	c.legs++
	if err := atMost("legs", c.legs, maxBlockLegs); err != nil {
		return err
	}
	txs, siblings := 0, 0
	return eachBytes(raw, func(num protowire.Number, tx []byte) error {
		switch num {
		case fieldLegTransactions:
		case fieldLegBundle:
			return eachBytes(tx, func(num protowire.Number, sibling []byte) error {
				if num != fieldDocLegs {
					return nil
				}
				if siblings++; len(sibling) < minSiblingBytes {
					return fmt.Errorf("leg %d: summary %d of its bundle has %d bytes, at least %d: %w", c.legs-1, siblings-1, len(sibling), minSiblingBytes, ErrMalformed)
				}
				return atMost("legs of a bundle", siblings, order.MaxLegs)
			})
		default:
			return nil
		}
		c.transactions++
		if txs++; len(tx) == 0 {
			return fmt.Errorf("leg %d: transaction %d is empty: %w", c.legs-1, txs-1, ErrMalformed)
		}
		return errors.Join(atMost("transactions of a leg", txs, order.MaxLegTransactions), atMost("transactions", c.transactions, maxBlockTransactions))
	})
}

func (c *contentBounds) void(raw []byte) error {
	c.voids++
	if err := atMost("void batches", c.voids, maxVoidBatches); err != nil {
		return err
	}
	return c.parts.bound(raw)
}

// voidParts counts what the void batches of a block have together.
type voidParts struct{ holders, shares int }

func (p *voidParts) bound(raw []byte) error {
	var holders, shares int
	err := eachBytes(raw, func(num protowire.Number, b []byte) error {
		switch num {
		case fieldVoidBatchCore:
			return atMost("core of a void batch", len(b), maxBatchCoreBytes)
		case fieldVoidBatchHolders:
			holders++
			return atMost("holders of a void batch", holders, shard.MaxHolders)
		case fieldVoidBatchShares:
			shares++
			return atMost("shares of a void batch", shares, maxVoidShares)
		}
		return nil
	})
	p.holders, p.shares = p.holders+holders, p.shares+shares
	return errors.Join(err, atMost("holders of void batches", p.holders, maxVoidParts), atMost("shares of void batches", p.shares, maxVoidParts))
}

func atMost(what string, got, limit int) error {
	if got > limit {
		return fmt.Errorf("%s: %d, at most %d: %w", what, got, limit, ErrMalformed)
	}
	return nil
}

// eachBytes calls fn with each length-delimited field of an encoded message.
func eachBytes(raw []byte, fn func(num protowire.Number, b []byte) error) error {
	for len(raw) > 0 {
		num, typ, n := protowire.ConsumeTag(raw)
		if n < 0 {
			return fmt.Errorf("%w: %w", protowire.ParseError(n), ErrMalformed)
		}
		raw = raw[n:]
		if typ != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(num, typ, raw); n < 0 {
				return fmt.Errorf("%w: %w", protowire.ParseError(n), ErrMalformed)
			}
			raw = raw[n:]
			continue
		}
		b, n := protowire.ConsumeBytes(raw)
		if n < 0 {
			return fmt.Errorf("%w: %w", protowire.ParseError(n), ErrMalformed)
		}
		if err := fn(num, b); err != nil {
			return err
		}
		raw = raw[n:]
	}
	return nil
}

func bytesField(raw []byte, want protowire.Number) (found []byte) {
	_ = eachBytes(raw, func(num protowire.Number, b []byte) error {
		if num == want {
			found = b
		}
		return nil
	})
	return found
}
