package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Config of a Follower. Rollup, Endpoints and Trust are needed; the rest may be zero.
type Config struct {
	Rollup    order.RollupID
	Endpoints []string // base URLs of SequencerService, the preferred first
	Trust     Trust
	// Checkpoint is a block that was verified before, of the same chain. It is used
	// where it lies below what is asked for, and saves the way from Trust.
	Checkpoint Checkpoint
	Options    Options
	// Ahead, where set, is told of each block when it is verified, while those before it may
	// be with the handler still. It must return at once.
	Ahead func(*Block)

	HTTPClient connect.HTTPClient
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	Random     func() float64 // in [0, 1)

	// StallAfter is how long a stream may be silent before other endpoints are asked
	// whether they are ahead. The chain makes a block each second at least.
	StallAfter time.Duration
	// AvoidLiar is how long an endpoint whose block did not verify is left alone.
	AvoidLiar time.Duration
}

// Defaults of Config.
const (
	DefaultStallAfter = 3 * time.Second
	DefaultAvoidLiar  = 10 * time.Minute
)

// Follower reads the soft order of one rollup from sequencer nodes.
type Follower struct{ reader }

// New checks the config and returns a Follower. It opens no connection.
func New(cfg Config) (*Follower, error) {
	f := new(Follower)
	if err := f.init("follower", cfg); err != nil {
		return nil, err
	}
	return f, nil
}

// Run reads from the height on and hands each block to handle, in order, without
// gap or repeat, one at a time. It verifies a few blocks ahead of the handler. It
// returns when ctx is done (its error), when handle fails (the handler's error),
// or when no endpoint could help: ErrExpired, or ErrHeight for a height below
// what is trusted.
func (f *Follower) Run(ctx context.Context, from uint64, handle func(context.Context, *Block) error) error {
	v, err := f.verifier(from)
	if err != nil {
		return err
	}
	return consume(ctx, handle, func(ctx context.Context, queue *queue[*Block]) error {
		return f.read(ctx, func(e *endpoint) error {
			s := &stream[sequencerv1.SubscribeRollupResponse]{reader: &f.reader, endpoint: e, headers: &v.headers}
			s.subscribe = func(ctx context.Context, from uint64) (subscription[sequencerv1.SubscribeRollupResponse], error) {
				return e.blocks(ctx, f.cfg.Rollup, from)
			}
			s.accept = func(ctx context.Context, msg *sequencerv1.SubscribeRollupResponse) (alive bool, err error) {
				if msg.GetBlock() == nil {
					return s.waits(msg.GetLatestHeight()), nil
				}
				b, err := v.Next(msg.GetBlock(), f.cfg.Now())
				if err != nil {
					return false, lieUnlessOurs(err)
				}
				s.verified(b.Checkpoint(), msg.GetLatestHeight())
				if f.cfg.Ahead != nil {
					f.cfg.Ahead(b)
				}
				return true, queue.put(ctx, b, b.weight())
			}
			return s.run(ctx, from)
		})
	})
}

// verifier returns one that starts from the highest trusted block below the height.
func (f *Follower) verifier(height uint64) (*Verifier, error) {
	h, err := f.headersBelow(height)
	return &Verifier{rollup: f.cfg.Rollup, headers: h}, err
}

// Fetch returns the verified block at a height, which must not lie below what is
// trusted. It tries each endpoint once, those in bad standing last. Safe to call
// beside Run.
func (f *Follower) Fetch(ctx context.Context, height uint64) (*Block, error) {
	var errs []error
	ready, waiting := f.endpoints.split(f.cfg.Now())
	for _, e := range append(ready, waiting...) {
		v, err := f.verifier(height)
		if err != nil {
			return nil, err
		}
		b, err := f.fetch(ctx, e, v, height)
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrExpired) {
			return nil, err
		}
		if errors.Is(err, errLie) {
			f.giveUp(e, err)
		}
		errs = append(errs, fmt.Errorf("%s: %w", e.url, err))
	}
	return nil, fmt.Errorf("fetch block %d: %w", height, errors.Join(errs...))
}

func (f *Follower) fetch(ctx context.Context, e *endpoint, v *Verifier, height uint64) (*Block, error) {
	if err := f.skip(ctx, e, &v.headers, height); err != nil {
		return nil, err
	}
	rb, err := e.block(ctx, f.cfg.Rollup, height)
	if err != nil {
		return nil, err
	}
	b, err := v.Next(rb, f.cfg.Now())
	return b, lieUnlessOurs(err)
}
