package relayer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

const (
	// memoryBytes bounds the blocks that gather, over all rollups.
	memoryBytes = 48 << 20
	// sendBytes bounds the blobs under way to the layers; where it would hold none, one goes
	// by itself. Adapters take some times as much to encode them.
	sendBytes = 32 << 20
)

// Rollup is one rollup whose order is relayed.
type Rollup struct {
	Name  string // for logs and metrics
	ID    order.RollupID
	Start uint64 // first height wanted, where the journal knows of none
	Layer string // name of its DA layer
}

// Layer is a DA layer and what the relayer has to know of it.
type Layer struct {
	da.Layer
	// A submission whose outcome is unknown, and that is not found on the layer, is taken
	// for lost once the layer's head is SettleBlocks above the one before it and Settle has
	// passed. It is looked for no farther than Window blocks above that head; 0: as far as
	// there are any.
	Settle       time.Duration
	SettleBlocks uint64
	Window       uint64
	// Recorded says that the layer itself records on the sequencer chain what it stores: it
	// needs no claims.
	Recorded bool
}

// Source is the verified order of some rollups, as of a follower.Group.
type Source interface {
	// Run hands over, from the height on, what each block holds for the rollups, in order,
	// without gap, and waits for it. It returns when ctx is done, when handle fails, or when
	// it cannot go on.
	Run(ctx context.Context, from uint64, handle func(ctx context.Context, blocks []*follower.Block) error) error
}

// Claimer records claims on the sequencer chain.
type Claimer interface {
	// Claim returns the height that recorded all of them. Errors: da.ErrRejected where the
	// same claims will never be taken, claims.ErrNoRoom where they are taken one by one but for
	// those about some rollup, which are taken later; others may be tried again.
	Claim(ctx context.Context, claims []da.Claim) (height uint64, err error)
}

// Options is what a Relayer is made of. Rollups, Layers, Open and Journal are needed.
type Options struct {
	Rollups []Rollup
	Layers  []Layer
	// Fallback names the layer that takes the blobs of one that confirms nothing for
	// FallbackAfter while blobs wait; empty: none.
	Fallback      string
	FallbackAfter time.Duration
	// Open returns a source of some rollups; the checkpoint, where it is not zero, is a
	// block that was verified before, below what is asked for.
	Open    func([]order.RollupID, follower.Checkpoint) (Source, error)
	Journal string // directory
	Batch   BatchConfig
	// Claimer, where set, is told each ClaimInterval what was posted.
	Claimer       Claimer
	ClaimInterval time.Duration
	// Confirmed, where set, tells what the sequencer chain says about the rollups, those that
	// it says nothing about left out. Claims are then kept until they are confirmed, and
	// made again where the chain lets them fall; otherwise until they are recorded.
	Confirmed func(ctx context.Context, rollups []order.RollupID) (map[order.RollupID]Availability, error)
	// ChainHead, where set, tells the height of the sequencer chain, for Status alone.
	ChainHead func(ctx context.Context) (uint64, error)

	FS         vfs.FS // nil is the machine's
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	Random     func() float64 // in [0, 1)
	// RetryMin and RetryMax bound the wait after a failure.
	RetryMin, RetryMax time.Duration
}

// Relayer relays any number of rollups to any number of layers.
type Relayer struct {
	open      func([]order.RollupID, follower.Checkpoint) (Source, error)
	claimer   Claimer
	confirmed func(ctx context.Context, rollups []order.RollupID) (map[order.RollupID]Availability, error)
	chainHead func(ctx context.Context) (uint64, error)
	journal   *journal
	log       *slog.Logger
	now       func() time.Time
	backoff   func(failures int) time.Duration

	mu   sync.Mutex
	core *core // guarded by mu

	events chan event
	io     sync.WaitGroup // whoever may send an event
}

// event tells the core what happened, in the one goroutine that steps it. Its error ends
// the relayer.
type event func(now time.Time, w *write) error

// New opens the journal and takes up what it holds.
func New(o Options) (*Relayer, error) {
	o = withDefaults(o)
	if err := o.Batch.validate(); err != nil {
		return nil, err
	}
	layers, err := o.layers()
	if err != nil {
		return nil, err
	}
	j, err := openJournal(o.Journal, o.FS)
	if err != nil {
		return nil, err
	}
	backoff := func(failures int) time.Duration {
		wait := o.RetryMax
		if failures < 20 {
			wait = min(wait, o.RetryMin<<failures)
		}
		return wait/2 + time.Duration(o.Random()*float64(wait/2)) // in fair disorder
	}
	m := newMetrics(o.Registerer)
	r := &Relayer{
		open: o.Open, claimer: o.Claimer, confirmed: o.Confirmed, chainHead: o.ChainHead, journal: j, log: o.Logger, now: o.Now, backoff: backoff, events: make(chan event),
		core: &core{
			batch: o.Batch, fallbackAfter: o.FallbackAfter, probeEvery: min(o.FallbackAfter, 30*time.Second), backoff: backoff,
			log: o.Logger, metrics: m, layers: layers, checkpoints: map[uint64]int{},
			claims: claims{on: o.Claimer != nil, asks: o.Confirmed != nil, most: maxKept / max(1, len(o.Rollups)), interval: o.ClaimInterval, backoff: backoff, log: o.Logger, metrics: m},
		},
	}
	if err := r.core.restore(j, o.Rollups, o.Now()); err != nil {
		return nil, errors.Join(err, j.close())
	}
	return r, nil
}

