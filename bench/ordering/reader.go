package ordering

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/follower"
)

// warmup is how many blocks a reader follows before it counts: until then it has
// connected, and read the genesis.
const warmup = 3

// Read follows the rollup that part read is about, live, over so many blocks, and
// says what that cost this process. Its caller must do nothing else meanwhile.
func Read(ctx context.Context, genesis, endpoint string, from uint64, blocks int) (c ReadCost, err error) {
	trust, err := follower.TrustGenesisFile(genesis)
	if err != nil {
		return c, err
	}
	var wire atomic.Int64
	http := testnet.HTTPClient(&wire)
	defer http.CloseIdleConnections()
	f, err := follower.New(follower.Config{Rollup: ownRollup, Endpoints: []string{endpoint}, Trust: trust, HTTPClient: http})
	if err != nil {
		return c, err
	}
	var cpu time.Duration
	var bytes int64
	done := errors.New("all are read")
	seen := 0
	err = f.Run(ctx, from, func(_ context.Context, b *follower.Block) error {
		if seen++; seen == warmup {
			cpu, bytes = ownCPU(), wire.Load()
		}
		if seen <= warmup {
			return nil
		}
		c.Blocks++
		c.Bundles += len(b.Legs)
		for _, tx := range b.Transactions() {
			c.OwnMB += float64(len(tx)) / 1e6
		}
		if c.Blocks == blocks {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		return c, fmt.Errorf("read %d blocks from height %d: %w", blocks, from, err)
	}
	cpu, bytes = ownCPU()-cpu, wire.Load()-bytes
	c.CPUms, c.WireMB = float64(cpu.Microseconds())/1000, float64(bytes)/1e6
	c.PerBlock.WireBytes = float64(bytes) / float64(c.Blocks)
	c.PerBlock.CPUus = float64(cpu.Microseconds()) / float64(c.Blocks)
	return c, nil
}

// ownCPU is the processor time that this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
