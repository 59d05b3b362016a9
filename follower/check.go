package follower

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Errors of CheckBlob.
var (
	// ErrFalseClaim says that a blob is not what was claimed of it, whoever looks.
	ErrFalseClaim = errors.New("blob is not what was claimed")
	// ErrUnknownBlock says that the node does not know a block that the claim is about.
	ErrUnknownBlock = errors.New("block is not known here")
)

// Chain is what a node of the sequencer chain knows without proof.
type Chain interface {
	ChainID() string
	// Hash returns the hash of the block at the height; false where it is not known here.
	Hash(height uint64) ([32]byte, bool)
}

// CheckBlob checks, against the node's own chain, that a blob gives its readers the
// rollup's blocks of exactly the heights from..to: the parts as they stand on the DA layer,
// in any order, or the whole blob alone. It reads the blob as readers do who know no more than
// the hash of its first block, with its signatures, which are checked once for all blobs
// that end with the same commit, and holds every header against the chain. The answer is the same
// for every node that knows the blocks, at any time. ErrFalseClaim says that the blob does not;
// every other error, such as ErrUnknownBlock, that this cannot be said.
func CheckBlob(parts [][]byte, rollup order.RollupID, from, to uint64, chain Chain) error {
	blob, err := JoinBlob(parts)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrFalseClaim)
	}
	h, err := parseBlobHeader(blob, DefaultBlobLimits)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrFalseClaim)
	}
	if h.first != from || h.last() != to {
		return fmt.Errorf("blob of blocks %d to %d, claimed are %d to %d: %w", h.first, h.last(), from, to, ErrFalseClaim)
	}
	hashes := make([][32]byte, h.count)
	for i := range hashes {
		var ok bool
		if hashes[i], ok = chain.Hash(from + uint64(i)); !ok {
			return fmt.Errorf("check blob: block %d: %w", from+uint64(i), ErrUnknownBlock)
		}
	}
	trust, err := TrustHeader(chain.ChainID(), from, hashes[0])
	if err != nil {
		return fmt.Errorf("check blob: %w", err)
	}
	dec, err := newBlobDecoder(DefaultBlobLimits)
	if err != nil {
		return err
	}
	defer dec.close()
	if err := dec.open(blob, h); err != nil {
		return fmt.Errorf("%w: %w", err, ErrFalseClaim)
	}
	// The chain is the node's own, however long ago it was: no clock has a say.
	v := NewVerifier(rollup, trust, Options{TrustingPeriod: math.MaxInt64})
	clock := func() time.Time { return time.Unix(0, 0) }
	err = v.walk(dec, clock, walk{
		next: func(r *run, rb *orderv1.RollupBlock) (*Block, error) {
			return v.nextOf(r, rb, r.headers[len(r.headers)-1].Time)
		},
		take: func(b *Block) error {
			if want := hashes[b.Height-from]; b.Hash != want {
				return fmt.Errorf("block %d has hash %X, the chain has %X: %w", b.Height, b.Hash, want, ErrHeader)
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrFalseClaim)
	}
	return nil
}
