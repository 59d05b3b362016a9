package pending

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

const (
	// stepTransactions bounds what is tried out at once. Between two steps the head
	// may move, and others get the processor.
	stepTransactions = 256
	// share is what trying out takes at most of the time that is left beside executing what
	// is ordered, and idle the least of it that counts as left: one part in so many.
	share = 4
	idle  = 16
	// lookAgain is how often a pause looks whether it has become a shorter one.
	lookAgain = 500 * time.Millisecond
	// maxUntrue is how many bundles a node may have called certified that were never
	// ordered, before another one is asked.
	maxUntrue = 16
	// maxLag is by how much the last block may be old when it comes: with more, the
	// rollup is catching up.
	maxLag = 10 * time.Second
	// maxAhead is by how much an order time may lie ahead of the clock.
	maxAhead = time.Minute
	// retryAfter is how long nothing is tried out after an error.
	retryAfter = time.Second
)

// Config is what an Overlay needs.
type Config struct {
	Rollup  order.RollupID
	Sources []Source // sequencer nodes, in the order in which they are tried; not empty
	// Speculator tries out what comes next. Where it is nil there is no pending block, and
	// Certified and Transactions alone are told.
	Speculator execution.Speculator
	// Certified is told of each bundle that a node calls certified; nil for nobody.
	Certified func(...order.BundleID)
	// Transactions is told of the transactions of each batch that a node calls certified;
	// nil for nobody. It holds up what is read.
	Transactions func(txs [][]byte)
	// Head is the rollup's soft head, Height the last sequencer height taken in.
	Head   execution.Head
	Height uint64
	// BlockTime is the least time between two blocks of the rollup; 0 for none.
	BlockTime time.Duration

	Logger     *slog.Logger          // default: none
	Registerer prometheus.Registerer // default: none
	Now        func() time.Time      // default time.Now
	Random     func() float64        // in [0, 1); default math/rand
}

// Gathered is a block of the sequencer chain that waits for the rollup block that will
// hold it.
type Gathered struct {
	Height uint64
	Time   time.Time
	Legs   []GatheredLeg // for the rollup, in order
}

// GatheredLeg is a leg with its transactions.
type GatheredLeg struct {
	execution.Leg
	Batch        order.BatchID // that brought it
	Transactions [][]byte
}

// Ordered is one block of the sequencer chain, or several that were gathered, after the
// rollup has executed them.
type Ordered struct {
	Height  uint64
	Time    time.Time
	Head    execution.Head // of the rollup after it
	Took    time.Duration  // to execute it
	Bundles []OrderedBundle
}

// OrderedBundle is a bundle with legs for the rollup.
type OrderedBundle struct {
	ID       order.BundleID
	Batch    order.BatchID       // that brought it
	Outcomes []execution.Outcome // of the legs' transactions
}

// Overlay keeps the pending block up to date while Run runs.
type Overlay struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	reader  *reader
	wake    chan struct{}

	mu     sync.Mutex
	set    *set
	waits  []*entry // what is ordered and gathered: stands first
	head   execution.Head
	height uint64
	at     time.Time // of the last sequencer block, and
	seen   time.Time // when it came
	made   time.Time // when the last rollup block came
	busy   float64   // part of the time that execution takes of late
	built  []*entry  // what was tried out, in order,
	parent execution.Hash
	untrue map[int]int // by source
}

// New makes an overlay, which does nothing before Run.
func New(cfg Config) (*Overlay, error) {
	if len(cfg.Sources) == 0 {
		return nil, errors.New("pending: no source")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	o := &Overlay{
		cfg: cfg, log: cfg.Logger, wake: make(chan struct{}, 1), set: newSet(), head: cfg.Head, height: cfg.Height,
		untrue: make(map[int]int),
	}
	var err error
	if o.metrics, err = newMetrics(cfg.Registerer, o); err != nil {
		return nil, err
	}
	o.reader = &reader{rollup: cfg.Rollup, sources: cfg.Sources, log: cfg.Logger, metrics: o.metrics, random: cfg.Random, opened: o.opened, yield: o.certified}
	return o, nil
}

// Run reads and tries out until ctx ends. What goes wrong meanwhile costs the
// pending block alone, and is tried again.
func (o *Overlay) Run(ctx context.Context) {
	defer o.metrics.unregister(o.cfg.Registerer)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { o.reader.run(ctx) })
	if o.cfg.Speculator == nil {
		return
	}
	o.signal()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		start := time.Now()
		err := o.step(ctx)
		least := time.Duration(0)
		took := time.Since(start)
		if err != nil && ctx.Err() == nil {
			o.log.Warn("the pending block could not be tried out", "err", err)
			least = retryAfter
			o.signal()
		}
		o.rest(ctx, took, least)
	}
}

