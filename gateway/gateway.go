package gateway

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
)

// ErrStopped is returned by Submit and Observe where Run has ended.
var ErrStopped = errors.New("gateway has stopped")

// Config says how a gateway works. Zero values stand for the defaults where
// there is one.
type Config struct {
	RollupID   order.RollupID
	ChainID    string             // of the sequencer chain
	Key        ed25519.PrivateKey // of the payer
	Dir        string             // of the journal
	Sequencers []Sequencer        // in the order in which they are tried; not empty
	Chain      Chain

	FlushInterval   time.Duration // least time between two bundles; default 5ms
	ResendAfter     time.Duration // a bundle taken and not ordered goes to the next sequencer; default 3s
	SendTimeout     time.Duration // of one call of a sequencer; default 2s
	HoldFor         time.Duration // how long a transaction waits for a nonce gap to be filled, a user's bundle for its first block; default 30min
	KeepEnded       time.Duration // how long outcomes are remembered; default 1h
	MaxTxs          int           // transactions held; default 50,000
	MaxTxsPerSender int           // of one sender; default 2,048
	MaxBytes        int           // of all transactions held; default 64 MiB
	MaxInFlight     int           // live bundles, the gateway's own and users' each; default 128
	MaxUserBundles  int           // users' bundles held; default 4,096
	MaxUserBytes    int           // of all users' bundles held; default 32 MiB
	// UserBytesPerSecond bounds what users' bundles may have the payer pay for, over time,
	// whatever becomes of them; default: no bound.
	UserBytesPerSecond int

	Logger     *slog.Logger          // default: none
	Registerer prometheus.Registerer // default: none
	Now        func() time.Time      // default time.Now

	fs vfs.FS // of tests
}

func (c *Config) check() error {
	switch {
	case c.RollupID == order.RollupID{}:
		return errors.New("gateway: no rollup ID")
	case c.ChainID == "" || len(c.ChainID) > order.MaxChainIDLen:
		return fmt.Errorf("gateway: sequencer chain ID of %d bytes, want 1 to %d", len(c.ChainID), order.MaxChainIDLen)
	case len(c.Key) != ed25519.PrivateKeySize:
		return fmt.Errorf("gateway: payer key of %d bytes, want %d", len(c.Key), ed25519.PrivateKeySize)
	case len(c.Sequencers) == 0:
		return errors.New("gateway: no sequencer; give at least one URL of a sequencer's API")
	case c.Chain == nil:
		return errors.New("gateway: no rollup chain")
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.FlushInterval, 5*time.Millisecond)
	def(&c.ResendAfter, 3*time.Second)
	def(&c.SendTimeout, 2*time.Second)
	def(&c.HoldFor, 30*time.Minute)
	def(&c.KeepEnded, time.Hour)
	bound := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	bound(&c.MaxTxs, 50_000)
	bound(&c.MaxTxsPerSender, 2048)
	bound(&c.MaxBytes, 64<<20)
	bound(&c.MaxInFlight, 128)
	bound(&c.MaxUserBundles, 4096)
	bound(&c.MaxUserBytes, 32<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// Gateway is open from New to Close. Its methods are safe for concurrent use.
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	journal *journal
	metrics *metrics

	mu      sync.RWMutex // guards core, waiting and watches
	core    *core
	waiting []chan<- error // for what was taken in to be on disk
	watches watches

	wake    chan struct{} // something was taken in
	started chan struct{} // a token: Run is called once
	stopped chan struct{} // closed when Run has ended
}

// New opens the journal and takes up what it holds. It sends nothing before Run.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	j, l, err := openJournal(cfg.Dir, cfg.fs, cfg.RollupID, cfg.ChainID, cfg.Logger)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, log: cfg.Logger, journal: j,
		wake: make(chan struct{}, 1), started: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	if g.core, err = newCore(&g.cfg, l); err != nil {
		return nil, errors.Join(fmt.Errorf("read journal %s: %w", cfg.Dir, err), j.close())
	}
	g.core.touch = g.watches.tell
	if g.metrics, err = newMetrics(cfg.Registerer, g); err != nil {
		return nil, errors.Join(err, j.close())
	}
	if n := g.core.counts(); n.Queued+n.InFlight+n.Users > 0 {
		g.log.Info("gateway takes up transactions", "transactions", n.Queued+n.InFlight, "bundles_in_flight", n.Bundles, "users_bundles", n.Users, "observed_height", l.observed)
	}
	return g, nil
}

// Close releases the journal, after Run has returned.
func (g *Gateway) Close() error {
	g.metrics.unregister(g.cfg.Registerer)
	return g.journal.close()
}

// Submit hands in a transaction and returns once it is on disk; it needs Run. It is
// Admit and Wait in one. Errors: those of both.
func (g *Gateway) Submit(ctx context.Context, tx Tx) error {
	a, err := g.Admit(tx)
	if errors.Is(err, ErrKnown) {
		return errors.Join(err, g.Flush(ctx))
	}
	if err != nil {
		return err
	}
	return a.Wait(ctx)
}

// Flush returns once all that was admitted before is on disk: who is told that a
// transaction is known takes that for a promise too.
func (g *Gateway) Flush(ctx context.Context) error {
	if g.hasStopped() {
		return ErrStopped
	}
	a, err := g.take(func(*core, time.Time) error { return nil })
	if err != nil {
		return err
	}
	return a.Wait(ctx)
}

