package ordering

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/bench/testnet"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Reading compares what one rollup costs its reader among many with the same alone.
type Reading struct {
	Others     int      `json:"others"` // rollups that had a leg each second
	Alone      ReadCost `json:"alone"`
	Among      ReadCost `json:"among"`
	BytesRatio float64  `json:"bytes_ratio"` // of a block
	CPURatio   float64  `json:"cpu_ratio"`
}

// ReadCost is what a follower of the rollup spent on a stretch of blocks.
type ReadCost struct {
	Blocks   int     `json:"blocks"`
	Bundles  int     `json:"bundles"`
	OwnMB    float64 `json:"own_mb"`
	WireMB   float64 `json:"wire_mb"`
	CPUms    float64 `json:"cpu_ms"`
	PerBlock struct {
		WireBytes float64 `json:"wire_bytes"`
		CPUus     float64 `json:"cpu_us"`
	} `json:"per_block"`
}

const (
	// ownBytes is what the rollup that is read has in each block, about.
	ownBytes = 4 << 10
	// crowdLegs is how many of the others one bundle is for, crowdBytes how much for each.
	crowdLegs  = order.MaxLegs
	crowdBytes = 100
	// readings are repeated, and the cheapest counts: what disturbs only ever adds.
	readings = 5
)

var ownRollup = order.NewRollupID("bench-own")

// stretch is blocks from one height up to another.
type stretch struct{ from, to uint64 }

// reading orders the same for one rollup alone, and then among the others; and reads
// both stretches back, with nothing else to do in this process.
func (o Options) reading(ctx context.Context, st *stage, s *ordo) (*Reading, error) {
	o.say("%s: read: one rollup alone", st.name())
	alone, err := o.own(ctx, st, s)
	if err != nil {
		return nil, err
	}
	o.say("%s: read: the same among %d others", st.name(), o.Crowd)
	crowding, stop := context.WithCancel(ctx)
	var crowd sync.WaitGroup
	var crowdErr error
	var ids []key
	crowd.Go(func() { ids, crowdErr = o.crowd(crowding, s) })
	var among stretch
	select {
	case <-time.After(2 * time.Second): // until each of them has had its first turn
		among, err = o.own(ctx, st, s)
	case <-ctx.Done():
		err = ctx.Err()
	}
	stop()
	crowd.Wait()
	if err = errors.Join(err, crowdErr); err != nil {
		return nil, err
	}
	if err := s.allOrdered(ctx, ids); err != nil {
		return nil, err
	}
	st.stopReading()
	<-st.read
	st.read <- context.Canceled

	r := &Reading{Others: o.Crowd}
	for i := range readings {
		for _, c := range []struct {
			s    stretch
			cost *ReadCost
		}{{alone, &r.Alone}, {among, &r.Among}} {
			cost, err := s.readBack(ctx, c.s)
			if err != nil {
				return nil, err
			}
			if i == 0 || cost.CPUms < c.cost.CPUms {
				*c.cost = cost
			}
		}
	}
	r.BytesRatio = r.Among.PerBlock.WireBytes / r.Alone.PerBlock.WireBytes
	r.CPURatio = r.Among.PerBlock.CPUus / r.Alone.PerBlock.CPUus
	o.say("%s: read: %.2f times the bytes, %.2f times the CPU", st.name(), r.BytesRatio, r.CPURatio)
	return r, nil
}

// own hands in one bundle each block time for as long as a load lasts, twice, and
// returns the blocks that came meanwhile.
func (o Options) own(ctx context.Context, st *stage, s *ordo) (stretch, error) {
	tick := time.NewTicker(o.BlockTime)
	defer tick.Stop()
	begin := st.ledger.height() + 1
	for i := range int(2 * o.Duration / o.BlockTime) {
		select {
		case <-ctx.Done():
			return stretch{}, ctx.Err()
		case <-tick.C:
		}
		validator := validatorOf(i, s.Validators)
		p, err := s.sign(validator, []order.Leg{{RollupID: ownRollup, Transactions: [][]byte{st.payloads.make(ownBytes)}}})
		if err != nil {
			return stretch{}, err
		}
		if err := s.submit(ctx, validator, p); err != nil {
			return stretch{}, fmt.Errorf("hand in what is read: %w", err)
		}
	}
	return stretch{begin, st.ledger.height()}, st.failed()
}

