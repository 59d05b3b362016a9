package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/internal/freeport"
)

// node is a rollup node, a process by the commands of an operator.
type node struct {
	*testnet.Process
	home   string
	client *rpc.Client
}

// startNode lays out a node and starts it. Heights below the one given are none of its
// rollup's.
func (s *stage) startNode(ctx context.Context, w *workload, rollup, label string, from uint64) (_ *node, err error) {
	port, err := freeport.Claim(1)
	if err != nil {
		return nil, err
	}
	n := &node{home: filepath.Join(s.network.Dir, label)}
	listen := testnet.Loopback(port)
	args := []string{"rollup", "init", "--home", n.home, "--name", w.name, "--genesis", filepath.Join(rollup, genesisFile),
		"--sequencer-genesis", s.network.Genesis, "--listen", listen, "--start-height", strconv.FormatUint(from, 10)}
	for _, url := range s.network.URLs {
		args = append(args, "--sequencer", url)
	}
	if err := testnet.Run(ctx, s.o.Binary, args...); err != nil {
		return nil, err
	}
	if n.client, err = rpc.DialContext(ctx, "http://"+listen); err != nil {
		return nil, err
	}
	if n.Process, err = s.network.Start(label, s.o.Binary, "rollup", "start", "--home", n.home, "--log-level", "warn"); err != nil {
		return nil, err
	}
	return n, nil
}

// end stops the node and removes its data: a benchmark has many.
func (n *node) end(keep bool) error {
	n.client.Close()
	n.Stop()
	if keep {
		return nil
	}
	return os.RemoveAll(n.home)
}

// head is the last block of the node. It fails while the node starts.
func (n *node) head(ctx context.Context) (uint64, error) {
	var number hexutil.Uint64
	err := n.client.CallContext(ctx, &number, "eth_blockNumber")
	return uint64(number), err
}

// up waits until the node answers.
func (n *node) up(ctx context.Context) error {
	limit := time.Now().Add(testnet.StartLimit)
	for {
		_, err := n.head(ctx)
		if err == nil {
			return nil
		}
		if gone := n.Ended(); gone != nil {
			return gone
		}
		if ctx.Err() != nil || time.Now().After(limit) {
			return fmt.Errorf("%s does not answer: %w", n.Label, err)
		}
		time.Sleep(pollEvery)
	}
}

// pollEvery is how exact times of blocks are.
const pollEvery = 10 * time.Millisecond

// moment is when a node was seen to have a block, and the processor time that it had used.
type moment struct {
	block uint64
	at    time.Time
	cpu   time.Duration
}

// watch sees a node execute until done says so of a moment at which it has a new block. It returns the
// first of these moments, and the last.
func (n *node) watch(ctx context.Context, done func(ctx context.Context, now moment) (bool, error)) (first, last moment, err error) {
	moved := time.Now()
	for {
		number, err := n.head(ctx)
		now := time.Now()
		switch {
		case err != nil:
			return first, last, errors.Join(fmt.Errorf("ask %s for its head: %w", n.Label, err), n.Ended())
		case number > last.block:
			last, moved = moment{number, now, processorTime(n.PID)}, now
			if first.block == 0 {
				first = last
			}
			if over, err := done(ctx, last); err != nil || over {
				return first, last, err
			}
		case now.Sub(moved) > settleLimit:
			return first, last, fmt.Errorf("%s stands at block %d for %v", n.Label, number, settleLimit)
		}
		select {
		case <-ctx.Done():
			return first, last, ctx.Err()
		case <-n.Done():
			return first, last, n.Ended()
		case <-time.After(pollEvery):
		}
	}
}

// transactions counts those that the node has executed, block by block, up to some number.
func (n *node) transactions(all int) func(ctx context.Context, block uint64) (bool, error) {
	next, seen := uint64(1), 0
	return func(ctx context.Context, block uint64) (bool, error) {
		for ; next <= block; next++ {
			var count hexutil.Uint64
			if err := n.client.CallContext(ctx, &count, "eth_getBlockTransactionCountByNumber", hexutil.Uint64(next)); err != nil {
				return false, fmt.Errorf("count transactions of block %d: %w", next, err)
			}
			seen += int(count)
		}
		return seen >= all, nil
	}
}

// agrees checks that the node has the block that the EVM alone came to. It may have more by
// now, without transactions.
func (n *node) agrees(ctx context.Context, want *Executed) error {
	var head struct {
		Hash common.Hash `json:"hash"`
	}
	last := hexutil.Uint64(len(want.Blocks))
	if err := n.client.CallContext(ctx, &head, "eth_getBlockByNumber", last, false); err != nil {
		return fmt.Errorf("ask %s for block %d: %w", n.Label, last, err)
	}
	if head.Hash != want.Head {
		return fmt.Errorf("block %d of %s is %s, the EVM alone came to %s", last, n.Label, head.Hash, want.Head)
	}
	return nil
}
