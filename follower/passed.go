package follower

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ordo-network/ordo/order"
)

// Taken is what was made of a block of the order.
type Taken struct {
	Hash [32]byte        // of the CometBFT header
	Void []order.BatchID // batches whose legs were held against them, for they were shown to be void
}

// VoidError says that legs which were taken with their data are void: who has seen the
// proof does not execute them.
type VoidError struct {
	Height  uint64
	Batches []order.BatchID
}

func (e *VoidError) Error() string {
	return fmt.Sprintf("block %d: a leg of batch %s was taken with data, and is proven to be void", e.Height, e.Batches[0])
}

// Unknown returns the batches that the block shows to be void and that are not known
// as that, as an error.
func (b *Block) Unknown(known []order.BatchID) error {
	e := &VoidError{Height: b.Height}
	for _, id := range b.Void {
		if !slices.Contains(known, id) {
			e.Batches = append(e.Batches, id)
		}
	}
	if len(e.Batches) == 0 {
		return nil
	}
	return e
}

// passed looks at a block below the next one for a proof that a leg is void which was
// taken with its data. It is anyone's block: what does not verify says nothing. What
// costs more than a look at its fields is done for proofs of legs that are not known to
// be void alone. Errors: VoidError.
func (r *FirmReader) passed(p *packedRun, height uint64, raw []byte) error {
	var named []order.BatchID
	_ = eachBytes(raw, func(num protowire.Number, b []byte) error {
		if num == fieldBlockVoidBatches {
			if core, err := openCore(bytesField(b, fieldVoidBatchCore)); err == nil {
				named = append(named, core.ID())
			}
		}
		return nil
	})
	if len(named) == 0 {
		return nil
	}
	taken, ok, err := r.cfg.Taken(height)
	if err != nil || !ok || !slices.ContainsFunc(named, func(id order.BatchID) bool { return !slices.Contains(taken.Void, id) }) {
		return err
	}
	if p.chain == nil {
		if p.chain, err = chainHeaders(p, r.cfg.Trust.chainID); err != nil {
			p.chain = new(run)
		}
	}
	// The block that was taken had been verified: its hash is all that must be known of
	// the header.
	if at := height - p.first; at >= uint64(len(p.chain.hashes)) || p.chain.hashes[at] != taken.Hash {
		return nil
	}
	rb, err := DecodeBlock(raw)
	if err != nil {
		return nil //nolint:nilerr // not a block
	}
	b, err := openAt(r.cfg.Rollup, p.chain, height, rb)
	if err != nil {
		return nil //nolint:nilerr // not the block
	}
	return b.Unknown(taken.Void)
}
