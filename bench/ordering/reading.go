package ordering

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

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
	// readers follow side by side, and the cheapest counts: what disturbs only ever adds.
	readers = 3
)

var ownRollup = order.NewRollupID("bench-own")

// reading orders the same for one rollup alone, and then among the others, while
// readers, each a process of its own that does nothing else, follow it live.
func (o Options) reading(ctx context.Context, st *stage, s *ordo) (*Reading, error) {
	// What this process reads on its own account would take processor time from the readers.
	st.stopReading()
	<-st.read
	st.read <- context.Canceled

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
	var among ReadCost
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
	r := &Reading{Others: o.Crowd, Alone: alone, Among: among}
	r.BytesRatio = r.Among.PerBlock.WireBytes / r.Alone.PerBlock.WireBytes
	r.CPURatio = r.Among.PerBlock.CPUus / r.Alone.PerBlock.CPUus
	o.say("%s: read: %.2f times the bytes, %.2f times the CPU", st.name(), r.BytesRatio, r.CPURatio)
	return r, nil
}

// own hands in one bundle each block time until readers that started before have
// followed blocks for as long as a load lasts, twice, and returns what that cost the cheapest.
func (o Options) own(ctx context.Context, st *stage, s *ordo) (cheapest ReadCost, err error) {
	tick := time.NewTicker(o.BlockTime)
	defer tick.Stop()
	blocks := int(2 * o.Duration / o.BlockTime)
	type answer struct {
		cost ReadCost
		err  error
	}
	answers := make(chan answer, readers)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for range readers {
		go func() {
			cost, err := s.read(ctx, blocks)
			answers <- answer{cost, err}
		}()
	}
	for i, left := 0, readers; left > 0; {
		select {
		case <-ctx.Done():
			return cheapest, ctx.Err()
		case a := <-answers:
			if a.err != nil {
				return cheapest, a.err
			}
			if left--; cheapest.Blocks == 0 || a.cost.CPUms < cheapest.CPUms {
				cheapest = a.cost
			}
		case <-tick.C:
			validator := validatorOf(i, s.Validators)
			p, err := s.sign(validator, []order.Leg{{RollupID: ownRollup, Transactions: [][]byte{st.payloads.make(ownBytes)}}})
			if err != nil {
				return cheapest, err
			}
			if err := s.submit(ctx, validator, p); err != nil {
				return cheapest, fmt.Errorf("hand in what is read: %w", err)
			}
			i++
		}
	}
	return cheapest, nil
}

// read has a process follow so many blocks of the rollup, from now on.
func (s *ordo) read(ctx context.Context, blocks int) (c ReadCost, err error) {
	from := s.Height() + 1
	if info, err := s.Client(s.Validators-1).GetInfo(ctx, connect.NewRequest(new(sequencerv1.GetInfoRequest))); err == nil {
		from = info.Msg.GetLatestHeight() + 1
	}
	cmd := exec.CommandContext(ctx, s.o.Binary, "bench", "reader", "--genesis", s.Genesis, "--endpoint", s.ReadFrom(),
		"--from", strconv.FormatUint(from, 10), "--blocks", strconv.Itoa(blocks))
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return c, fmt.Errorf("reader: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		return c, fmt.Errorf("reader: %w", err)
	}
	return c, nil
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