// rest returns when there is time to try out more after a step that took so long, or when
// ctx ends. It looks again every now and then: of a long step's pause little is left where
// the rollup has soon less to execute.
func (o *Overlay) rest(ctx context.Context, took, least time.Duration) {
	for start := time.Now(); ; {
		left := max(o.pause(took), least) - time.Since(start)
		if left <= 0 {
			return
		}
		if pause.For(ctx, min(left, lookAgain)) != nil {
			return
		}
	}
}

// pause is how long nothing is tried out after a step that took so long. What is ordered comes first:
// a rollup that has much to execute has little time for what may come.
func (o *Overlay) pause(took time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Duration(float64(took) * (share/max(1-o.busy, 1./idle) - 1))
}

// work notes that execution took so long of the time since the block before, the last few blocks counting
// most: under the lock.
func (o *Overlay) work(took, since time.Duration) {
	if since > 0 {
		o.busy += (min(1, took.Seconds()/since.Seconds()) - o.busy) / 8
	}
}

func (o *Overlay) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// certified takes in what a node says. While the rollup catches up with the order
// it is of no use: it stands far ahead.
func (o *Overlay) certified(source int, b gateway.Certified) {
	ids := make([]order.BundleID, len(b.Bundles))
	for i, x := range b.Bundles {
		ids[i] = x.ID
	}
	if o.cfg.Certified != nil {
		o.cfg.Certified(ids...)
	}
	if o.cfg.Transactions != nil {
		for _, x := range b.Bundles {
			o.cfg.Transactions(x.Transactions)
		}
	}
	if o.cfg.Speculator == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.cfg.Now()
	unused := ""
	switch {
	case o.seen.IsZero() || o.behind():
		unused = "behind"
	case b.OrderTime > uint64(now.Add(maxAhead).UnixMilli()):
		unused = "implausible" // it would hold back all of its lane
	}
	if unused != "" {
		o.metrics.bundles.WithLabelValues(unused).Add(float64(len(b.Bundles)))
		return
	}
	taken, refused := o.set.add(b, source, o.height, now)
	o.metrics.bundles.WithLabelValues("taken").Add(float64(taken))
	o.metrics.bundles.WithLabelValues("no_room").Add(float64(refused))
	if taken > 0 {
		o.signal()
	}
}

// opened takes in that another stream begins. What the last one said of lanes may
// have been wrong, and would go on to hold back what this one says.
func (o *Overlay) opened() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.set.lanes)
}

// behind reports whether the rollup is catching up with the order.
func (o *Overlay) behind() bool { return o.seen.Sub(o.at) > maxLag }

// Ordered takes in the next block of the order. It does not wait for anything.
func (o *Overlay) Ordered(b Ordered) {
	if o.cfg.Speculator == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.signal()
	now := o.cfg.Now()
	o.work(b.Took, now.Sub(o.made))
	o.head, o.height, o.at, o.seen, o.made = b.Head, b.Height, b.Time, now, now
	ordered, passed := o.set.order(b.Bundles)
	for _, e := range o.waits {
		ordered[e.id] = e
	}
	o.waits = nil
	for _, x := range b.Bundles {
		if e := ordered[x.ID]; e != nil {
			o.settle(e, x.Outcomes)
		}
	}
	o.left(passed, b.Height)
}

// left settles what will not be ordered any more.
func (o *Overlay) left(passed []*entry, height uint64) {
	for _, e := range passed {
		o.settle(e, nil)
	}
	for _, e := range o.set.expire(height) {
		o.settle(e, nil)
		if o.untrue[e.source]++; o.untrue[e.source] >= maxUntrue {
			clear(o.untrue)
			o.reader.leave(e.source)
		}
	}
}

