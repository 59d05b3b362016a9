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

// Source returns the numbers of all claims that wait, ascending, and of these the claims
// that are wanted. Claims that nobody should look at may be left out of the latter.
type Source func(wanted func(number uint64) bool) (waiting []uint64, claims []Claim, err error)

// Options are what a checker works with.
type Options struct {
	Layers map[string]da.Layer // by name; the caller closes them after Run
	Chain  follower.Chain
	Source Source
	// Interval is how often the source is asked; default 200 ms.
	Interval time.Duration
	// Workers bounds the claims that are looked at together; default 2.
	Workers int
	// BytesPerSecond bounds what is fetched; default 16 MiB.
	BytesPerSecond int
	// Timeout bounds the fetching of one part; default 1 m.
	Timeout time.Duration
	// RetryMin is after what time a claim of which nothing can be said is looked at again,
	// each time twice as long up to RetryMax; defaults 2 s and 1 m. A claim that was found to be
	// false is looked at a second time after RetryMin.
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
	large   chan struct{} // holds a token for the claim of several parts that is in memory
	work    chan struct{} // holds a token where there may be something to do

	mu    sync.Mutex
	known map[uint64]*state // claims that wait, once they were asked for
	queue queue             // those that are due
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
		large: make(chan struct{}, 1), work: make(chan struct{}, 1), known: make(map[uint64]*state),
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
	for range c.opts.Workers {
		all.Go(func() error {
			c.serve(ctx)
			return nil
		})
	}
	return all.Wait()
}

// refresh learns of claims, forgets those that are settled, and queues those that are due.
func (c *Checker) refresh() error {
	waiting, claims, err := c.opts.Source(func(number uint64) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.known[number] == nil
	})
	if err != nil {
		return err
	}
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, claim := range claims {
		c.known[claim.Number] = &state{claim: claim, due: now}
	}
	alive := make(map[uint64]bool, len(waiting))
	for _, number := range waiting {
		alive[number] = true
		s := c.known[number]
		if s == nil || s.queued || s.result != unknown || now.Before(s.due) {
			continue
		}
		if c.opts.Layers[s.claim.Layer] == nil {
			s.result = unseen
			c.metrics.looks.WithLabelValues("other", "unseen").Inc()
			continue
		}
		s.queued = true
		c.queue.push(s)
	}
	for number := range c.known {
		if !alive[number] {
			delete(c.known, number)
		}
	}
	c.metrics.waiting.Set(float64(len(waiting)))
	if c.queue.size > 0 {
		c.nudge()
	}
	return nil
}

func (c *Checker) nudge() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// serve looks at one claim after the other.
func (c *Checker) serve(ctx context.Context) {
	for {
		select {
		case <-c.work:
		case <-ctx.Done():
			return
		}
		for {
			// The choice comes after the wait: what is settled meanwhile is not fetched.
			if err := c.pace.wait(ctx); err != nil {
				return
			}
			s := c.next()
			if s == nil {
				break
			}
			c.nudge() // for the others
			err := c.look(ctx, s.claim)
			if ctx.Err() != nil {
				return
			}
			c.found(s, err)
		}
	}
}

// next takes the claim whose turn it is, nil where none is due.
func (c *Checker) next() *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		s := c.queue.pop()
		if s == nil || c.known[s.claim.Number] == s { // or it is settled meanwhile
			return s
		}
	}
}

// found notes what a look gave: nil, errFalse, or another error where nothing can be said.
func (c *Checker) found(s *state, err error) {
	claim := s.claim
	log := c.opts.Logger.With("claim", claim.Number, "layer", claim.Layer, "relayer", claim.Relayer, "from", claim.From, "to", claim.To)
	c.mu.Lock()
	defer c.mu.Unlock()
	s.queued = false
	said := "unknown"
	switch {
	case err == nil:
		s.result, said = confirmed, "confirmed"
		log.Debug("claim is true")
	case errors.Is(err, errFalse):
		if s.doubts++; s.doubts < 2 {
			said = "doubted"
			s.due = c.opts.Now().Add(c.opts.RetryMin)
			break
		}
		s.result, said = denied, "denied"
		log.Warn("a relayer's claim is false: this validator denies it", "reason", err)
	default:
		wait := min(c.opts.RetryMin<<min(s.tries, 10), c.opts.RetryMax)
		s.tries++
		s.due = c.opts.Now().Add(wait)
		log.Debug("nothing can be said of a claim", "reason", err, "again_in", wait)
	}
	c.metrics.looks.WithLabelValues(claim.Layer, said).Inc()
}
