package follower

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

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
	From    uint64
	Options Options
	// Taken, where set, tells what was made of a block at or above From that was handed
	// over before, or read from elsewhere. With it the reader also looks at blobs of blocks
	// that it has passed: one may prove that what was taken as data is void.
	Taken func(height uint64) (Taken, bool, error)

	Limits     BlobLimits
	Poll       time.Duration // between looks at the layer's head
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

const (
	// DefaultPoll is how often the DA layer is asked for its head.
	DefaultPoll = 200 * time.Millisecond
	// maxPoll bounds the back-off while the layer does not answer.
	maxPoll = 15 * time.Second
)

// FirmBlock is a verified block that was read from DA.
type FirmBlock struct {
	*Block
	Layer    string // its name
	DAHeight uint64
	Cursor   Cursor // resumes after this block
}

// FirmReader reads the firm order of one rollup from a DA layer. Whatever stands
// there under the rollup's namespace is anyone's: what does not verify as the next
// block is passed over and counted, and never stops the reader.
type FirmReader struct {
	cfg     FirmConfig
	metrics firmMetrics
	decoder *blobDecoder

	verifier *Verifier
	read     uint64 // DA height that was read whole
	awaited  []awaited
	again    *[]awaited // collects them while DA heights are read again
	handle   func(context.Context, FirmBlock) error
}

