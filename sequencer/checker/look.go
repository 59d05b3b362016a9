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

// look fetches what is claimed and verifies it. Errors: errFalse; others say nothing.
func (c *Checker) look(ctx context.Context, claim Claim) error {
	if claim.To > math.MaxInt64 {
		return fmt.Errorf("blocks %d to %d: %w", claim.From, claim.To, errFalse)
	}
	if len(claim.Parts) > 1 {
		select {
		case c.large <- struct{}{}:
			defer func() { <-c.large }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	parts := make([][]byte, len(claim.Parts))
	var first follower.Range
	size := 0
	for i, p := range claim.Parts {
		var err error
		if parts[i], err = c.fetch(ctx, claim, p); err != nil {
			return fmt.Errorf("part %d of %d: %w", i, len(claim.Parts), err)
		}
		// Who claims what is not so is found out by the first part, whatever else it names.
		r, err := follower.BlobRange(parts[i])
		switch {
		case err != nil:
			return fmt.Errorf("part %d of %d: %w: %w", i, len(claim.Parts), err, errFalse)
		case i == 0:
			first = r
		}
		if r.From != claim.From || r.To != claim.To || r.Parts != len(claim.Parts) || r.Set != first.Set {
			return fmt.Errorf("part %d of %d is part %d of %d of blocks %d to %d: %w", i, len(claim.Parts), r.Part, r.Parts, r.From, r.To, errFalse)
		}
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
func (c *Checker) fetch(ctx context.Context, claim Claim, p da.Part) ([]byte, error) {
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	data, err := c.opts.Layers[claim.Layer].Get(within, claim.Rollup, p.Ref)
	c.pace.spent(len(data))
	c.metrics.bytes.Add(float64(len(data)))
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
