package relayer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ordo-network/ordo/follower"
)

// trusted is the block that the settings name, nil where they name none.
func (c Config) trusted() (*follower.TrustedBlock, error) {
	switch {
	case c.TrustHeight == 0 && c.TrustHash == "":
		return nil, nil
	case c.TrustHeight == 0:
		return nil, errors.New("trust_hash is set and trust_height is 0: name both, or neither")
	}
	b, err := follower.ParseTrustedBlock(c.TrustHeight, c.TrustHash)
	if err != nil {
		return nil, fmt.Errorf("trust_hash is %q: want the hash of block %d of the sequencer chain: %w", c.TrustHash, c.TrustHeight, err)
	}
	return b, nil
}

// source reads the order from nodes that nobody trusts.
type source struct {
	cfg     follower.GroupConfig   // trusts genesis, and the block that was read last where there is one
	trusted *follower.TrustedBlock // nil where none is named
}

// Run is Source.Run. The trusted block stands in for genesis: a rollup that begins above it
// needs no other. What begins below must lead to it, as its hash covers all that was before,
// and validators are believed for as long as that takes.
func (s *source) Run(ctx context.Context, from uint64, handle func(context.Context, []*follower.Block) error) error {
	cfg := s.cfg
	switch t := s.trusted; {
	case t == nil:
	case from <= t.Height:
		var err error
		if cfg.Checkpoint, err = reach(ctx, t, cfg, from, handle); err != nil {
			return err
		}
		from = t.Height + 1
	case cfg.Checkpoint.IsZero():
		var err error
		if cfg.Trust, err = follower.TrustHeader(cfg.Trust.ChainID(), t.Height, t.Hash); err != nil {
			return err
		}
	}
	err := read(ctx, cfg, from, handle)
	if errors.Is(err, follower.ErrExpired) {
		return fmt.Errorf("%w: set trust_height and trust_hash in config.toml to those of a block of the last days, as somebody you trust has them", err)
	}
	return err
}

// reach reads up to the trusted block. A crash on the way changes nothing: what is read after
// it begins below the block, and must lead there too.
func reach(ctx context.Context, t *follower.TrustedBlock, cfg follower.GroupConfig, from uint64, handle func(context.Context, []*follower.Block) error) (last follower.Checkpoint, err error) {
	cfg.Options.TrustingPeriod = math.MaxInt64
	reached := errors.New("reached")
	err = read(ctx, cfg, from, func(ctx context.Context, blocks []*follower.Block) error {
		b := blocks[0] // of the same header as the others
		if b.Height < t.Height {
			return handle(ctx, blocks)
		}
		if b.Hash != t.Hash {
			return fmt.Errorf("block %d has hash %X, trust_hash is %X: %w; where that hash is right, former validators made up what was read: "+
				"remove the relayer's journal, and name other sequencers", b.Height, b.Hash, t.Hash, follower.ErrNotTrusted)
		}
		if err := handle(ctx, blocks); err != nil {
			return err
		}
		last = b.Checkpoint()
		return reached
	})
	if errors.Is(err, reached) {
		err = nil
	}
	return last, err
}

func read(ctx context.Context, cfg follower.GroupConfig, from uint64, handle func(context.Context, []*follower.Block) error) error {
	g, err := follower.NewGroup(cfg)
	if err != nil {
		return err
	}
	return g.Run(ctx, from, handle)
}
