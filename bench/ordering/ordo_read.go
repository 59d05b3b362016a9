package ordering

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// quietRollup has no data: who follows it learns of blocks when they are committed.
var quietRollup = order.NewRollupID("bench-quiet")

// follow follows the rollups that have payloads, and one without data that gives the times of
// the blocks; and it listens at each validator for certificates of the samples, but
// where a node of its own serves the order.
func (s *ordo) follow(ctx context.Context, l *ledger, ready func()) error {
	from := s.Height() + 1
	group, ctx := errgroup.WithContext(ctx)
	var stands sync.WaitGroup
	// follow runs a reader that calls its argument after each block.
	follow := func(run func(context.Context, func()) error) {
		stands.Add(1)
		first := sync.OnceFunc(stands.Done)
		group.Go(func() error { return run(ctx, first) })
	}
	single := func(rollup order.RollupID, handle func(*follower.Block)) error {
		f, err := s.follower(rollup, follower.Config{})
		if err != nil {
			return err
		}
		follow(func(ctx context.Context, read func()) error {
			return f.Run(ctx, from, func(_ context.Context, b *follower.Block) error {
				handle(b)
				read()
				return nil
			})
		})
		return nil
	}
	err := single(rollupOf(bulk, 0), func(b *follower.Block) { enterBlock(l, b) })
	if err != nil {
		return err
	}
	err = single(quietRollup, func(b *follower.Block) {
		s.Saw(b.Height)
		l.head(b.Height)
	})
	if err != nil {
		return err
	}
	samples, err := s.samples()
	if err != nil {
		return err
	}
	follow(func(ctx context.Context, read func()) error {
		return samples.Run(ctx, from, func(_ context.Context, blocks []*follower.Block) error {
			for _, b := range blocks {
				enterBlock(l, b)
			}
			read()
			return nil
		})
	})
	// Where a node of its own serves the order, nothing is asked of validators: what they
	// would fetch to answer would count with what they hand each other.
	listened := s.Validators
	if len(s.URLs) > s.Validators {
		listened = 0
	}
	for v := range listened {
		stands.Add(1)
		first := sync.OnceFunc(stands.Done)
		group.Go(func() error {
			defer first()
			return s.certified(ctx, v, l, first)
		})
	}
	group.Go(func() error {
		all := make(chan struct{})
		go func() { stands.Wait(); close(all) }()
		select {
		case <-all:
			ready()
		case <-ctx.Done():
		}
		return nil
	})
	return group.Wait()
}

// samples follows the rollups of all validators' samples, over one stream.
func (s *ordo) samples() (*follower.Group, error) {
	trust, err := follower.TrustGenesisFile(s.Genesis)
	if err != nil {
		return nil, err
	}
	rollups := make([]order.RollupID, s.Validators)
	for v := range rollups {
		rollups[v] = rollupOf(sample, v)
	}
	return follower.NewGroup(follower.GroupConfig{
		Rollups: rollups, Endpoints: []string{s.ReadFrom()}, Trust: trust, Logger: s.o.Logger, HTTPClient: testnet.HTTPClient(nil),
	})
}

// follower follows a rollup at the node to read from, trusting the genesis alone.
func (s *ordo) follower(rollup order.RollupID, cfg follower.Config) (*follower.Follower, error) {
	trust, err := follower.TrustGenesisFile(s.Genesis)
	if err != nil {
		return nil, err
	}
	cfg.Rollup, cfg.Endpoints, cfg.Trust, cfg.Logger = rollup, []string{s.ReadFrom()}, trust, s.o.Logger
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = testnet.HTTPClient(nil)
	}
	return follower.New(cfg)
}

func enterBlock(l *ledger, b *follower.Block) {
	for _, leg := range b.Legs {
		size := 0
		for _, tx := range leg.Transactions {
			size += len(tx)
		}
		l.order(key(leg.BundleID), size, b.Height)
	}
}

// maxCertifiedBytes bounds what one certified batch holds of the samples.
const maxCertifiedBytes = 32 << 20

// certified listens at a validator for the samples' certificates.
func (s *ordo) certified(ctx context.Context, validator int, l *ledger, stands func()) error {
	client := sequencerv1connect.NewSequencerServiceClient(testnet.HTTPClient(nil), s.URLs[validator], connect.WithReadMaxBytes(maxCertifiedBytes))
	rollup := rollupOf(sample, validator)
	stream, err := client.SubscribeCertified(ctx, connect.NewRequest(&sequencerv1.SubscribeCertifiedRequest{RollupId: rollup[:]}))
	if err != nil {
		return fmt.Errorf("subscribe to certificates of validator %d: %w", validator, err)
	}
	defer func() { _ = stream.Close() }() // nothing is left to be read from it
	for stream.Receive() {
		stands()
		for _, b := range stream.Msg().GetBundles() {
			if id, err := order.BundleIDFromBytes(b.GetBundleId()); err == nil {
				l.certify(validator, key(id))
			}
		}
	}
	err = stream.Err()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		err = errors.New("the stream ended")
	}
	return fmt.Errorf("certificates of validator %d: %w", validator, err)
}