func withDefaults(o Options) Options {
	standard := DefaultConfig()
	if o.Batch == (BatchConfig{}) {
		o.Batch = standard.Batch
	}
	if o.FallbackAfter <= 0 {
		o.FallbackAfter = time.Duration(standard.FallbackAfter)
	}
	if o.ClaimInterval <= 0 {
		o.ClaimInterval = time.Duration(standard.ClaimInterval)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.RetryMin <= 0 {
		o.RetryMin = time.Second
	}
	if o.RetryMax <= 0 {
		o.RetryMax = 15 * time.Second
	}
	return o
}

// layers checks the layers and ties each to its fallback.
func (o Options) layers() ([]*layer, error) {
	var out []*layer
	var fallback *layer
	for _, l := range o.Layers {
		if have := l.Limits().MaxBlobBytes; have < follower.MinBlobLimit {
			return nil, fmt.Errorf("the %s DA layer takes blobs of at most %d bytes, but a blob cannot be split for less than %d", l.Name(), have, follower.MinBlobLimit)
		}
		out = append(out, &layer{Layer: l, name: l.Name()})
		if l.Name() == o.Fallback {
			fallback = out[len(out)-1]
		}
	}
	if o.Fallback != "" && fallback == nil {
		return nil, fmt.Errorf("the fallback %q is none of the DA layers", o.Fallback)
	}
	for _, l := range out {
		if l != fallback {
			l.fallback = fallback
		}
	}
	return out, nil
}

// restore takes up what the journal holds. Whatever was submitted before the relayer
// ended, and has no outcome there, may be on its layer.
func (c *core) restore(j *journal, rollups []Rollup, now time.Time) error {
	byName := func(name string) *layer {
		if i := slices.IndexFunc(c.layers, func(l *layer) bool { return l.name == name }); i >= 0 {
			return c.layers[i]
		}
		return nil
	}
	checkpoints := map[uint64]follower.Checkpoint{}
	for _, known := range rollups {
		s, err := j.rollup(known.ID)
		if err != nil {
			return err
		}
		r := &rollup{
			Rollup: known, main: byName(known.Layer), next: max(s.next, 1), saved: s.next, blobs: s.blobs, posted: s.posted,
			log: c.log.With("rollup", known.Name), metrics: c.metrics.of(known.Name),
		}
		if r.main == nil {
			return fmt.Errorf("rollup %s goes to the DA layer %q, which is none of those given", known.Name, known.Layer)
		}
		r.maxPiece = r.main.Limits().MaxBlobBytes
		if f := r.main.fallback; f != nil {
			r.maxPiece = min(r.maxPiece, f.Limits().MaxBlobBytes)
		}
		if s.next == 0 {
			r.next = max(known.Start, 1)
		} else {
			if r.checkpoint, err = restoreCheckpoint(j, s.next-1, checkpoints); err != nil {
				return err
			}
			c.checkpoints[s.next]++
		}
		for _, b := range r.blobs {
			b.since = now
			r.bytes += b.size()
		}
		if m := s.sent; m != nil {
			if l := byName(m.layer); l != nil {
				r.sent = &sent{layer: l, noted: m.noted, pieces: m.pieces, unsure: true, since: now}
			} else {
				r.log.Warn("what was submitted to a DA layer that is no more in the config may be there, and is posted again", "layer", m.layer)
			}
		}
		if m := s.moved; m != nil && m.layer == r.main.name && r.main.fallback != nil && len(r.blobs) > 0 && r.blobs[0].from <= m.to {
			r.elsewhere, r.movedAt = m.to, now
		}
		if r.posted.height > 0 {
			r.metrics.confirmed.Set(float64(r.posted.height))
			if l := byName(r.posted.layer); l != nil {
				l.posted = max(l.posted, r.posted.daHeight)
			}
		}
		r.metrics.pending.Set(float64(r.bytes))
		c.claims.restore(r, s.claims)
		c.rollups = append(c.rollups, r)
	}
	c.claims.count()
	return c.restoreOthers(j)
}

// restoreOthers keeps what the journal holds of rollups that are not to be relayed now, for
// when they are again: beside their blobs, the checkpoint from which they are read on.
func (c *core) restoreOthers(j *journal) error {
	return j.each([]byte{keyNext}, []byte{keyNext + 1}, func(key, raw []byte) error {
		id, err := order.RollupIDFromBytes(key[1:])
		if err != nil || len(raw) != 8 {
			return errors.Join(err, fmt.Errorf("journal: record %q has %d bytes", keyNext, len(raw)))
		}
		if slices.ContainsFunc(c.rollups, func(r *rollup) bool { return r.ID == id }) {
			return nil
		}
		c.checkpoints[binary.BigEndian.Uint64(raw)]++
		s, err := j.rollup(id)
		if err == nil && len(s.blobs) > 0 {
			c.log.Warn("the journal holds data of a rollup that is not among the rollups of the config: it is posted when the rollup is one again",
				"rollup_id", id.String(), "from_height", s.blobs[0].from, "to_height", s.blobs[len(s.blobs)-1].to)
		}
		return err
	})
}

func restoreCheckpoint(j *journal, height uint64, known map[uint64]follower.Checkpoint) (follower.Checkpoint, error) {
	if cp, ok := known[height]; ok {
		return cp, nil
	}
	raw, err := j.checkpoint(height)
	if err != nil {
		return follower.Checkpoint{}, err
	}
	cp, err := follower.DecodeCheckpoint(raw)
	if err != nil {
		return cp, fmt.Errorf("journal: checkpoint of height %d: %w", height, err)
	}
	known[height] = cp
	return cp, nil
}

// Close closes the journal, after Run has returned.
func (r *Relayer) Close() error { return r.journal.close() }
