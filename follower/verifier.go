package follower

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Options of a Verifier; zero values stand for the defaults.
type Options struct {
	// TrustingPeriod is how long the validators of a block are believed after it. It
	// must be shorter than the chain's unbonding time.
	TrustingPeriod time.Duration
	// ClockDrift is how far ahead of the local clock a block's time may lie.
	ClockDrift time.Duration
}

// Verifier checks the blocks of one rollup, one after the other, by the rules of
// CometBFT's light client and the commitment of the order. It is a pure state
// machine and not safe for concurrent use. A block that is refused leaves it as
// it was.
type Verifier struct {
	rollup order.RollupID
	headers
}

// NewVerifier returns a verifier whose next block is the first above the trust;
// where a height and a hash are trusted, it is that block.
func NewVerifier(rollup order.RollupID, trust Trust, opts Options) *Verifier {
	return &Verifier{rollup: rollup, headers: newHeaders(trust, opts)}
}

// Next verifies the block at Height and moves on. It keeps parts of rb, which must
// not change afterwards. Errors: the reasons of errors.go.
func (v *Verifier) Next(rb *orderv1.RollupBlock, now time.Time) (*Block, error) {
	if err := v.own(rb); err != nil {
		return nil, err
	}
	lb, err := v.decode(rb, v.next)
	if err != nil {
		return nil, err
	}
	if err := v.extend(lb, now); err != nil {
		return nil, err
	}
	block, err := openBlock(v.rollup, rb, lb)
	if err != nil {
		return nil, fmt.Errorf("block %d: %w", v.next, err)
	}
	v.accept(lb.checkpoint())
	return block, nil
}

// Fetch returns the block at a height, of any rollup, with its validator set.
type Fetch func(ctx context.Context, height uint64) (*orderv1.RollupBlock, error)

// Skip moves the trust up to the header at height, so that Next wants the one
// after it. Where too few validators are left of those that are trusted, it
// fetches headers between, by halves. Only headers are verified.
func (v *Verifier) Skip(ctx context.Context, height uint64, now func() time.Time, fetch Fetch) error {
	return v.skip(ctx, height, now, func(ctx context.Context, height uint64) (*orderv1.RollupBlock, error) {
		rb, err := fetch(ctx, height)
		if err != nil {
			return nil, err
		}
		return rb, v.own(rb)
	})
}

func (v *Verifier) own(rb *orderv1.RollupBlock) error {
	if got := rb.GetRollupId(); !bytes.Equal(got, v.rollup[:]) {
		return fmt.Errorf("got a block of rollup %x, want %s: %w", got[:min(len(got), len(v.rollup))], v.rollup, ErrRollup)
	}
	return nil
}
