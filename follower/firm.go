package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
)

// MaxLayers bounds the layers that a FirmReader reads.
const MaxLayers = 2

// FirmConfig configures a FirmReader. Rollup, Layers and Trust are needed; the rest
// may be zero.
type FirmConfig struct {
	Rollup order.RollupID
	// Layers are the one that the rollup is published on, and where there is one the layer
	// that stands in for it. Their names differ.
	Layers []da.Layer
	Trust  Trust
	// From is the first height of the sequencer chain that is wanted, where it lies
	// above the first that Trust leads to.
	From uint64
	// DAFrom is the first height that is read of a layer, by its name; 1 where it is not there.
	DAFrom  map[string]uint64
	Options Options
	// Taken, where set, tells what was made of a block at or above From that was handed
	// over before, or read from elsewhere. With it the reader also looks at blobs of blocks
	// that it has passed: one may prove that what was taken as data is void.
	Taken func(height uint64) (Taken, bool, error)

	Limits     BlobLimits
	Retry      time.Duration // the first wait after a layer did not answer
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// FirmBlock is a verified block that was read from DA.
type FirmBlock struct {
	*Block
	Layer    string // its name
	DAHeight uint64
	Cursor   Cursor // resumes after this block
}

// FirmReader reads the firm order of one rollup from a DA layer, or two. Whatever stands
// there under the rollup's namespace is anyone's: what does not verify as the next
// block is passed over and counted, and never stops the reader. What both layers have is
// taken from whichever has it first.
type FirmReader struct {
	cfg     FirmConfig
	metrics firmMetrics
	decoder *blobDecoder

	verifier *Verifier
	tails    []*tail
	places   []place // of the tails
	others   []place // of layers that are not read any more
	handle   func(context.Context, FirmBlock) error
	refused  refusals
	bytes    uint64 // of blobs that were read

	fruitless int       // heights of any layer since the last block was handed over
	moved     time.Time // when that was
	progress  atomic.Pointer[Progress]
}

// NewFirmReader checks the config and returns a FirmReader.
func NewFirmReader(cfg FirmConfig) (*FirmReader, error) {
	if cfg.Rollup == (order.RollupID{}) {
		return nil, errors.New("firm reader: no rollup is given")
	}
	if len(cfg.Layers) == 0 || len(cfg.Layers) > MaxLayers {
		return nil, fmt.Errorf("firm reader: %d DA layers are given, want 1 to %d", len(cfg.Layers), MaxLayers)
	}
	if len(cfg.Layers) == 2 && cfg.Layers[0].Name() == cfg.Layers[1].Name() {
		return nil, fmt.Errorf("firm reader: both DA layers are %s", cfg.Layers[0].Name())
	}
	if cfg.Trust.chainID == "" {
		return nil, errors.New("firm reader: nothing is trusted; give a genesis, or a height and hash")
	}
	if cfg.Limits == (BlobLimits{}) {
		cfg.Limits = DefaultBlobLimits
	}
	if cfg.Retry <= 0 {
		cfg.Retry = minRetry
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	decoder, err := newBlobDecoder(cfg.Limits)
	if err != nil {
		return nil, err
	}
	r := &FirmReader{cfg: cfg, metrics: newFirmMetrics(cfg.Registerer), decoder: decoder, refused: refusals{log: cfg.Logger, now: cfg.Now}}
	for _, l := range cfg.Layers {
		if len(l.Name()) == 0 || len(l.Name()) > maxLayerName {
			return nil, fmt.Errorf("firm reader: a DA layer has the name %q, want 1 to %d bytes", l.Name(), maxLayerName)
		}
		r.tails = append(r.tails, &tail{layer: l, ns: da.Namespace(cfg.Rollup), retry: cfg.Retry, log: cfg.Logger})
	}
	return r, nil
}

// Run reads on from the cursor and hands each block to handle, in order, without
// gap or repeat, one at a time. A cursor that was handed over is safe to store
// once its block is: reading on from it repeats nothing and misses nothing. Run
// returns when ctx is done (its error), when handle fails (the handler's error, but
// for ErrVoidData), with ErrExpired, or with a VoidError. It must not run twice at a time.
func (r *FirmReader) Run(ctx context.Context, from Cursor, handle func(context.Context, FirmBlock) error) error {
	if err := r.start(from); err != nil {
		return err
	}
	r.handle, r.fruitless, r.moved = handle, 0, r.cfg.Now()
	ctx, cancel := context.WithCancel(ctx)
	lanes := make([]*lane, len(r.tails))
	for i, t := range r.tails {
		lanes[i] = &lane{r: r, at: i, live: t.follow(ctx, r.places[i].read)}
	}
	defer func() {
		cancel()
		for _, l := range lanes {
			l.drain()
		}
	}()
	for {
		waiting := false
		for _, l := range lanes {
			waiting = l.lookAgain(ctx) || waiting
		}
		r.report(waiting)
		if err := r.receive(ctx, lanes, waiting); err != nil {
			return err
		}
	}
}

// receive takes in the next height of any layer, or that it is time to look again.
func (r *FirmReader) receive(ctx context.Context, lanes []*lane, waiting bool) error {
	first, second := lanes[0], new(lane)
	if len(lanes) > 1 {
		second = lanes[1]
	}
	var look <-chan time.Time
	if waiting {
		timer := time.NewTimer(r.cfg.Retry)
		defer timer.Stop()
		look = timer.C
	}
	take := func(l *lane, in fetched, ok bool) error {
		if !ok || ctx.Err() != nil {
			return ctx.Err()
		}
		return l.take(ctx, in)
	}
	again := func(l *lane, in fetched, ok bool) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return l.takeAgain(ctx, in, ok)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-look:
		return nil
	case in, ok := <-first.live:
		return take(first, in, ok)
	case in, ok := <-second.live:
		return take(second, in, ok)
	case in, ok := <-first.again:
		return again(first, in, ok)
	case in, ok := <-second.again:
		return again(second, in, ok)
	}
}

func (r *FirmReader) start(from Cursor) error {
	trust := r.cfg.Trust
	if cp := from.Checkpoint; !cp.IsZero() {
		if cp.ChainID() != trust.chainID {
			return fmt.Errorf("firm reader: cursor is of chain %q, trusted is %q", cp.ChainID(), trust.chainID)
		}
		trust = trustCheckpoint(cp)
	}
	r.verifier = NewVerifier(r.cfg.Rollup, trust, r.cfg.Options)
	if r.cfg.From > r.verifier.Height() {
		if err := r.verifier.StartAt(r.cfg.From); err != nil {
			return fmt.Errorf("firm reader: %w", err)
		}
	}
	r.places, r.others = nil, nil
	for _, l := range r.cfg.Layers {
		p, ok := from.place(l.Name())
		if first := r.cfg.DAFrom[l.Name()]; !ok && first > 0 {
			p.read = first - 1
		}
		r.places = append(r.places, p)
	}
	for _, p := range from.places {
		if !slices.ContainsFunc(r.places, func(o place) bool { return o.layer == p.layer }) && len(r.others) < maxPlaces-MaxLayers {
			r.others = append(r.others, p)
		}
	}
	return nil
}

// cursor resumes after a block.
func (r *FirmReader) cursor(c Checkpoint) Cursor {
	places := append(slices.Clone(r.places), r.others...)
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.layer, b.layer) })
	return Cursor{Checkpoint: c, places: places}
}