// Admit hands in a transaction. It is in the queue when Admit returns, so that the
// next one can be judged by it, and on disk when Wait returns: only then may anybody
// be told that it was accepted. A transaction of the same sender and nonce that is
// still queued is replaced: the caller has judged that it should be.
// Errors: ErrKnown, ErrFull, ErrNonceInFlight, ErrTooLarge, ErrUnfunded, ErrStopped.
func (g *Gateway) Admit(tx Tx) (*Admission, error) {
	if g.hasStopped() {
		return nil, ErrStopped
	}
	a, err := g.take(func(c *core, now time.Time) error { return c.admit(tx, now) })
	g.metrics.submitted(err)
	return a, err
}

// Observe tells what one block of the sequencer chain did for the rollup. The
// caller calls it for each height, in order, after the block was executed, also
// where the block holds nothing; repeating heights is harmless. It needs Run.
// Errors: ErrStopped.
func (g *Gateway) Observe(ctx context.Context, o Observed) error {
	if g.hasStopped() {
		return ErrStopped
	}
	a, err := g.take(func(c *core, now time.Time) error { c.observe(o, now); return nil })
	if err != nil {
		return err
	}
	return a.Wait(ctx)
}

// Certified tells that a sequencer says that the bundles are certified: so it is
// shown, and nothing else follows from it. Others' bundles may be among them.
func (g *Gateway) Certified(ids ...order.BundleID) {
	g.locked(func(c *core, now time.Time) {
		for _, id := range ids {
			c.certify(id, now)
		}
	})
}

// take changes the core and has the next step write what that changed.
func (g *Gateway) take(f func(*core, time.Time) error) (*Admission, error) {
	done := make(chan error, 1)
	g.mu.Lock()
	err := f(g.core, g.cfg.Now())
	if err == nil {
		g.waiting = append(g.waiting, done)
	}
	g.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return &Admission{done: done, stopped: g.stopped}, nil
}

func (g *Gateway) hasStopped() bool {
	select {
	case <-g.stopped:
		return true
	default:
		return false
	}
}

// Admission is something taken in that may not be on disk yet.
type Admission struct {
	done    <-chan error
	stopped <-chan struct{}
}

// Wait returns once it is on disk; it may be called once. Where ctx ends first, or
// Run, it may get to the disk all the same. Errors: ErrStopped.
func (a *Admission) Wait(ctx context.Context) error {
	select {
	case err := <-a.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-a.stopped:
		select {
		case err := <-a.done:
			return err
		default:
			return ErrStopped
		}
	}
}

// Height returns the last sequencer height observed, as far as it is on disk
// after a restart. A caller that resumes above it may observe the heights between again.
func (g *Gateway) Height() uint64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.core.observed
}

// Pending returns the sender's transactions that have not ended, by nonce. There
// may be gaps. The caller must not change Raw.
func (g *Gateway) Pending(sender string) []Tx {
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := g.core.senders[sender]
	if s == nil {
		return nil
	}
	txs := make([]Tx, len(s.txs))
	for i, e := range s.txs {
		txs[i] = e.Tx
	}
	return txs
}

// Get returns what is known of a transaction. Raw is nil where it has ended, and where it
// is known only from a user's bundle, which is nobody else's to see.
func (g *Gateway) Get(hash [32]byte) (Tx, State, bool) {
	tx, st, ok := g.get(hash)
	if st.Phase == PhaseDropped {
		// It may have come into the order by another bundle, or by somebody else.
		if executed, err := g.cfg.Chain.Executed(hash); err == nil && executed {
			st = State{Phase: PhaseExecuted, Received: st.Received, Ended: st.Ended}
		}
	}
	return tx, st, ok
}

func (g *Gateway) get(hash [32]byte) (Tx, State, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if e := g.core.txs[hash]; e != nil {
		return e.Tx, g.core.state(e), true
	}
	r := g.core.history.get(hash)
	if p, i := g.core.parcelOf(hash); p != nil && (r == nil || r.Phase != PhaseExecuted && (p.outcome == nil || p.outcome.Ended.After(r.Ended))) {
		return Tx{Hash: hash}, g.core.stateInParcel(p, i, g.cfg.Now()), true
	}
	if r != nil {
		return Tx{Hash: hash}, r.State, true
	}
	return Tx{}, State{}, false
}

// state describes a transaction that has not ended.
func (c *core) state(e *entry) State {
	if e.bundle == nil {
		return State{Phase: PhaseQueued, Reason: c.send.unfunded, Received: e.received}
	}
	return State{Phase: PhaseInFlight, Reason: e.bundle.trouble, Bundle: e.bundle.id, Received: e.received, Certified: e.bundle.certified}
}

// Content returns all transactions that have not ended, by sender and nonce.
func (g *Gateway) Content() map[string][]Tx {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make(map[string][]Tx, len(g.core.senders))
	for name, s := range g.core.senders {
		txs := make([]Tx, len(s.txs))
		for i, e := range s.txs {
			txs[i] = e.Tx
		}
		out[name] = txs
	}
	return out
}

// Counts tells how much waits.
type Counts struct {
	Queued, InFlight int // transactions
	Bundles          int // live
	Users            int // users' bundles that have not ended
	Bytes            int // of the transactions
	UserBytes        int // of the users' bundles
	// Unfunded says why no bundle is taken; "" where all is well.
	Unfunded string
}

// Counts returns how much waits.
func (g *Gateway) Counts() Counts {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.core.counts()
}

func (c *core) counts() Counts {
	ps := &c.parcels
	n := Counts{Bundles: len(c.live), Users: len(ps.waiting) + ps.live, Bytes: c.bytes, UserBytes: ps.size, Unfunded: c.send.unfunded}
	for _, b := range c.live {
		for _, e := range b.txs {
			if !e.ended {
				n.InFlight++
			}
		}
	}
	n.Queued = len(c.txs) - n.InFlight
	return n
}