// Gathered takes in the next block of the order where that waits for its rollup block:
// until then it stands first in the pending block, before all that is certified. It does
// not wait for anything.
func (o *Overlay) Gathered(b Gathered) {
	if o.cfg.Speculator == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.signal()
	o.height, o.at, o.seen = b.Height, b.Time, o.cfg.Now()
	waits := gatheredEntries(b)
	bundles := make([]OrderedBundle, len(waits))
	for i, e := range waits {
		bundles[i] = OrderedBundle{ID: e.id, Batch: e.batch}
	}
	ordered, passed := o.set.order(bundles)
	for i, e := range waits {
		// What was said of it before it was ordered may be wrong.
		if said := ordered[e.id]; said != nil && said.same(e) {
			waits[i] = said
		} else if said != nil {
			o.settle(said, nil)
		}
	}
	o.waits = append(o.waits, waits...)
	o.left(passed, b.Height)
}

// settle counts what became of what was shown. What is being tried out right now
// may be shown already: it is counted when the trial ends.
func (o *Overlay) settle(e *entry, outcomes []execution.Outcome) {
	if e.trying {
		e.gone, e.final = true, outcomes
		return
	}
	for i, f := range e.fates {
		if f.shown == (execution.Outcome{}) {
			continue
		}
		if f.mixed || i >= len(outcomes) || outcomes[i] != f.shown {
			o.metrics.contradicted.Inc()
		} else {
			o.metrics.confirmed.Inc()
		}
	}
}

// plan is what to try out next.
type plan struct {
	anew    bool
	parent  execution.Hash
	height  uint64
	at      time.Time
	entries []*entry
	more    bool
}

// next plans a step: entries behind those that were tried out, or all of them
// anew where the head has moved or one has come between.
func (o *Overlay) next() (p plan, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	p = plan{parent: o.head.Hash, height: o.height + 1, at: o.cfg.Now()}
	if !o.seen.IsZero() {
		p.at = o.at.Add(p.at.Sub(o.seen)) // by the clock of the order
	}
	if next := o.head.Time.Add(o.cfg.BlockTime); o.cfg.BlockTime > 0 && p.at.Before(next) {
		p.at = next // it is not made before
	}
	if o.behind() {
		return p, false
	}
	rest := slices.Concat(o.waits, o.set.entries)
	p.anew = o.parent != o.head.Hash || len(o.built) > len(rest)
	for i := 0; i < len(o.built) && !p.anew; i++ {
		p.anew = o.built[i] != rest[i]
	}
	if !p.anew {
		rest = rest[len(o.built):]
	}
	n := 0
	for i, e := range rest {
		if n += len(e.txs); i > 0 && n > stepTransactions {
			p.more = true
			break
		}
		p.entries = append(p.entries, e)
		e.trying = true
	}
	return p, p.anew || len(p.entries) > 0
}

// step tries out what is due.
func (o *Overlay) step(ctx context.Context) error {
	p, ok := o.next()
	if !ok {
		return nil
	}
	var txs [][]byte
	legs := []execution.Leg{} // known, even where there are none
	for _, e := range p.entries {
		txs, legs = append(txs, e.txs...), append(legs, e.legs...)
	}
	start := time.Now()
	var outcomes []execution.Outcome
	var err error
	switch s, ok := o.cfg.Speculator.(execution.LegSpeculator); {
	case p.anew:
		outcomes, err = o.cfg.Speculator.Speculate(ctx, p.parent, execution.Block{Height: p.height, Time: p.at, Transactions: txs, Legs: legs})
	case ok:
		outcomes, err = s.ExtendLegs(ctx, p.parent, txs, legs)
	default:
		outcomes, err = o.cfg.Speculator.Extend(ctx, p.parent, txs)
	}
	o.metrics.trial(p.anew, time.Since(start))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tried(p, outcomes, err == nil)
	if errors.Is(err, execution.ErrParent) {
		return nil // the block that moved the head is about to be told
	}
	if p.more {
		o.signal()
	}
	return err
}

// tried notes what a trial showed, if it came to its end.
func (o *Overlay) tried(p plan, outcomes []execution.Outcome, ended bool) {
	switch {
	case !ended:
		o.built, o.parent = nil, execution.Hash{}
	case p.anew:
		o.built, o.parent = nil, p.parent
	}
	now := o.cfg.Now()
	for _, e := range p.entries {
		e.trying = false
		if ended {
			o.built = append(o.built, e)
			for i := range e.txs {
				e.fates[i].show(outcomes[i])
			}
			outcomes = outcomes[len(e.txs):]
			if !e.heard.IsZero() {
				o.metrics.shown.Observe(now.Sub(e.heard).Seconds())
				e.heard = time.Time{}
			}
		}
		if e.gone {
			o.settle(e, e.final)
		}
	}
}