// crowd hands in a leg for each of the other rollups each second, until ctx ends,
// and returns some of the bundles.
func (o Options) crowd(ctx context.Context, s *ordo) (some []key, err error) {
	rollups := make([]order.RollupID, o.Crowd)
	for i := range rollups {
		rollups[i] = order.NewRollupID("bench-other-" + strconv.Itoa(i))
	}
	p, err := newPayloads(crowdBytes)
	if err != nil {
		return nil, err
	}
	groups := slices.Collect(slices.Chunk(rollups, crowdLegs))
	began := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(len(groups)))
		select {
		case <-ctx.Done():
			continue
		case <-time.After(time.Until(due)):
		}
		var legs []order.Leg
		for _, id := range groups[i%len(groups)] {
			legs = append(legs, order.Leg{RollupID: id, Transactions: [][]byte{p.make(crowdBytes)}})
		}
		validator := validatorOf(i, s.Validators)
		b, err := s.sign(validator, legs)
		if err != nil {
			return some, err
		}
		if err := s.submit(ctx, validator, b); ctx.Err() == nil && err != nil {
			return some, fmt.Errorf("hand in for the other rollups: %w", err)
		}
		if i%10 == 0 {
			some = append(some, b.key)
		}
	}
	return some, nil
}

// allOrdered checks that the chain has ordered the bundles.
func (s *ordo) allOrdered(ctx context.Context, ids []key) error {
	for deadline := time.Now().Add(settleLimit); len(ids) > 0; {
		ctx, cancel := context.WithTimeout(ctx, submitTimeout)
		status, err := s.Client(0).GetBundleStatus(ctx, connect.NewRequest(&sequencerv1.GetBundleStatusRequest{BundleId: ids[0][:]}))
		cancel()
		switch {
		case err != nil && connect.CodeOf(err) != connect.CodeResourceExhausted:
			return fmt.Errorf("ask for a bundle: %w", err)
		case err == nil && status.Msg.GetState() == sequencerv1.BundleState_BUNDLE_STATE_ORDERED:
			ids = ids[1:]
		case time.Now().After(deadline):
			return fmt.Errorf("a bundle for the other rollups is not ordered, its status is %v %s", status.Msg.GetState(), status.Msg.GetReason())
		default:
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// readBack follows the rollup over the blocks and says what that cost.
func (s *ordo) readBack(ctx context.Context, blocks stretch) (c ReadCost, err error) {
	var wire atomic.Int64
	http := testnet.HTTPClient(&wire)
	defer http.CloseIdleConnections()
	f, err := s.follower(ownRollup, follower.Config{HTTPClient: http})
	if err != nil {
		return c, err
	}
	runtime.GC()
	before := ownCPU()
	done := errors.New("all are read")
	err = f.Run(ctx, blocks.from, func(_ context.Context, b *follower.Block) error {
		c.Blocks++
		c.Bundles += len(b.Legs)
		for _, tx := range b.Transactions() {
			c.OwnMB += float64(len(tx)) / 1e6
		}
		if b.Height == blocks.to {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		return c, fmt.Errorf("read blocks %d to %d: %w", blocks.from, blocks.to, err)
	}
	cpu := ownCPU() - before
	c.CPUms, c.WireMB = float64(cpu.Microseconds())/1000, float64(wire.Load())/1e6
	c.PerBlock.WireBytes = float64(wire.Load()) / float64(c.Blocks)
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
