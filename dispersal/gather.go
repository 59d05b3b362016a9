package dispersal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// gathering gets shares of one batch until there are enough. Holders are asked side by
// side, those of data shards first, whose shards are the batch as it is; more than should
// be enough only where some are slow, absent or wrong.
type gathering struct {
	r      *Retriever
	core   order.BatchCore
	layout *shard.Layout
	memory *shard.Rebuilder

	holders []holding
	asked   int                       // of holders
	coming  int                       // shards that those who were asked and have not answered hold
	held    int                       // shards that verified
	shares  []given                   // that verified
	out     map[order.Owner]time.Time // who was asked, when, and has not answered; without this node
	fastest time.Duration             // answer of another holder; 0 before there is one
	hedged  bool
}

// holding is what one holder has.
type holding struct {
	owner order.Owner
	run   shard.Range
}

// given is what a holder answered.
type given struct {
	holding
	share   []byte
	release func() // of the share; may be nil
	err     error
	took    time.Duration
}

func (a *given) done() {
	if a.release != nil {
		a.release()
	}
}

// run returns once the batch can be rebuilt. Errors: ErrUnavailable.
func (g *gathering) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := g.list(); err != nil {
		return err
	}
	answers := make(chan given) // who answers when it is over gives the share back
	patience := g.r.patience.get(g.r.o.Hedge)
	hedge := time.NewTimer(patience)
	defer hedge.Stop()
	g.out = make(map[order.Owner]time.Time)
	defer g.note()
	for !g.memory.Ready() {
		for g.asked < len(g.holders) && g.held+g.coming < g.layout.DataShards() {
			g.ask(ctx, answers)
		}
		if g.coming == 0 {
			return fmt.Errorf("batch %s: %d of %d shards from %d holders: %w", g.core.Position, g.held, g.layout.DataShards(), len(g.holders), ErrUnavailable)
		}
		select {
		case a := <-answers:
			g.coming -= a.run.Count
			g.take(a)
			delete(g.out, a.owner)
		case <-hedge.C:
			g.hedged = true
			// Half as many more: a lie or a silence costs one wait, not one for each.
			for wanted := max(1, (g.layout.DataShards()-g.held)/2); wanted > 0 && g.asked < len(g.holders); {
				wanted -= g.holders[g.asked].run.Count
				g.r.metrics.hedged.Inc()
				g.ask(ctx, answers)
			}
			hedge.Reset(patience)
		case <-ctx.Done():
			return fmt.Errorf("batch %s: %d of %d shards in time: %w", g.core.Position, g.held, g.layout.DataShards(), ErrUnavailable)
		}
	}
	return nil
}

// list puts the holders in the order of asking. Ranges ascend, and data shards are the
// first ones.
func (g *gathering) list() error {
	for holder, run := range g.layout.All {
		owner, err := order.OwnerFromBytes(holder.Key)
		if err != nil {
			return err
		}
		g.holders = append(g.holders, holding{owner, run})
	}
	// What this node has itself costs nothing.
	if i := slices.IndexFunc(g.holders, func(h holding) bool { return h.owner == g.r.o.Self }); i > 0 {
		mine := g.holders[i]
		copy(g.holders[1:i+1], g.holders[:i])
		g.holders[0] = mine
	}
	return nil
}

func (g *gathering) ask(ctx context.Context, answers chan<- given) {
	h := g.holders[g.asked]
	g.asked++
	g.coming += h.run.Count
	asked := time.Now()
	if h.owner != g.r.o.Self {
		g.out[h.owner] = asked
	}
	go func() {
		a := given{holding: h, err: ErrNoShare}
		for _, source := range g.r.o.Sources {
			if a.share, a.release, a.err = source.Share(ctx, h.owner, g.core); a.err == nil || ctx.Err() != nil {
				break
			}
		}
		a.took = time.Since(asked)
		select {
		case answers <- a:
		case <-ctx.Done():
			a.done()
		}
	}()
}

// note tells how long holders take: the fastest of those that were asked, whether or not it has
// answered by now.
func (g *gathering) note() {
	least := g.fastest
	for _, asked := range g.out {
		if waits := time.Since(asked); least == 0 || waits < least {
			least = waits
		}
	}
	g.r.patience.note(least, g.hedged)
}

// release gives back the shares.
func (g *gathering) release() {
	for i := range g.shares {
		g.shares[i].done()
	}
}

// take adds a share if it is one.
func (g *gathering) take(a given) {
	if a.err != nil {
		if !errors.Is(a.err, ErrNoShare) {
			g.r.o.Logger.Debug("a share could not be had", "position", g.core.String(), "holder", a.owner.String(), "error", a.err)
		}
		return
	}
	share, err := shard.DecodeShare(a.share)
	size := g.layout.ShardSize(int(g.core.Length))
	switch {
	case err != nil:
	case share.First != a.run.First || len(share.Shards) != a.run.Count*size: // another's would be counted twice
		err = fmt.Errorf("shards from index %d, want %d from %d: %w", share.First, a.run.Count, a.run.First, shard.ErrShare)
	default:
		err = g.memory.Add(share)
	}
	if err != nil {
		a.done()
		g.r.metrics.badShare.Inc()
		g.r.o.Logger.Warn("a validator gives a share that is not of the batch", "position", g.core.String(), "holder", a.owner.String(), "error", err)
		return
	}
	if a.owner != g.r.o.Self && (g.fastest == 0 || a.took < g.fastest) {
		g.fastest = a.took
	}
	g.shares = append(g.shares, a)
	g.held += a.run.Count
}

// proof returns shares of exactly as many shards as rebuild the batch: all that came but
// for what the last of them has beyond that. A validator with much stake holds the batch
// several times over, and who reads a proof pays for its bytes.
func (g *gathering) proof() ([][]byte, error) {
	shares := make([][]byte, len(g.shares))
	for i, a := range g.shares {
		shares[i] = bytes.Clone(a.share)
	}
	over := g.held - g.layout.DataShards()
	if over <= 0 {
		return shares, nil
	}
	last := len(shares) - 1
	share, err := shard.DecodeShare(shares[last])
	if err != nil {
		return nil, err
	}
	length := int(g.core.Length)
	cut, err := g.layout.Cut(length, share, len(share.Shards)/g.layout.ShardSize(length)-over)
	if err != nil {
		return nil, err
	}
	shares[last] = cut.Append(nil)
	return shares, nil
}
