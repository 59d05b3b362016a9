package checker

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// errFalse says that what was claimed is not there, or is something else.
var errFalse = errors.New("claim is false")

// errLarge says that a claim's data is more than this node takes into memory.
var errLarge = errors.New("more data than any blob has")

// maxData is more than the parts of any blob have together: its encoding, and for each
// part a header with its path.
const maxData = follower.MaxBlockBytes + 4<<20

// What a fetch counts for that brought nothing. What the layer's node was made to read is
// not known: often all that is under the namespace at that height. That a height has not
// come yet it knows without reading.
const (
	vainBytes  = 2 << 20
	earlyBytes = 64 << 10
)

// look fetches what is claimed and verifies it. Errors: errFalse; others say nothing.
func (c *Checker) look(ctx context.Context, l *lane, claim Claim) error {
	if claim.To > math.MaxInt64 {
		return fmt.Errorf("blocks %d to %d: %w", claim.From, claim.To, errFalse)
	}
	for _, height := range []uint64{claim.From, claim.To} {
		if _, known := c.opts.Chain.Hash(height); !known {
			return fmt.Errorf("block %d: %w", height, follower.ErrUnknownBlock)
		}
	}
	parts := make([][]byte, len(claim.Parts))
	there := make([]bool, len(claim.Parts)) // by the place in the blob
	var first follower.Range
	size := 0
	for i, p := range claim.Parts {
		var err error
		if parts[i], err = c.fetch(ctx, l, claim, p); err != nil {
			return fmt.Errorf("part %d of %d: %w", i, len(claim.Parts), err)
		}
		// Who claims what is not so is found out by the first part that is wrong, whatever
		// else is named.
		r, err := follower.VerifyPart(parts[i])
		switch {
		case err != nil:
			return fmt.Errorf("part %d of %d: %w: %w", i, len(claim.Parts), err, errFalse)
		case i == 0:
			first = r
		}
		if r.From != claim.From || r.To != claim.To || r.Parts != len(claim.Parts) || r.Set != first.Set || there[r.Part] {
			return fmt.Errorf("part %d of %d is part %d of %d of blocks %d to %d: %w", i, len(claim.Parts), r.Part, r.Parts, r.From, r.To, errFalse)
		}
		there[r.Part] = true
		if size += len(parts[i]); size > maxData {
			return errLarge
		}
	}
	err := c.check(parts, order.RollupID(claim.Rollup), claim.From, claim.To, c.opts.Chain)
	if errors.Is(err, follower.ErrFalseClaim) {
		return fmt.Errorf("%w: %w", err, errFalse)
	}
	return err
}

// fetch returns what stands where the part is claimed to be. Errors: errFalse, others.
func (c *Checker) fetch(ctx context.Context, l *lane, claim Claim, p da.Part) ([]byte, error) {
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	data, err := l.layer.Get(within, claim.Rollup, p.Ref)
	c.answered(l, err == nil || within.Err() == nil)
	c.metrics.bytes.Add(float64(len(data)))
	c.pace.spent(cost(data, err))
	switch {
	case errors.Is(err, da.ErrNotFound):
		return nil, fmt.Errorf("height %d of layer %s: %w: %w", p.Height, claim.Layer, err, errFalse)
	case err != nil:
		return nil, err
	case da.ID(data) != p.ID:
		return nil, fmt.Errorf("height %d of layer %s holds blob %x, not %x: %w", p.Height, claim.Layer, da.ID(data), p.ID, errFalse)
	}
	return data, nil
}

// cost is what a fetch counts for, in bytes.
func cost(data []byte, err error) int {
	switch {
	case err == nil:
		return len(data)
	case errors.Is(err, da.ErrNotYet):
		return earlyBytes
	}
	return vainBytes
}
