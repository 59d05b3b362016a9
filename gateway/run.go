package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// infoInterval is how often the sequencers are asked for height and price.
	infoInterval = 2 * time.Second
	// maxFee is a price for 1,000 bytes, in uordo, that no chain asks.
	maxFee = 1 << 40
)

// answer is a sequencer's, to a bundle.
type answer struct {
	b      *bundle
	target int
	err    error
}

// Run works until ctx ends, which is no error, or the journal cannot be written.
// It may be called once.
//
// What comes in changes the core at once. Each step lets the core decide what is due, writes all that
// changed as one batch, and only then answers and sends. A crash before the write
// undoes what nobody was told of; a crash after it is the start of newCore.
func (g *Gateway) Run(ctx context.Context) error {
	select {
	case g.started <- struct{}{}:
	default:
		return errors.New("gateway runs already, or has run")
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		close(g.stopped)
	}()
	infos := make(chan Info)
	wg.Go(func() { g.pollInfo(ctx, infos) })
	answers := make(chan answer, 1) // one bundle is being sent at a time

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-g.wake:
		case a := <-answers:
			g.answered(a)
		case info := <-infos:
			g.locked(func(c *core, now time.Time) { c.setInfo(info, now) })
		case <-timer.C:
		}
		var w work
		var waiting []chan<- error
		g.locked(func(c *core, now time.Time) {
			w = c.step(now)
			waiting, g.waiting = g.waiting, nil
			timer.Reset(w.deadline.Sub(now))
		})
		if err := g.write(w); err != nil {
			answerAll(waiting, err)
			return err
		}
		answerAll(waiting, nil)
		g.metrics.setUnfunded(w.unfunded, g.core.payer, g.log)
		if w.send != nil {
			seq := g.cfg.Sequencers[w.target]
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, g.cfg.SendTimeout)
				defer cancel()
				answers <- answer{w.send, w.target, seq.SubmitBundle(ctx, w.sign)}
			})
		}
	}
}

func (g *Gateway) write(w work) error {
	if len(w.changes) == 0 {
		return nil
	}
	start := time.Now()
	if err := g.journal.commit(w.changes, w.sync); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if w.sync {
		g.metrics.journal.Observe(time.Since(start).Seconds())
	}
	return nil
}

func (g *Gateway) locked(f func(*core, time.Time)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g.core, g.cfg.Now())
}

func answerAll(waiting []chan<- error, err error) {
	for _, done := range waiting {
		done <- err
	}
}

func (g *Gateway) answered(a answer) {
	g.locked(func(c *core, now time.Time) { c.sent(a.b, a.target, a.err, now) })
	seq := g.cfg.Sequencers[a.target]
	g.metrics.answered(seq, a.err)
	if a.err != nil && !errors.Is(a.err, context.Canceled) {
		g.log.Debug("bundle not taken", "sequencer", seq.String(), "bundle", a.b.id.String(), "err", a.err)
	}
}

// pollInfo asks all sequencers for height and price, now and then.
func (g *Gateway) pollInfo(ctx context.Context, out chan<- Info) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		infos := g.askInfo(ctx)
		if len(infos) == 0 {
			wait.Reset(infoInterval / 10)
			continue
		}
		select {
		case out <- median(infos):
		case <-ctx.Done():
			return
		}
		wait.Reset(infoInterval)
	}
}

func (g *Gateway) askInfo(ctx context.Context) []Info {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.SendTimeout)
	defer cancel()
	infos := make([]Info, len(g.cfg.Sequencers))
	var wg sync.WaitGroup
	for i, s := range g.cfg.Sequencers {
		wg.Go(func() {
			info, err := s.Info(ctx)
			switch {
			case err != nil:
				g.log.Debug("no info", "sequencer", s.String(), "err", err)
			case info.ChainID != g.cfg.ChainID:
				g.log.Error("sequencer is of another chain", "sequencer", s.String(), "chain_id", info.ChainID, "want", g.cfg.ChainID)
			case info.FeePerKilobyte > maxFee || info.Height == 0:
				g.log.Warn("sequencer's info makes no sense", "sequencer", s.String(), "fee_per_kilobyte", info.FeePerKilobyte, "height", info.Height)
			default:
				infos[i] = info
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(infos, func(i Info) bool { return i.ChainID == "" })
}

// median takes the lower median of each value: a minority of liars does not move
// it. Too high a height would make expiries that never pass.
func median(infos []Info) Info {
	pick := func(value func(Info) uint64) uint64 {
		vs := make([]uint64, len(infos))
		for i, info := range infos {
			vs[i] = value(info)
		}
		slices.Sort(vs)
		return vs[(len(vs)-1)/2]
	}
	return Info{
		ChainID:         infos[0].ChainID,
		Height:          pick(func(i Info) uint64 { return i.Height }),
		FeePerKilobyte:  pick(func(i Info) uint64 { return i.FeePerKilobyte }),
		MaxExpiryBlocks: pick(func(i Info) uint64 { return i.MaxExpiryBlocks }),
		MaxBundleBytes:  pick(func(i Info) uint64 { return i.MaxBundleBytes }),
	}
}
