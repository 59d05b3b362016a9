package ordering

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// Report is what Run measured. What was not asked for is not there.
type Report struct {
	Machine    Machine  `json:"machine"`
	Highest    []*Trial `json:"throughput,omitempty"`
	Half       []*Trial `json:"half,omitempty"`
	Idle       []*Trial `json:"idle,omitempty"`
	Small      []*Trial `json:"small,omitempty"`
	Reading    *Reading `json:"read,omitempty"`
	Scale      []*Trial `json:"scale,omitempty"`
	Targets    []Target `json:"targets"`
	Took       float64  `json:"took_seconds"`
	BlockTime  float64  `json:"block_time_ms"`
	Validators int      `json:"validators"`
}

// Machine is where the report was made.
type Machine struct {
	Cores int    `json:"cores"`
	OS    string `json:"os"`
	Go    string `json:"go"`
}

// Run measures, part by part, one network at a time.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	began := time.Now()
	r := &Report{
		Machine:   Machine{Cores: runtime.GOMAXPROCS(0), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()},
		BlockTime: float64(o.BlockTime.Milliseconds()), Validators: o.Validators,
	}
	err := o.measure(ctx, r)
	r.Took = time.Since(began).Seconds()
	r.Targets = r.targets()
	return r, err
}

func (o Options) measure(ctx context.Context, r *Report) error {
	main := slices.ContainsFunc(o.Parts, func(p string) bool { return p != PartScale })
	for _, name := range o.Systems {
		if !main {
			break
		}
		err := o.with(ctx, name, o.Validators, false, func(st *stage) error { return o.parts(ctx, st, r) })
		if err != nil {
			return err
		}
	}
	if !o.runs(PartScale) {
		return nil
	}
	for _, n := range o.Scale {
		for _, name := range o.Systems {
			// With a node of its own the reader takes nothing from what validators receive.
			err := o.with(ctx, name, n, name == SystemOrdo, func(st *stage) error {
				t, err := o.highest(ctx, st, fmt.Sprint(PartScale, "-", n))
				if err != nil {
					return err
				}
				r.Scale = append(r.Scale, t)
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// with starts a network, reads its order, and closes it after fn.
func (o Options) with(ctx context.Context, name string, validators int, reader bool, fn func(*stage) error) (err error) {
	var s system
	switch name {
	case SystemOrdo:
		s, err = startOrdo(ctx, o, validators, reader)
	case SystemComet:
		s, err = startComet(ctx, o, validators)
	}
	if err != nil {
		return fmt.Errorf("start %d validators of %s: %w", validators, name, err)
	}
	st, err := newStage(ctx, o, s)
	if err != nil {
		return err
	}
	o.say("%s: %d validators run", st.name(), validators)
	err = fn(st)
	if closing := st.close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("stop %s: %w", st.name(), closing))
	}
	return err
}

// parts are those that need one network of the chosen size.
func (o Options) parts(ctx context.Context, st *stage, r *Report) error {
	// The idle network comes first: nothing of a load before it is left to be done.
	if o.runs(PartIdle) {
		t, err := o.idle(ctx, st)
		if err != nil {
			return err
		}
		r.Idle = append(r.Idle, t)
	}
	if o.runs(PartSmall) {
		ts, err := o.small(ctx, st)
		r.Small = append(r.Small, ts...)
		if err != nil {
			return err
		}
	}
	if o.runs(PartThroughput) || o.runs(PartHalf) {
		t, err := o.highest(ctx, st, PartThroughput)
		if err != nil {
			return err
		}
		r.Highest = append(r.Highest, t)
		if o.runs(PartHalf) {
			t, err := st.told(ctx, load{size: o.Size, rate: t.OfferedMBps * 1e6 / 2, duration: o.Duration, warm: warmUp}, PartHalf)
			if err != nil {
				return err
			}
			r.Half = append(r.Half, t)
		}
	}
	if network, ok := st.system.(*ordo); ok && o.runs(PartRead) {
		reading, err := o.reading(ctx, st, network)
		if err != nil {
			return err
		}
		r.Reading = reading
	}
	return nil
}

// told is a trial that is reported while the benchmark runs.
func (st *stage) told(ctx context.Context, ld load, what string) (*Trial, error) {
	t, err := st.trial(ctx, ld)
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("ordered %.2f MB/s, p50 %.0f ms, p99 %.0f ms", t.OrderedMBps, t.Read.P50, t.Read.P99)
	if t.Overloaded {
		line = "overloaded"
		if t.Refused > 0 {
			line += fmt.Sprintf("; %d of %d refused, the first because %s", t.Refused, t.Sent, t.FirstRefusal)
		}
	}
	st.o.say("%s: %s: %.2f MB/s: %s", st.name(), what, ld.rate/1e6, line)
	return t, nil
}

const (
	// firstMBps is where the search begins, whatever the network.
	firstMBps = 4
	// mostMBps is more than any machine orders.
	mostMBps = 2000
	// refinements of the search bring it within 5% of where trials begin to fail.
	refinements = 4
	// attempts is how often a rate of the search must fail.
	attempts = 2
	// confirmations is how often a rate that was found, and does not hold for twice as
	// long, is lowered by as much as the search tells apart.
	confirmations = 12
)

// highest finds the highest rate that the network bears, and measures it for twice
// as long as each trial of the search.
func (o Options) highest(ctx context.Context, st *stage, part string) (*Trial, error) {
	rate := o.RateMBps * 1e6
	if rate == 0 {
		found, err := search(firstMBps*1e6, mostMBps*1e6, refinements, func(rate float64) (ok bool, err error) {
			// An overload may be a bad moment of a machine that others share, or what the
			// one before has left behind: it must come twice.
			for range attempts {
				t, err := st.told(ctx, load{size: o.Size, rate: rate, duration: o.Duration, warm: warmUp}, "search")
				if err != nil || !t.Overloaded {
					return err == nil, err
				}
			}
			return false, nil
		})
		if err != nil {
			return nil, err
		}
		if found == 0 {
			return nil, fmt.Errorf("%s with %d validators orders no load within a second: give it more time with --duration, or smaller payloads with --size", st.name(), st.validators())
		}
		rate = found
	}
	for i := 0; ; i++ {
		finish := startProfiles(ctx, o, st, part, 2*o.Duration)
		t, err := st.told(ctx, load{size: o.Size, rate: rate, duration: 2 * o.Duration, warm: warmUp}, "highest rate")
		finish()
		if err != nil || !t.Overloaded || i == confirmations || o.RateMBps != 0 {
			return t, err
		}
		rate *= math.Pow(2, -1./(1<<refinements))
	}
}

// small puts the load of small payloads on the network, and, where it does not bear
// it, the highest of their rates that it bears.
func (o Options) small(ctx context.Context, st *stage) (ts []*Trial, err error) {
	at := func(rate float64) (*Trial, error) {
		return st.told(ctx, load{size: o.SmallSize, rate: rate, duration: o.Duration, warm: warmUp}, PartSmall)
	}
	asked := float64(o.SmallSize * o.SmallRate)
	finish := startProfiles(ctx, o, st, PartSmall, o.Duration)
	t, err := at(asked)
	finish()
	if err != nil || !t.Overloaded {
		return append(ts, t), err
	}
	var best *Trial
	_, err = search(asked/2, asked*0.95, refinements-1, func(rate float64) (bool, error) {
		t, err := at(rate)
		if err == nil && !t.Overloaded {
			best = t
		}
		return err == nil && !t.Overloaded, err
	})
	if ts = append(ts, t); best != nil {
		ts = append(ts, best)
	}
	return ts, err
}

const (
	idlePayload = 512
	idleSamples = 30
)

// idle hands in one payload at a time, at moments that have nothing to do with the blocks.
func (o Options) idle(ctx context.Context, st *stage) (*Trial, error) {
	t, err := st.measured(ctx, func() (*Trial, error) {
		entries := make([]*entry, idleSamples)
		began := time.Now()
		for i := range entries {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(150*time.Millisecond + rand.N(time.Second)):
			}
			validator := validatorOf(i, st.validators())
			p, err := st.wrap(sample, validator, st.payloads.make(idlePayload))
			if err != nil {
				return nil, err
			}
			e := &entry{size: idlePayload, validator: validator, channel: sample, due: time.Now()}
			entries[i] = e
			st.ledger.enter(p.key, e)
			st.ledger.ack(e, st.submit(ctx, e.validator, p))
			if e.refused != nil {
				return nil, fmt.Errorf("an idle validator refused: %w", e.refused)
			}
			for limit := e.due.Add(settleLimit); st.ledger.outstanding() > 0 && time.Now().Before(limit); time.Sleep(time.Millisecond) {
				if err := st.failed(); err != nil {
					return nil, err
				}
			}
		}
		span := time.Since(began)
		return st.summarize(load{size: idlePayload, rate: idlePayload * idleSamples / span.Seconds(), duration: span}, entries, began), nil
	})
	if err != nil {
		return nil, err
	}
	o.say("%s: idle: p50 to accepted %.1f ms, to certified %.1f ms, to ordered %.1f ms", st.name(), t.Ack.P50, t.Certified.P50, t.Read.P50)
	return t, nil
}
