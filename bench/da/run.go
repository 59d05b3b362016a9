package da

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/follower"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Report is what Run measured. What was not asked for is not there.
type Report struct {
	Machine     Machine       `json:"machine"`
	Layer       string        `json:"layer"`
	Validators  int           `json:"validators"`
	Rollups     int           `json:"rollups"`
	BlockTime   float64       `json:"block_time_ms"`
	Compression []Compression `json:"compression,omitempty"`
	Relay       *Relay        `json:"relay,omitempty"`
	CatchUp     []CatchUp     `json:"catch_up,omitempty"`
	Safe        *Safe         `json:"safe,omitempty"`
	Memory      *Memory       `json:"memory,omitempty"`
	Targets     []Target      `json:"targets"`
	Took        float64       `json:"took_seconds"`
}

// Machine is where the report was made.
type Machine struct {
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
}

// Target is an aim and what was measured.
type Target struct {
	What string  `json:"what"`
	Got  float64 `json:"got"`
	Want float64 `json:"want"` // at most
	Unit string  `json:"unit"`
	Met  bool    `json:"met"`
}

// mostMemoryMB is the aim for a relayer of a thousand rollups.
const mostMemoryMB = 300

// Run measures, part by part, on one network. With an error comes what was measured
// before it, if anything.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	began := time.Now()
	r := &Report{
		Machine: Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()},
		Layer:   o.Layer, Validators: o.Validators, Rollups: o.Rollups, BlockTime: float64(o.BlockTime.Milliseconds()),
		Targets: []Target{},
	}
	err := o.measure(ctx, r)
	r.Took = time.Since(began).Seconds()
	if err != nil && r.Relay == nil && r.Memory == nil {
		return nil, err
	}
	if m := r.Memory; m != nil {
		r.Targets = append(r.Targets, Target{
			What: fmt.Sprintf("most memory of a relayer of %d rollups", m.Rollups), Got: m.Relayer.PeakMB, Want: mostMemoryMB, Unit: "MB",
			Met: m.Relayer.PeakMB <= mostMemoryMB,
		})
	}
	return r, err
}

func (o Options) measure(ctx context.Context, r *Report) error {
	if o.runs(PartRelay) || o.runs(PartCatchUp) || o.runs(PartSafe) {
		if err := o.with(ctx, func(s *stage) error { return s.measure(ctx, r) }); err != nil {
			return err
		}
	}
	if !o.runs(PartMemory) {
		return nil
	}
	return o.with(ctx, func(s *stage) (err error) {
		r.Memory, err = s.memory(ctx)
		return err
	})
}

// with starts a network and a layer, and stops them after fn.
func (o Options) with(ctx context.Context, fn func(*stage) error) error {
	s, err := newStage(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(fn(s), s.close())
}

// measure takes one rollup's way after the other part: catching up and the time to safe
// need what relay has posted.
func (s *stage) measure(ctx context.Context, r *Report) error {
	began := time.Now()
	filled, err := s.fill(ctx, s.o.Backlog/s.o.Rollups)
	if err != nil {
		return err
	}
	height, err := s.now(ctx)
	if err != nil {
		return err
	}
	s.o.say("%.1f MB of transactions are ordered, in %.0f s", float64(s.o.Backlog)/1e6, time.Since(began).Seconds())
	rel, err := s.relay(ctx, filled, height, r)
	if err != nil {
		return err
	}
	defer rel.Stop()
	if !s.o.runs(PartCatchUp) && !s.o.runs(PartSafe) {
		return nil
	}
	cursors := make([]follower.Cursor, len(s.workloads))
	for i, w := range s.workloads {
		c, at, err := s.verify(ctx, w, height)
		if err != nil {
			return err
		}
		cursors[i], r.CatchUp = at, append(r.CatchUp, c)
		s.o.say("%s was read back and verified: %.2f MB/s", w.name, c.MBps)
	}
	if s.o.runs(PartSafe) {
		if r.Safe, err = s.safe(ctx, cursors); err != nil {
			return err
		}
	}
	if !s.o.runs(PartCatchUp) {
		return nil
	}
	return s.rebuildAll(ctx, rel, r)
}

// rebuildAll has a new node rebuild a rollup of each kind, when nothing else runs any more
// but the layer.
func (s *stage) rebuildAll(ctx context.Context, rel *runningRelayer, r *Report) error {
	st, err := rel.status(ctx)
	if err != nil {
		return err
	}
	for _, p := range s.network.All {
		p.Stop()
	}
	for i, w := range s.workloads[:min(2, len(s.workloads))] {
		c, err := s.rebuild(ctx, w, st.Rollups[i].PostedHeight)
		if err != nil {
			return err
		}
		r.CatchUp = append(r.CatchUp, c)
		s.o.say("a new node of %s rebuilt it: %.2f MB/s", w.name, c.MBps)
	}
	return nil
}

// now asks the network for its height.
func (s *stage) now(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := s.network.Client(0).GetInfo(ctx, connect.NewRequest(new(sequencerv1.GetInfoRequest)))
	if err != nil {
		return 0, fmt.Errorf("ask for the height: %w", err)
	}
	s.network.Saw(info.Msg.GetLatestHeight())
	return info.Msg.GetLatestHeight(), nil
}
