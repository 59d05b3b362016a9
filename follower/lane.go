package follower

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ordo-network/ordo/internal/pause"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// lane is what comes from one layer, to a reader that takes in one height at a time.
type lane struct {
	r  *FirmReader
	at int // in the reader's places

	live <-chan fetched // heights above those that were read
	// again, where set, are heights that are read again, beside the live ones: a layer need
	// not have them any more, and whoever likes can have heights read again.
	again <-chan fetched
	job   job
	vain  map[any]vain // by what is looked for: an awaited, or the hash of a set
}

// job is why heights are read again: for blobs that were awaited there, or for the parts
// of a set.
type job struct {
	awaited awaited
	found   []awaited // what is to be awaited from now on

	set     *partSet
	content [][]byte // of the set's parts, by index

	gone bool // the layer did not give a height, though it answers
}

func (j *job) key() any {
	if j.set != nil {
		return j.set.set()
	}
	return j.awaited
}

// vain is how often heights were read again in vain, and when they may be next.
type vain struct {
	times int
	next  time.Time
}

// Heights that a layer does not give are asked for maxVain times until they are given up,
// for layers forget. That takes half an hour and more: some say little of why they fail.
const (
	maxVain     = 8
	maxVainWait = 10 * time.Minute
)

func (l *lane) place() *place { return &l.r.places[l.at] }

// drain waits until nothing is fetched any more.
func (l *lane) drain() {
	for _, c := range []<-chan fetched{l.live, l.again} {
		if c != nil {
			for range c {
			}
		}
	}
}

// due returns what there is to be read again, and whether it may be now.
func (l *lane) due() (j job, waiting, now bool) {
	p, next := l.place(), l.r.verifier.Height()
	may := func(key any) bool { return !l.r.cfg.Now().Before(l.vain[key].next) }
	if i := slices.IndexFunc(p.sets, func(s partSet) bool { return s.complete() && may(s.set()) }); i >= 0 {
		s := p.sets[i]
		return job{set: &s, content: make([][]byte, s.parts)}, true, true
	}
	waiting = slices.ContainsFunc(p.sets, partSet.complete)
	for _, a := range p.awaited {
		if a.first > next {
			continue
		}
		waiting = true
		if may(a) && l.r.stalled(p, l.r.tails[l.at], a) {
			return job{awaited: a}, true, true
		}
	}
	return job{}, waiting, false
}

// stalled reports whether what is awaited is worth being read again: the next block did not
// come by the heights that came since, or there are none. So blobs that only say that they
// are for later cost their reader nothing while the order goes on.
func (r *FirmReader) stalled(p *place, t *tail, a awaited) bool {
	if a.from != a.to { // many heights, of which few hold what is awaited
		return r.cfg.Now().Sub(r.moved) >= stalledTries*r.cfg.Retry
	}
	return r.fruitless > 0 || p.read >= t.head.Load()
}

// stalledTries is how long a reader without a next block waits, in times that it waits after
// a failure, until it reads a range of heights again.
const stalledTries = 50

// lookAgain begins to read heights again where something there is next by now, and reports
// whether there is such a thing. They stay noted until that is done, so that a cursor handed
// over on the way still has them.
func (l *lane) lookAgain(ctx context.Context) (waiting bool) {
	if l.again != nil {
		return true
	}
	j, waiting, now := l.due()
	if !now {
		return waiting
	}
	l.job = j
	heights := func(yield func(uint64) bool) {
		for h := j.awaited.from; h <= j.awaited.to && yield(h); h++ {
		}
	}
	if j.set != nil {
		heights = slices.Values(j.set.heights())
	}
	l.again = l.r.tails[l.at].lookBack(ctx, heights)
	return true
}

// take takes in a height that was fetched.
func (l *lane) take(ctx context.Context, in fetched) error {
	l.r.bytes += uint64(in.bytes())
	before := l.r.verifier.Height()
	if err := l.height(ctx, in, l.await); err != nil {
		return err
	}
	l.place().read = in.height
	if l.r.verifier.Height() == before {
		l.r.fruitless++
	}
	return nil
}

