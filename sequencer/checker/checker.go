package checker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// Claim is one that waits on the chain.
type Claim struct {
	Number  uint64
	Relayer string
	da.Claim
}

// large tells whether the blob may take much memory: a layer took it in parts only.
func (c Claim) large() bool { return len(c.Parts) > 1 }

// Source returns the numbers of all claims that wait, ascending, and of these the claims
// that are wanted. Left out of the latter are those of relayers at whose claims nobody should
// look now.
type Source func(wanted func(number uint64) bool) (waiting []uint64, claims []Claim, err error)

// Options are what a checker works with.
type Options struct {
	Layers map[string]da.Layer // by name; the caller closes them after Run
	Chain  follower.Chain
	Source Source
	// Interval is how often the source is asked; default 200 ms.
	Interval time.Duration
	// Workers bounds the claims of one layer that are looked at together; default 2.
	Workers int
	// BytesPerSecond bounds what is fetched, of all layers; default 16 MiB. What was fetched in
	// vain cannot be known, and is taken for 2 MiB.
	BytesPerSecond int
	// Timeout bounds the fetching of one part; default 1 m.
	Timeout time.Duration
	// RetryMin is after what time a claim of which nothing can be said is looked at again,
	// each time twice as long up to RetryMax; defaults 2 s and 1 m. A claim that was found to be
	// false is looked at a second time after RetryMin. So do a layer wait that did not answer in
	// time, and a relayer whose claim was found to be false, before any other claim of theirs.
	RetryMin, RetryMax time.Duration

	Now        func() time.Time      // nil is time.Now
	Logger     *slog.Logger          // may be nil
	Registerer prometheus.Registerer // may be nil
}

func (o *Options) complete() {
	setDefault(&o.Interval, 200*time.Millisecond)
	setDefault(&o.Workers, 2)
	setDefault(&o.BytesPerSecond, 16<<20)
	setDefault(&o.Timeout, time.Minute)
	setDefault(&o.RetryMin, 2*time.Second)
	setDefault(&o.RetryMax, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// backoff is the wait after so many failures in a row before the last.
func (o *Options) backoff(before int) time.Duration {
	return min(o.RetryMin<<min(before, 10), o.RetryMax)
}

func setDefault[T int | time.Duration](value *T, to T) {
	if *value == 0 {
		*value = to
	}
}

// Checker looks at claims while Run runs.
type Checker struct {
	opts    Options
	metrics *metrics
	pace    pace
	check   func(parts [][]byte, rollup order.RollupID, from, to uint64, chain follower.Chain) error
	lanes   map[string]*lane // by layer

	mu       sync.Mutex
	known    map[uint64]*state    // claims that wait, once they were asked for
	withheld map[uint64]time.Time // claims that wait and that the source leaves out: when to ask again
	rests    map[string]rest      // by relayer
}

// state is what is known of one claim.
type state struct {
	claim  Claim
	result result
	doubts int       // looks that found it to be false
	tries  int       // looks that could say nothing
	due    time.Time // of the next look
	queued bool      // or being looked at
}

// result is what this node says of a claim.
type result int

const (
	unknown result = iota
	confirmed
	denied
	// unseen is a claim of a layer that this node has no access to.
	unseen
)

// New makes a checker, which looks at nothing until Run.
func New(o Options) (*Checker, error) {
	o.complete()
	c := &Checker{
		opts: o, metrics: newMetrics(), pace: pace{rate: o.BytesPerSecond, now: o.Now}, check: follower.CheckBlob,
		lanes: make(map[string]*lane, len(o.Layers)), known: make(map[uint64]*state),
		withheld: make(map[uint64]time.Time), rests: make(map[string]rest),
	}
	for name, layer := range o.Layers {
		c.lanes[name] = newLane(layer)
	}
	return c, c.metrics.register(o.Registerer)
}

// Run looks at claims until the context ends.
func (c *Checker) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		tick := time.NewTicker(c.opts.Interval)
		defer tick.Stop()
		for {
			if err := c.refresh(); err != nil {
				c.opts.Logger.Debug("claims that wait cannot be read", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
	for _, l := range c.lanes {
		for range c.opts.Workers {
			all.Go(func() error {
				c.serve(ctx, l)
				return nil
			})
		}
	}
	return all.Wait()
}

// found notes what a look gave: nil, errFalse, or another error where nothing can be said.
func (c *Checker) found(l *lane, s *state, err error) {
	claim := s.claim
	log := c.opts.Logger.With("claim", claim.Number, "layer", claim.Layer, "relayer", claim.Relayer, "from", claim.From, "to", claim.To)
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s.queued = false
	if claim.large() {
		l.large = false
		l.nudge()
	}
	said := "unknown"
	switch {
	case err == nil:
		s.result, said = confirmed, "confirmed"
		delete(c.rests, claim.Relayer)
		log.Debug("claim is true")
	case errors.Is(err, errFalse):
		r := c.rests[claim.Relayer]
		c.rests[claim.Relayer] = rest{until: now.Add(c.opts.backoff(r.falls)), falls: r.falls + 1}
		if s.doubts++; s.doubts < 2 {
			said = "doubted"
			s.due = now.Add(c.opts.RetryMin)
			break
		}
		s.result, said = denied, "denied"
		log.Warn("a relayer's claim is false: this validator denies it", "reason", err)
	default:
		wait := c.opts.backoff(s.tries)
		s.tries++
		s.due = now.Add(wait)
		log.Debug("nothing can be said of a claim", "reason", err, "again_in", wait)
	}
	c.metrics.looks.WithLabelValues(claim.Layer, said).Inc()
}
