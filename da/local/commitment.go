package local

import (
	"context"
	"fmt"

	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/go-square/v3/share"
	"github.com/cometbft/cometbft/crypto/merkle"

	"github.com/ordo-network/ordo/da"
)

// commitment is a Celestia share commitment.
type commitment = [32]byte

const (
	// subtreeRootThreshold is a constant of Celestia's protocol, beside which a share
	// commitment would be another one.
	subtreeRootThreshold = 64
	// maxCommitBytes bounds the data whose commitments are made at a time, over all
	// submissions, but where one blob has more: they take as much memory again, and
	// several at once are made no sooner on few cores.
	maxCommitBytes = 4 << 20
)

// commit fills in the commitments of the entries. Errors: da.ErrRejected, da.ErrUnavailable.
func (l *Layer) commit(ctx context.Context, entries []entry) error {
	for len(entries) > 0 {
		n, total := 0, 0
		for n < len(entries) && (n == 0 || total+len(entries[n].data) <= maxCommitBytes) {
			total += len(entries[n].data)
			n++
		}
		cost := int64(min(total, maxCommitBytes))
		if err := l.hashing.Acquire(ctx, cost); err != nil {
			return fmt.Errorf("wait for commitments: %w: %w", err, da.ErrUnavailable)
		}
		err := commit(entries[:n])
		l.hashing.Release(cost)
		if err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func commit(entries []entry) error {
	blobs := make([]*share.Blob, len(entries))
	for i, e := range entries {
		ns, err := share.NewNamespaceFromBytes(e.ns[:])
		if err != nil {
			return fmt.Errorf("blob %d: %w: %w", i, err, da.ErrRejected)
		}
		if blobs[i], err = share.NewV0Blob(ns, e.data); err != nil {
			return fmt.Errorf("blob %d: %w: %w", i, err, da.ErrRejected)
		}
	}
	commitments, err := inclusion.CreateParallelCommitments(blobs, merkle.HashFromByteSlices, subtreeRootThreshold, 1)
	if err != nil {
		return fmt.Errorf("make share commitments: %w: %w", err, da.ErrRejected)
	}
	for i := range entries {
		copy(entries[i].commitment[:], commitments[i])
	}
	return nil
}