// NewFirmReader checks the config and returns a FirmReader.
func NewFirmReader(cfg FirmConfig) (*FirmReader, error) {
	if cfg.Rollup == (order.RollupID{}) {
		return nil, errors.New("firm reader: no rollup is given")
	}
	if len(cfg.Layers) == 0 {
		return nil, errors.New("firm reader: no DA layer is given")
	}
	if cfg.Trust.chainID == "" {
		return nil, errors.New("firm reader: nothing is trusted; give a genesis, or a height and hash")
	}
	if cfg.Limits == (BlobLimits{}) {
		cfg.Limits = DefaultBlobLimits
	}
	if cfg.Poll <= 0 {
		cfg.Poll = DefaultPoll
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
	r := &FirmReader{cfg: cfg, metrics: newFirmMetrics(cfg.Registerer), decoder: decoder}
	if cfg.Taken != nil {
		decoder.passed = r.passed
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
	r.handle, r.again = handle, nil
	var head uint64
	reported := r.cfg.Now()
	for {
		if i := slices.IndexFunc(r.awaited, func(a awaited) bool { return a.first <= r.verifier.Height() }); i >= 0 {
			if err := r.readAgain(ctx, r.awaited[i]); err != nil {
				return err
			}
			continue
		}
		if r.read >= head {
			var err error
			if head, err = r.waitHead(ctx); err != nil {
				return err
			}
		}
		if err := r.readHeight(ctx, r.read+1); err != nil {
			return err
		}
		r.read++
		r.metrics.daHeight.Set(float64(r.read))
		r.metrics.awaited.Set(float64(len(r.awaited)))
		if now := r.cfg.Now(); r.read < head && now.Sub(reported) >= progressEvery {
			r.cfg.Logger.Info("reading the order back from DA", "layer", r.cfg.Layers[0].Name(), "da_height", r.read, "of", head, "next_height", r.verifier.Height())
			reported = now
		}
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
	r.read, r.awaited = from.DAHeight, slices.Clone(from.awaited)
	return nil
}

// waitHead returns the layer's head once it is above what was read.
func (r *FirmReader) waitHead(ctx context.Context) (head uint64, err error) {
	err = r.ask(ctx, "head", func() error {
		if head, err = r.cfg.Layers[0].Head(ctx); err != nil {
			return err
		}
		if head < r.read {
			return fmt.Errorf("its head is %d, but %d was read before: is it another layer?", head, r.read)
		}
		if head == r.read {
			return da.ErrNotYet
		}
		return nil
	})
	return head, err
}

// readHeight takes in what the rollup's namespace holds at a DA height.
func (r *FirmReader) readHeight(ctx context.Context, daHeight uint64) error {
	var blobs []da.Stored
	err := r.ask(ctx, fmt.Sprintf("blobs at height %d", daHeight), func() (err error) {
		blobs, err = r.cfg.Layers[0].Blobs(ctx, daHeight, da.Namespace(r.cfg.Rollup))
		return err
	})
	if err != nil {
		return err
	}
	skipped := 0
	var example error
	for _, b := range blobs {
		refused, err := r.take(ctx, b.Data, daHeight)
		if err != nil {
			return err
		}
		if refused != nil {
			r.metrics.skipped.WithLabelValues(reason(refused)).Inc()
			skipped, example = skipped+1, refused
		}
	}
	if skipped > 0 {
		r.cfg.Logger.Warn("DA blobs that do not verify were dropped", "da_height", daHeight,
			"dropped", skipped, "of", len(blobs), "next_height", r.verifier.Height(), "for_example", example)
	}
	return nil
}

// readAgain reads DA heights that hold a blob which is next by now. They stay
// noted until that is done, so that a cursor handed over on the way still has them.
func (r *FirmReader) readAgain(ctx context.Context, a awaited) error {
	var again []awaited
	r.again = &again
	for h := a.from; h <= a.to; h++ {
		if err := r.readHeight(ctx, h); err != nil {
			return err
		}
	}
	r.again = nil
	r.awaited = slices.DeleteFunc(r.awaited, func(o awaited) bool { return o == a })
	for _, o := range again {
		r.awaited = await(r.awaited, o.first, o.from)
	}
	return nil
}

func (r *FirmReader) await(first, daHeight uint64) {
	list := &r.awaited
	if r.again != nil {
		list = r.again
	}
	*list = await(*list, first, daHeight)
}

// take verifies a blob. Errors of the blob come back as refused, those that stop
// the reader as err.
func (r *FirmReader) take(ctx context.Context, raw []byte, daHeight uint64) (refused, err error) {
	h, err := parseBlobHeader(raw, r.cfg.Limits)
	if err != nil {
		return err, nil
	}
	switch next := r.verifier.Height(); {
	case h.last() < next:
		r.metrics.skipped.WithLabelValues("duplicate").Inc()
		return nil, r.pass(raw, h)
	case h.first > next:
		r.await(h.first, daHeight)
		return nil, nil
	}
	if err := r.decoder.open(raw, h); err != nil {
		return err, nil
	}
	for {
		rb, err := r.decoder.next(r.verifier.Height())
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case errors.Is(err, errPassed):
			return nil, err
		case err != nil:
			return err, nil
		}
		before := *r.verifier
		b, err := r.verify(ctx, rb)
		if errors.Is(err, ErrExpired) || ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			return err, nil
		}
		cursor := Cursor{DAHeight: r.read, Checkpoint: b.Checkpoint(), awaited: slices.Clone(r.awaited)}
		switch err := r.handle(ctx, FirmBlock{Block: b, Layer: r.cfg.Layers[0].Name(), DAHeight: daHeight, Cursor: cursor}); {
		case errors.Is(err, ErrVoidData):
			*r.verifier = before
			return err, nil
		case err != nil:
			return nil, err
		}
		r.metrics.blocks.Inc()
		r.metrics.height.Set(float64(b.Height))
	}
}

// pass looks through a blob of blocks that were all passed. Errors: VoidError, and those
// of Taken.
func (r *FirmReader) pass(raw []byte, h blobHeader) error {
	if r.cfg.Taken == nil {
		return nil
	}
	err := r.decoder.open(raw, h)
	if err == nil {
		_, err = r.decoder.next(r.verifier.Height())
	}
	if !errors.Is(err, errPassed) {
		err = nil // of the blob, which is of no use any more
	}
	return err
}

// verify verifies the next block. One from the future is really signed: it would
// be lost if it was dropped because the clock of this machine is slow, so it is
// waited for.
func (r *FirmReader) verify(ctx context.Context, rb *orderv1.RollupBlock) (*Block, error) {
	for logged := false; ; logged = true {
		b, err := r.verifier.Next(rb, r.cfg.Now())
		if !errors.Is(err, ErrFuture) {
			return b, err
		}
		if !logged {
			r.cfg.Logger.Warn("block from the future: is the clock of this machine right?", "error", err)
		}
		if err := sleep(ctx, r.cfg.Poll); err != nil {
			return nil, err
		}
	}
}

// ask calls fn until the layer answers. It only fails when ctx is done.
func (r *FirmReader) ask(ctx context.Context, what string, fn func() error) error {
	wait, failing := r.cfg.Poll, false
	for {
		err := fn()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || errors.Is(err, da.ErrNotYet):
			if failing {
				r.cfg.Logger.Info("DA layer answers again", "layer", r.cfg.Layers[0].Name())
			}
			if err == nil {
				return nil
			}
			wait, failing = r.cfg.Poll, false
		default:
			if !failing {
				r.cfg.Logger.Warn("DA layer does not answer", "layer", r.cfg.Layers[0].Name(), "asked_for", what, "error", err)
			}
			wait, failing = min(2*wait, maxPoll), true
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
