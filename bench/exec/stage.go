package exec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

const (
	// tick is the time between two bundles to a validator: with four of them 40 a second in all, where
	// a gateway makes up to 50 for a rollup.
	tick = 100 * time.Millisecond
	// settleLimit is how long what was handed in may take to be ordered or executed when
	// nothing moves.
	settleLimit = 2 * time.Minute
)

// stage is a running network.
type stage struct {
	o       Options
	network *testnet.Network
	trust   follower.Trust
}

func newStage(ctx context.Context, o Options) (_ *stage, err error) {
	s := &stage{o: o}
	s.network, err = testnet.Start(ctx, testnet.Options{
		Binary: o.Binary, Dir: o.Dir, Keep: o.Keep, Validators: o.Validators, BlockTime: o.BlockTime,
	})
	if err != nil {
		return nil, fmt.Errorf("start %d validators: %w", o.Validators, err)
	}
	if s.trust, err = follower.TrustGenesisFile(s.network.Genesis); err != nil {
		return nil, errors.Join(err, s.network.End())
	}
	return s, nil
}

func (s *stage) close() error { return s.network.End() }

// height asks the network for its height.
func (s *stage) height(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := s.network.Client(0).GetInfo(ctx, connect.NewRequest(new(sequencerv1.GetInfoRequest)))
	if err != nil {
		return 0, fmt.Errorf("ask for the height: %w", err)
	}
	s.network.Saw(info.Msg.GetLatestHeight())
	return info.Msg.GetLatestHeight(), nil
}

// send hands the transactions to the validators at a rate, and returns when they have all
// of them. A sender's go to one validator, as what goes to one stays in order.
func (s *stage) send(ctx context.Context, w *workload, txs [][]byte, perSecond float64) error {
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for validator := range s.network.Validators {
		group.Go(func() error {
			for i := 0; i < len(txs); {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(tick):
				}
				due := min(int(time.Since(begin).Seconds()*perSecond)+1, len(txs))
				for i < due {
					var bundle [][]byte
					for size := 0; i < due && size < bundleBytes; i++ {
						if i%senders%s.network.Validators == validator {
							bundle = append(bundle, txs[i])
							size += len(txs[i])
						}
					}
					if err := s.hand(ctx, validator, w.id, bundle); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// bundleBytes is about what one bundle holds of transactions at most.
const bundleBytes = 200 << 10

// hand hands in a bundle, and waits while the validator has no room.
func (s *stage) hand(ctx context.Context, validator int, rollup order.RollupID, txs [][]byte) error {
	if len(txs) == 0 {
		return nil
	}
	_, raw, err := s.network.Sign(validator, []order.Leg{{RollupID: rollup, Transactions: txs}})
	if err != nil {
		return err
	}
	for {
		err := s.network.Submit(ctx, validator, raw)
		if !errors.Is(err, testnet.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ordered reads back, verified, all blocks from the height on until so many transactions of the
// rollup were ordered.
func (s *stage) ordered(ctx context.Context, w *workload, from uint64, transactions int) (blocks []execution.Block, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	f, err := follower.New(follower.Config{
		Rollup: w.id, Endpoints: []string{s.network.ReadFrom()}, Trust: s.trust, Logger: s.o.Logger, HTTPClient: testnet.HTTPClient(nil),
	})
	if err != nil {
		return nil, err
	}
	enough, seen := errors.New("all are ordered"), 0
	err = f.Run(ctx, from, func(_ context.Context, b *follower.Block) error {
		s.network.Saw(b.Height)
		txs := b.Transactions()
		blocks = append(blocks, execution.Block{Height: b.Height, Hash: b.Hash, Time: b.Time, Transactions: txs})
		if seen += len(txs); seen >= transactions {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		return nil, fmt.Errorf("%d of %d transactions of %s were ordered: %w", seen, transactions, w.name, err)
	}
	return blocks, nil
}
