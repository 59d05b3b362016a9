package da

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// stage is a running network with a layer beside it.
type stage struct {
	o         Options
	network   *testnet.Network
	layer     *runningLayer
	workloads []*workload
	trust     follower.Trust
	from      uint64 // first height of the layer that may hold something of ours
}

// newStage starts everything but the relayer.
func newStage(ctx context.Context, o Options) (_ *stage, err error) {
	s := &stage{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for i := range o.Rollups {
		w, err := newWorkload(i, []string{kindTransfer, kindToken}[i%2])
		if err != nil {
			return nil, fmt.Errorf("make rollup %d: %w", i, err)
		}
		s.workloads = append(s.workloads, w)
	}
	s.network, err = testnet.Start(ctx, testnet.Options{
		Binary: o.Binary, Dir: o.Dir, Keep: o.Keep, Validators: o.Validators, BlockTime: o.BlockTime,
	})
	if err != nil {
		return nil, fmt.Errorf("start %d validators: %w", o.Validators, err)
	}
	if s.trust, err = follower.TrustGenesisFile(s.network.Genesis); err != nil {
		return nil, err
	}
	if s.layer, err = startLayer(ctx, o, filepath.Join(s.network.Dir, "da")); err != nil {
		return nil, err
	}
	head, err := s.layerHead(ctx)
	if err != nil {
		return nil, err
	}
	s.from = head + 1
	o.say("%d validators and the %s layer run", o.Validators, o.Layer)
	return s, nil
}

func (s *stage) close() (err error) {
	if s.layer != nil {
		err = s.layer.close()
	}
	if s.network != nil {
		err = errors.Join(err, s.network.End())
	}
	return err
}

// bundleBytes is about what one bundle holds of transactions.
const bundleBytes = 200 << 10

// ordered is what a rollup got ordered.
type ordered struct {
	transactions, bytes int
	last                uint64 // height of the last block that holds some
}

// fill gets about that many bytes of transactions ordered for each rollup, as fast as
// validators take them, and returns when all of them are in blocks.
func (s *stage) fill(ctx context.Context, each int) ([]ordered, error) {
	out := make([]ordered, len(s.workloads))
	group, ctx := errgroup.WithContext(ctx)
	for i, w := range s.workloads {
		follow := s.count(w.id, s.network.Height()+1)
		group.Go(func() error {
			sent, bytes := 0, 0
			for bytes < each {
				txs, err := w.next(min(bundleBytes, each-bytes))
				if err != nil {
					return err
				}
				if err := s.send(ctx, i, w, txs); err != nil {
					return err
				}
				sent += len(txs)
				bytes += sizeOf(txs)
			}
			var err error
			if out[i], err = follow(ctx, sent); err != nil {
				return fmt.Errorf("read the order of %s: %w", w.name, err)
			}
			return nil
		})
	}
	return out, group.Wait()
}

// send hands transactions of the i-th rollup to its validator: to the same one always,
// as what goes to one stays in order.
func (s *stage) send(ctx context.Context, i int, w *workload, txs [][]byte) error {
	validator := i % s.network.Validators
	_, raw, err := s.network.Sign(validator, []order.Leg{{RollupID: w.id, Transactions: txs}})
	if err != nil {
		return err
	}
	return s.hand(ctx, validator, raw)
}

// hand hands in a bundle, and waits while the validator has no room.
func (s *stage) hand(ctx context.Context, validator int, raw []byte) error {
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

// settleLimit is how long what was handed in may take to be ordered, or posted and
// read, when nothing moves.
const settleLimit = 2 * time.Minute

// count returns what follows a rollup from a height on until that many transactions
// of it were ordered.
func (s *stage) count(rollup order.RollupID, from uint64) func(ctx context.Context, transactions int) (ordered, error) {
	return func(ctx context.Context, transactions int) (out ordered, err error) {
		ctx, cancel := context.WithTimeout(ctx, settleLimit)
		defer cancel()
		f, err := s.follower(rollup)
		if err != nil {
			return out, err
		}
		enough := errors.New("all are ordered")
		err = f.Run(ctx, from, func(_ context.Context, b *follower.Block) error {
			s.network.Saw(b.Height)
			if txs := b.Transactions(); len(txs) > 0 {
				out.transactions += len(txs)
				out.bytes += sizeOf(txs)
				out.last = b.Height
			}
			if out.transactions >= transactions {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			return out, fmt.Errorf("%d of %d transactions were ordered: %w", out.transactions, transactions, err)
		}
		return out, nil
	}
}

// follower follows a rollup at the network, trusting the genesis alone.
func (s *stage) follower(rollup order.RollupID) (*follower.Follower, error) {
	return follower.New(follower.Config{
		Rollup: rollup, Endpoints: []string{s.network.ReadFrom()}, Trust: s.trust, Logger: s.o.Logger, HTTPClient: testnet.HTTPClient(nil),
	})
}

func sizeOf(txs [][]byte) (n int) {
	for _, tx := range txs {
		n += len(tx)
	}
	return n
}

// clock notes times by height, once each.
type clock struct {
	mu sync.Mutex
	at map[uint64]time.Time
}

func newClock() *clock { return &clock{at: make(map[uint64]time.Time)} }

func (c *clock) note(height uint64) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.at[height]; !ok {
		c.at[height] = now
	}
}

func (c *clock) get(height uint64) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.at[height]
	return t, ok
}