// Progress is how far a reader is.
type Progress struct {
	Height uint64 // of the sequencer chain, the last block handed over
	Bytes  uint64 // that were read, of blobs of any kind
	Layers []LayerProgress

	busy bool // something is to be read again
}

// LayerProgress is how far a reader is on a layer.
type LayerProgress struct {
	Layer      string
	Read, Head uint64
	Answered   bool // the layer, at least once
}

// CaughtUp reports whether all layers have answered, and were read up to their heads.
func (p Progress) CaughtUp() bool {
	for i, l := range p.Layers {
		if !l.Answered || l.Read < l.Head || i == 0 && l.Head == 0 {
			return false
		}
	}
	return len(p.Layers) > 0 && !p.busy
}

// Progress returns how far Run has come. Safe to call beside it.
func (r *FirmReader) Progress() Progress {
	p := Progress{}
	if last := r.progress.Load(); last != nil {
		p = *last
		p.Layers = slices.Clone(p.Layers)
	}
	for i := range p.Layers {
		p.Layers[i].Head, p.Layers[i].Answered = r.tails[i].head.Load(), r.tails[i].answered.Load()
	}
	return p
}

func (r *FirmReader) report(busy bool) {
	p := &Progress{Height: r.verifier.Height() - 1, Bytes: r.bytes, busy: busy}
	for _, at := range r.places {
		p.Layers = append(p.Layers, LayerProgress{Layer: at.layer, Read: at.read})
		r.metrics.daHeight.WithLabelValues(at.layer).Set(float64(at.read))
		r.metrics.awaited.WithLabelValues(at.layer).Set(float64(len(at.awaited)))
		r.metrics.sets.WithLabelValues(at.layer).Set(float64(len(at.sets)))
	}
	r.progress.Store(p)
}