// takeAgain takes in a height that was read again; ok is false after the last one.
func (l *lane) takeAgain(ctx context.Context, in fetched, ok bool) error {
	l.r.bytes += uint64(in.bytes())
	switch {
	case ok && in.gone:
		l.job.gone = true
		return nil
	case ok && l.job.set == nil:
		return l.height(ctx, in, func(first, daHeight uint64) { l.job.found = await(l.job.found, first, daHeight) })
	case ok:
		l.collect(ctx, in)
		return nil
	}
	done := l.job
	l.again, l.job = nil, job{}
	if done.gone && !l.giveUp(done.key()) {
		return nil
	}
	delete(l.vain, done.key())
	if done.set == nil {
		p := l.place()
		p.awaited = slices.DeleteFunc(slices.Clone(p.awaited), func(a awaited) bool { return a == done.awaited })
		for _, a := range done.found {
			p.awaited = await(p.awaited, a.first, a.from)
		}
		return nil
	}
	return l.join(ctx, done)
}

// giveUp counts that heights were read again in vain, and reports whether that was so often
// enough.
func (l *lane) giveUp(key any) bool {
	v := l.vain[key]
	if v.times++; v.times == maxVain {
		return true
	}
	v.next = l.r.cfg.Now().Add(min(l.r.cfg.Retry<<(2*v.times), maxVainWait))
	if l.vain == nil {
		l.vain = make(map[any]vain)
	}
	l.vain[key] = v
	return false
}

// height takes in what the rollup's namespace holds at a DA height, and has awaited what
// comes later.
func (l *lane) height(ctx context.Context, in fetched, await func(first, daHeight uint64)) error {
	gathered := make(map[[sha256.Size]byte]*gathering)
	var sets []*gathering // in the order in which they came
	for _, b := range in.blobs {
		if !l.r.tails[l.at].fill(ctx, &b) {
			continue
		}
		var refused, err error
		if isPart(b.Data) {
			var g *gathering
			if g, refused = l.part(b.Data, in.height, gathered, await); g != nil && g.have == 1 {
				sets = append(sets, g)
			}
			if g != nil && g.have == len(g.content) && !g.taken {
				g.taken = true
				refused, err = l.blob(ctx, slices.Concat(g.content...), in.height, await)
				g.content = nil
				l.place().sets = dropSet(l.place().sets, g.set())
			}
		} else {
			refused, err = l.blob(ctx, b.Data, in.height, await)
		}
		if err != nil {
			return err
		}
		l.refuse(refused, in.height)
	}
	p := l.place()
	for _, g := range sets {
		if g.taken {
			continue
		}
		for i, c := range g.content {
			if c != nil {
				g.index = uint16(i)
				p.sets = addPart(p.sets, g.partHeader, in.height, l.r.verifier.Height())
			}
		}
	}
	return nil
}

// gathering is the parts of a blob at one height.
type gathering struct {
	partHeader
	content [][]byte // by index
	have    int
	taken   bool
}

// part takes in a part. It returns the set that has grown by it.
func (l *lane) part(raw []byte, daHeight uint64, gathered map[[sha256.Size]byte]*gathering, await func(first, daHeight uint64)) (*gathering, error) {
	p, err := parsePartHeader(raw, l.r.cfg.Limits)
	if err != nil {
		return nil, err
	}
	switch next := l.r.verifier.Height(); {
	case p.last() < next && l.r.cfg.Taken == nil:
		l.r.metrics.skipped.WithLabelValues("duplicate").Inc()
		return nil, nil
	case p.first > next:
		await(p.first, daHeight)
		return nil, nil
	}
	if p, raw, err = openPart(raw, l.r.cfg.Limits); err != nil {
		return nil, err
	}
	g := gathered[p.set()]
	if g == nil {
		g = &gathering{partHeader: p, content: make([][]byte, p.parts)}
		gathered[p.set()] = g
	}
	if g.taken || g.content[p.index] != nil {
		l.r.metrics.skipped.WithLabelValues("duplicate").Inc()
		return nil, nil
	}
	g.content[p.index] = raw
	g.have++
	return g, nil
}

// collect keeps the parts of the set that is put together.
func (l *lane) collect(ctx context.Context, in fetched) {
	for _, b := range in.blobs {
		if !l.r.tails[l.at].fill(ctx, &b) {
			continue
		}
		if p, content, err := openPart(b.Data, l.r.cfg.Limits); err == nil && p.set() == l.job.set.set() {
			l.job.content[p.index] = content
		}
	}
}

