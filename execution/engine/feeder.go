package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/execution"
)

// chain are the blocks that Ordo has on its own disk.
type chain interface {
	hash(number uint64) (execution.Hash, error)
	block(number uint64) (*block, error)
}

// block is one as it is handed over.
type block struct {
	hash       execution.Hash
	time       uint64
	payload    any // an ExecutionPayload
	beaconRoot common.Hash
	requests   []hexutil.Bytes // nil before Prague
}

// feeder gives a client the blocks that Ordo has. A client that is killed loses the
// blocks whose state it had not written, maybe all: whatever it has, it is fed from there.
type feeder struct {
	api   *API
	chain chain
	log   *slog.Logger
}

const (
	// forkchoiceEvery is how often a client that is fed many blocks is told its new
	// head: it holds the states of those in between in memory.
	forkchoiceEvery = 32
	progressEvery   = 5 * time.Second
)

// deliver hands the soft head over and makes it the client's; it waits for a client that
// does not answer, and gives it what it lacks. soft and firm are the heads that the
// client has then.
func (f *feeder) deliver(ctx context.Context, soft, firm execution.Head) error {
	return f.api.until(ctx, func() error {
		known, err := f.hand(ctx, soft.Number)
		switch {
		case err != nil:
			return err
		case known != valid:
			return f.catchUp(ctx, soft, firm)
		}
		return f.tryAdopt(ctx, soft, firm)
	})
}

// adopt is deliver for a soft head that the client has already.
func (f *feeder) adopt(ctx context.Context, soft, firm execution.Head) error {
	return f.api.until(ctx, func() error { return f.tryAdopt(ctx, soft, firm) })
}

func (f *feeder) tryAdopt(ctx context.Context, soft, firm execution.Head) error {
	known, err := f.api.forkchoice(ctx, soft.Hash, firm.Hash)
	if err != nil || known == valid {
		return err
	}
	return f.catchUp(ctx, soft, firm)
}

// hand hands one block over.
func (f *feeder) hand(ctx context.Context, number uint64) (verdict, error) {
	if number == 0 {
		return valid, nil
	}
	b, err := f.chain.block(number)
	if err != nil {
		return 0, err
	}
	return f.api.newPayload(ctx, b.hash, b.payload, b.beaconRoot, b.requests)
}

// join waits for a client of which nothing is known and gives it what it lacks.
func (f *feeder) join(ctx context.Context, soft, firm execution.Head) error {
	return f.api.until(ctx, func() error { return f.catchUp(ctx, soft, firm) })
}

// catchUp finds the client's head and hands over all blocks from there to soft.
func (f *feeder) catchUp(ctx context.Context, soft, firm execution.Head) error {
	last, err := f.common(ctx, soft)
	if err != nil {
		return err
	}
	if last < soft.Number {
		f.log.Info("execution client lacks blocks, handing them over", "from", last+1, "to", soft.Number)
	}
	before, err := f.before(last)
	if err != nil {
		return err
	}
	// A client that has just started takes no other head before it was told its own.
	if err := f.choose(ctx, before.hash, execution.Hash{}); err != nil {
		return err
	}
	told := f.api.config.Now()
	for n := last + 1; n <= soft.Number; n++ {
		b, err := f.chain.block(n)
		if err != nil {
			return err
		}
		if b.time <= before.time {
			return fmt.Errorf("hand block %d to the execution client: it is of the same second as the one before it, which clients refuse: "+
				"the chain was begun without block_time; begin it anew with one", n)
		}
		if err := f.again(ctx, b, before); err != nil {
			return fmt.Errorf("hand over block %d: %w", n, err)
		}
		before = b
		if n%forkchoiceEvery == 0 && n < soft.Number {
			if err := f.choose(ctx, b.hash, execution.Hash{}); err != nil {
				return err
			}
		}
		f.api.metrics.caughtUp.Inc()
		if now := f.api.config.Now(); now.Sub(told) >= progressEvery {
			told = now
			f.log.Info("execution client catches up", "block", n, "of", soft.Number)
		}
	}
	return f.choose(ctx, soft.Hash, firm.Hash)
}

// again hands over a block that the client may have had before it fell back. It then
// calls its parent valid, for it has it on disk, and yet lacks the parent's state: told
// that the parent is its head, it finds the state again.
func (f *feeder) again(ctx context.Context, b, before *block) error {
	known, err := f.api.newPayload(ctx, b.hash, b.payload, b.beaconRoot, b.requests)
	if err != nil || known == valid {
		return err
	}
	if err := f.choose(ctx, before.hash, execution.Hash{}); err != nil {
		return err
	}
	known, err = f.api.newPayload(ctx, b.hash, b.payload, b.beaconRoot, b.requests)
	if err == nil && known != valid {
		err = fmt.Errorf("%w: it has the block before and yet wants to sync from peers: where it was killed before it had written any state, "+
			"stop it in order and start it again; with --state.scheme=hash --gcmode=archive it comes back by itself", ErrUnreachable)
	}
	return err
}

// choose moves the client's head to a block that it has.
func (f *feeder) choose(ctx context.Context, head, firm execution.Hash) error {
	known, err := f.api.forkchoice(ctx, head, firm)
	if err == nil && known != valid {
		err = fmt.Errorf("%w: it does not take block %x, which it has, as its head", ErrUnreachable, head)
	}
	return err
}

// common returns the highest block that the client has of ours, which is its head or,
// where it is ahead, soft. A client on a chain of its own is an error.
func (f *feeder) common(ctx context.Context, soft execution.Head) (uint64, error) {
	theirs, err := f.api.header(ctx, 0)
	if err != nil {
		return 0, err
	}
	ours, err := f.chain.hash(0)
	if err != nil {
		return 0, err
	}
	if theirs.Hash != ours {
		return 0, fmt.Errorf("%w: its block 0 is %s, the rollup's is %x: begin it anew with the rollup's genesis.json (geth init)", ErrGenesis, theirs.Hash, ours)
	}
	if theirs, err = f.api.head(ctx); err != nil {
		return 0, err
	}
	if uint64(theirs.Number) > soft.Number {
		if theirs, err = f.api.header(ctx, soft.Number); err != nil {
			return 0, err
		}
	}
	n := uint64(theirs.Number)
	if ours, err = f.chain.hash(n); err != nil {
		return 0, err
	}
	if theirs.Hash != ours {
		return 0, fmt.Errorf("%w: block %d is %x here and %s at the client", execution.ErrDisagree, n, ours, theirs.Hash)
	}
	return n, nil
}

// before returns the block on which those that are missing stand.
func (f *feeder) before(number uint64) (*block, error) {
	if number > 0 {
		return f.chain.block(number)
	}
	hash, err := f.chain.hash(0)
	return &block{hash: hash}, err // the client itself checks the first block's time
}