// join takes in the blob whose parts were collected.
func (l *lane) join(ctx context.Context, j job) error {
	p := l.place()
	defer func() { p.sets = dropSet(p.sets, j.set.set()) }()
	if slices.ContainsFunc(j.content, func(c []byte) bool { return c == nil }) {
		l.refuse(fmt.Errorf("not all parts stand any more where they were read: %w", ErrParts), j.set.newest())
		return nil
	}
	refused, err := l.blob(ctx, slices.Concat(j.content...), j.set.newest(), l.await)
	l.refuse(refused, j.set.newest())
	return err
}

// await notes that a height holds what comes later.
func (l *lane) await(first, daHeight uint64) {
	l.place().awaited = await(l.place().awaited, first, daHeight)
}

// stopError ends the reader, unlike errors of a blob.
type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

// blob verifies a blob and hands over its blocks. Errors of the blob come back as refused,
// those that stop the reader as err.
func (l *lane) blob(ctx context.Context, raw []byte, daHeight uint64, await func(first, daHeight uint64)) (refused, err error) {
	r := l.r
	h, err := parseBlobHeader(raw, r.cfg.Limits)
	if err != nil {
		return err, nil
	}
	switch next := r.verifier.Height(); {
	case h.last() < next:
		r.metrics.skipped.WithLabelValues("duplicate").Inc()
		if r.cfg.Taken == nil {
			return nil, nil
		}
	case h.first > next:
		await(h.first, daHeight)
		return nil, nil
	}
	passed := h.last() < r.verifier.Height()
	if err := r.decoder.open(raw, h); err != nil {
		return err, nil
	}
	defer func() { r.metrics.unpacked.Add(float64(r.decoder.unpacked())) }()
	var before Verifier
	w := walk{
		next: func(run *run, rb *orderv1.RollupBlock) (*Block, error) {
			before = *r.verifier
			return r.verify(ctx, run, rb)
		},
		take: func(b *Block) error {
			err := r.handle(ctx, FirmBlock{Block: b, Layer: l.place().layer, DAHeight: daHeight, Cursor: r.cursor(b.Checkpoint())})
			if errors.Is(err, ErrVoidData) {
				*r.verifier = before
				return err
			}
			if err != nil {
				return stopError{err}
			}
			r.fruitless, r.moved = 0, r.cfg.Now()
			r.metrics.blocks.Inc()
			r.metrics.height.Set(float64(b.Height))
			return nil
		},
	}
	if r.cfg.Taken != nil {
		w.passed = func(p *packedRun, height uint64, raw []byte) error {
			if err := r.passed(p, height, raw); err != nil {
				return stopError{err}
			}
			return nil
		}
	}
	err = r.verifier.walk(r.decoder, r.cfg.Now, w)
	var stop stopError
	switch {
	case errors.As(err, &stop):
		return nil, stop.error
	case errors.Is(err, ErrExpired), ctx.Err() != nil && err != nil:
		return nil, err
	case passed:
		return nil, nil // it is of no use any more, whatever is wrong with it
	}
	return err, nil
}

// verify verifies the next block. One from the future is really signed: it would
// be lost if it was dropped because the clock of this machine is slow, so it is
// waited for.
func (r *FirmReader) verify(ctx context.Context, run *run, rb *orderv1.RollupBlock) (*Block, error) {
	for logged := false; ; logged = true {
		b, err := r.verifier.nextOf(run, rb, r.cfg.Now())
		if !errors.Is(err, ErrFuture) {
			return b, err
		}
		if !logged {
			r.cfg.Logger.Warn("block from the future: is the clock of this machine right?", "error", err)
		}
		if err := pause.For(ctx, r.cfg.Retry); err != nil {
			return nil, err
		}
	}
}

// refuse counts a blob that was given up.
func (l *lane) refuse(why error, daHeight uint64) {
	if why == nil {
		return
	}
	l.r.metrics.skipped.WithLabelValues(reason(why)).Inc()
	l.r.refused.add(l.place().layer, daHeight, why)
}

// refusals log that blobs were given up: seldom, for anybody can post more of them.
type refusals struct {
	log    *slog.Logger
	now    func() time.Time
	logged time.Time
	count  int
}

const refusalsEvery = 30 * time.Second

func (r *refusals) add(layer string, daHeight uint64, why error) {
	r.count++
	if now := r.now(); r.logged.IsZero() || now.Sub(r.logged) >= refusalsEvery {
		r.log.Warn("DA blobs that do not verify were dropped", "dropped", r.count, "layer", layer, "da_height", daHeight, "for_example", why)
		r.logged, r.count = now, 0
	}
}
