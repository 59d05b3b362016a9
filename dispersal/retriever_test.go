package dispersal

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// holders is a committee whose members answer as told.
type holders struct {
	committee *order.Committee
	layout    *shard.Layout
	core      order.BatchCore
	batch     *order.Batch
	shares    map[order.Owner][]byte

	mu    sync.Mutex
	how   map[order.Owner]func(ctx context.Context, share []byte) ([]byte, error)
	asked atomic.Int32
	lent  atomic.Int32 // shares that were not given back
}

func (h *holders) Share(ctx context.Context, holder order.Owner, core order.BatchCore) ([]byte, func(), error) {
	h.asked.Add(1)
	if core.ID() != h.core.ID() {
		return nil, nil, ErrNoShare
	}
	h.mu.Lock()
	how := h.how[holder]
	h.mu.Unlock()
	if how != nil {
		share, err := how(ctx, h.shares[holder])
		if err != nil {
			return nil, nil, err
		}
		share, release := h.lend(share)
		return share, release, nil
	}
	share, release := h.lend(h.shares[holder])
	return share, release, nil
}

// lend returns the share in memory that means nothing any more once it was given back.
func (h *holders) lend(share []byte) ([]byte, func()) {
	h.lent.Add(1)
	lent := bytes.Clone(share)
	var back atomic.Bool
	return lent, func() {
		if back.Swap(true) {
			panic("a share was given back twice")
		}
		clear(lent)
		h.lent.Add(-1)
	}
}

// hold makes a committee of n and a batch of bundles that it holds; content replaces the
// batch's bytes, or is nil.
func hold(t testing.TB, n int, bs []*order.Bundle, spoil func(raw []byte) []byte) *holders {
	t.Helper()
	return holdBy(t, slices.Repeat([]uint64{10}, n), bs, spoil)
}

// holdBy is hold with stakes.
func holdBy(t testing.TB, stakes []uint64, bs []*order.Bundle, spoil func(raw []byte) []byte) *holders {
	t.Helper()
	h := &holders{batch: &order.Batch{Bundles: bs}, shares: map[order.Owner][]byte{}, how: map[order.Owner]func(context.Context, []byte) ([]byte, error){}}
	var members []order.Member
	for i, stake := range stakes {
		members = append(members, order.Member{Owner: order.Owner{byte(i + 1)}, Key: [32]byte{byte(i + 1)}, Stake: stake})
	}
	var err error
	if h.committee, err = order.NewCommittee(3, members); err != nil {
		t.Fatal(err)
	}
	if h.layout, err = lane.Layout(h.committee); err != nil {
		t.Fatal(err)
	}
	raw := h.batch.Encode()
	header := order.BatchHeader{Position: order.Position{Owner: order.Owner{1}, Mark: order.Mark{Session: 1, Sequence: 1}}, Epoch: 3, Length: uint64(len(raw))}
	for _, b := range bs {
		header.Bundles = append(header.Bundles, b.Summary())
	}
	if spoil != nil {
		raw = spoil(raw)
	}
	var coded shard.Coded
	if err := coded.Encode(h.layout, raw); err != nil {
		t.Fatal(err)
	}
	header.Root = order.Digest(coded.Root())
	h.core = header.Core(chainID)
	for _, m := range members {
		share, err := coded.Share(h.layout.Range(m.Owner[:]))
		if err != nil {
			t.Fatal(err)
		}
		h.shares[m.Owner] = share.Append(nil)
	}
	t.Cleanup(func() {
		// Who answers late gives the share back himself.
		await.Until(t, "each share is given back once", func() bool { return h.lent.Load() == 0 })
	})
	return h
}

func (h *holders) retriever(t testing.TB, tune func(*RetrieverOptions)) *Retriever {
	t.Helper()
	o := RetrieverOptions{ChainID: chainID, Sources: []ShareSource{h}, Hedge: time.Minute, Logger: logger(t)}
	if tune != nil {
		tune(&o)
	}
	r, err := NewRetriever(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (h *holders) check(t *testing.T, r *Retriever) {
	t.Helper()
	batch, void, err := r.Batch(t.Context(), h.core, h.committee)
	if err != nil || void != nil {
		t.Fatalf("retrieve: void %v, %v", void != nil, err)
	}
	if string(batch.Encode()) != string(h.batch.Encode()) {
		t.Error("another batch came back")
	}
}

func lie(_ context.Context, share []byte) ([]byte, error) {
	bad := append([]byte(nil), share...)
	bad[len(bad)/2] ^= 1
	return bad, nil
}

func silence(ctx context.Context, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// late answers when nobody waits any more.
func late(ctx context.Context, share []byte) ([]byte, error) {
	<-ctx.Done()
	return share, nil
}

func absent(context.Context, []byte) ([]byte, error) { return nil, errors.New("connection refused") }

// value reads a counter.
func value(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return all[0].GetMetric()[0].GetCounter().GetValue()
}

func TestRetrieves(t *testing.T) {
	t.Parallel()
	h := hold(t, 7, bundles(t, 20, 1000), nil)
	r := h.retriever(t, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { h.check(t, r) })
	}
	all.Wait()
	if asked := int(h.asked.Load()); asked != h.layout.DataShards() {
		t.Errorf("%d holders were asked by 20 readers of one batch, want %d", asked, h.layout.DataShards())
	}
	h.check(t, r)
	if n := value(t, r.metrics.cacheHits); n < 1 {
		t.Error("a batch that was rebuilt is not in memory")
	}
}

// As long as holders of a third of the stake give their shares the batch comes back,
// whatever the others do.
func TestRetrievesDespite(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(context.Context, []byte) ([]byte, error){"liars": lie, "silent": silence, "late": late, "absent": absent} {
		slow := name == "silent" || name == "late"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hold(t, 7, bundles(t, 5, 1000), nil)
			for i := range 4 { // those who hold the data shards among them
				h.how[order.Owner{byte(i + 1)}] = how
			}
			r := h.retriever(t, func(o *RetrieverOptions) {
				if slow {
					o.Hedge = 20 * time.Millisecond
				}
			})
			h.check(t, r)
			if n := value(t, r.metrics.badShare); (n > 0) != (name == "liars") {
				t.Errorf("%v bad shares counted", n)
			}
			if n := value(t, r.metrics.hedged); (n > 0) != slow {
				t.Errorf("%v hedged requests counted", n)
			}
		})
	}
}

// A share of another holder is no answer, though it belongs to the batch.
func TestRetrieverCountsNoShareTwice(t *testing.T) {
	t.Parallel()
	h := hold(t, 7, bundles(t, 5, 1000), nil)
	for i := range 4 {
		h.how[order.Owner{byte(i + 1)}] = func(context.Context, []byte) ([]byte, error) { return h.shares[order.Owner{7}], nil }
	}
	h.check(t, h.retriever(t, nil))
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	h := hold(t, 7, bundles(t, 5, 1000), nil)
	for i := range 5 {
		h.how[order.Owner{byte(i + 1)}] = absent
	}
	r := h.retriever(t, nil)
	if _, _, err := r.Batch(t.Context(), h.core, h.committee); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with too few holders: %v", err)
	}
	h.mu.Lock()
	clear(h.how)
	h.mu.Unlock()
	h.check(t, r) // later they are back
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := hold(t, 7, bundles(t, 5, 1000), nil)
	for i := range 7 {
		other.how[order.Owner{byte(i + 1)}] = silence
	}
	slow := other.retriever(t, func(o *RetrieverOptions) { o.Timeout = 50 * time.Millisecond })
	if _, _, err := slow.Batch(ctx, other.core, other.committee); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, _, err := slow.Batch(t.Context(), other.core, other.committee); !errors.Is(err, ErrUnavailable) {
		t.Errorf("out of time: %v", err)
	}
}

// Each way in which a batch can be void comes with shards that show it.
func TestVoid(t *testing.T) {
	t.Parallel()
	other := bundle(t, 1000)
	for name, c := range map[string]struct {
		spoil   func(raw []byte) []byte
		decodes bool
	}{
		"not an encoding": {func(raw []byte) []byte { return append([]byte{0xff}, raw[1:]...) }, false},
		"another bundle": {func([]byte) []byte {
			return (&order.Batch{Bundles: []*order.Bundle{other}}).Encode()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hold(t, 4, []*order.Bundle{bundle(t, 1000)}, c.spoil)
			h.how[order.Owner{1}] = lie // what shows it must be verified
			r := h.retriever(t, nil)
			for range 2 { // the second time from memory
				batch, void, err := r.Batch(t.Context(), h.core, h.committee)
				if err != nil || void == nil || (batch != nil) != c.decodes {
					t.Fatalf("batch %v, void %v, %v", batch != nil, void != nil, err)
				}
				h.sees(t, void, c.decodes)
			}
		})
	}
	t.Run("not a codeword", func(t *testing.T) {
		t.Parallel()
		h := hold(t, 4, []*order.Bundle{bundle(t, 1000)}, func(raw []byte) []byte { return append(raw, 0, 0) })
		r := h.retriever(t, nil) // coded for another length than the header tells
		if _, _, err := r.Batch(t.Context(), h.core, h.committee); !errors.Is(err, ErrUnavailable) {
			t.Errorf("shares of another length: %v", err)
		}
	})
}

// A proof has the shards that rebuild the batch and no more, however many those who were
// asked hold.
func TestVoidProofIsNoLargerThanTheBatch(t *testing.T) {
	t.Parallel()
	for name, stakes := range map[string][]uint64{"one holds nearly all": {1, 500, 1, 1}, "equal": {10, 10, 10, 10}, "a few": {1, 30, 40, 50}} {
		h := holdBy(t, stakes, []*order.Bundle{bundle(t, 100_000)}, func(raw []byte) []byte { return append([]byte{0xff}, raw[1:]...) })
		_, void, err := h.retriever(t, nil).Batch(t.Context(), h.core, h.committee)
		if err != nil || void == nil {
			t.Fatalf("%s: void %v, %v", name, void != nil, err)
		}
		h.sees(t, void, false)
		got := 0
		for _, raw := range void.Shares {
			s, err := shard.DecodeShare(raw)
			if err != nil {
				t.Fatal(err)
			}
			got += len(s.Shards)
		}
		if want := h.layout.DataShards() * h.layout.ShardSize(int(h.core.Length)); got != want {
			t.Errorf("%s: a proof with shards of %d bytes, want %d", name, got, want)
		}
	}
}

// sees rebuilds from the proof alone, as a follower does.
func (h *holders) sees(t *testing.T, v *Void, decodes bool) {
	t.Helper()
	layout, err := shard.NewLayout(v.Holders)
	if err != nil {
		t.Fatal(err)
	}
	var b shard.Rebuilder
	if err := b.Reset(layout, shard.Root(v.Core.Root), int(v.Core.Length)); err != nil {
		t.Fatal(err)
	}
	for _, raw := range v.Shares {
		s, err := shard.DecodeShare(raw)
		if err == nil {
			err = b.Add(s)
		}
		if err != nil {
			t.Errorf("share in the proof: %v", err)
		}
	}
	raw, err := b.Batch()
	if err != nil {
		t.Fatalf("rebuild from the proof: %v", err)
	}
	if _, err := order.DecodeBatch(raw); (err == nil) != decodes {
		t.Errorf("decode what the proof gives: %v", err)
	}
	m := v.Message()
	if len(m.GetShares()) != len(v.Shares) || len(m.GetHolders()) != 4 || string(m.GetCore()) != string(h.core.Encode()) {
		t.Error("the message is not the proof")
	}
}

// What is wanted ahead of its block is rebuilt where it can be held until that comes, and is not
// rebuilt again then.
func TestAhead(t *testing.T) {
	t.Parallel()
	h := hold(t, 4, []*order.Bundle{bundle(t, 1000)}, nil)
	length := int64(h.core.Length)
	r := h.retriever(t, func(o *RetrieverOptions) { o.CacheBytes = 2 * (length + cachedOverhead) })
	batch, void, err := r.Ahead(t.Context(), h.core, h.committee)
	if err != nil || void != nil || string(batch.Encode()) != string(h.batch.Encode()) {
		t.Fatalf("ahead: void %v, %v", void != nil, err)
	}
	asked := h.asked.Load()
	next := h.core
	next.Sequence++
	if _, _, err := r.Ahead(t.Context(), next, h.committee); !errors.Is(err, ErrAhead) {
		t.Fatalf("a batch for which there is no room: %v", err)
	}
	for i := range 10 {
		r.Keep(order.BatchID{byte(i)}, h.batch, int(length))
	}
	h.check(t, r)
	if got := h.asked.Load(); got != asked {
		t.Errorf("%d shares were asked for again", got-asked)
	}
	// Its block has come, so there is room: nobody has this one, which gives that back.
	for range 3 {
		if _, _, err := r.Ahead(t.Context(), next, h.committee); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("a batch that nobody has: %v", err)
		}
	}
	if r.cache.reserved != 0 || len(r.cache.expected) != 0 {
		t.Errorf("%d bytes are reserved for nothing", r.cache.reserved)
	}
	other := h.core
	other.Epoch++
	if _, _, err := r.Ahead(t.Context(), other, h.committee); !errors.Is(err, order.ErrEpoch) {
		t.Errorf("of another epoch: %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c, now := newCache(10*(1000+cachedOverhead)), time.Now()
	for i := range 100 {
		c.add(&cached{id: order.BatchID{byte(i)}, size: 1000}, now)
		c.get(order.BatchID{0}) // used all the time
	}
	if c.get(order.BatchID{0}) == nil || c.get(order.BatchID{50}) != nil || c.get(order.BatchID{99}) == nil {
		t.Error("not those used last are kept")
	}
	if c.bytes > c.limit || c.used.Len() != len(c.byID) || len(c.byID) != 10 {
		t.Errorf("%d batches of %d bytes", len(c.byID), c.bytes)
	}
	c.add(&cached{id: order.BatchID{200}, size: c.limit}, now)
	if c.bytes != 0 || len(c.byID) != 0 {
		t.Errorf("one that is too large leaves %d bytes", c.bytes)
	}
}

// What is ahead of its block stays until it was read, however much else is; and no more is taken
// than that can be said of.
func TestCacheKeepsWhatIsAhead(t *testing.T) {
	t.Parallel()
	const size = 1000
	id := func(i int) order.BatchID { return order.BatchID{byte(i >> 8), byte(i)} }
	c, now := newCache(16*(size+cachedOverhead)), time.Now()
	for i := range 12 {
		if b, ok := c.expect(id(i), size, now); b != nil || !ok {
			t.Fatalf("no room for batch %d", i)
		}
		if i > 0 { // one is still being rebuilt
			c.add(&cached{id: id(i), size: size}, now)
		}
	}
	if _, ok := c.expect(id(12), size, now); ok {
		t.Fatal("more than three quarters are ahead")
	}
	for i := 100; i < 200; i++ {
		c.add(&cached{id: id(i), size: size}, now)
	}
	for i := 1; i < 12; i++ {
		if b, ok := c.expect(id(i), size, now); b == nil || !ok {
			t.Fatalf("batch %d has gone before its block came", i)
		}
	}
	// A block reads one, one fails, and one is asked for by a block while it is rebuilt: each
	// makes room.
	for i, leave := range []func(){func() { c.get(id(1)) }, func() { c.fail(id(0)) }} {
		if leave(); c.reserved != 11*(size+cachedOverhead) {
			t.Fatalf("%d bytes are ahead", c.reserved)
		}
		if _, ok := c.expect(id(20+i), size, now); !ok {
			t.Fatal("there is no room where one has left")
		}
	}
	if c.get(id(20)) != nil || c.reserved != 11*(size+cachedOverhead) {
		t.Fatal("what a block waits for is ahead of it")
	}
	c.add(&cached{id: id(20), size: size}, now)
	if b, ok := c.expect(id(1), size, now); b == nil || !ok || c.reserved != 11*(size+cachedOverhead) {
		t.Fatal("what a block has read is ahead again")
	}
	// What no block orders does not hold up others for ever.
	later := now.Add(aheadFor + time.Second)
	c.fail(id(21))
	for i := 30; i < 42; i++ {
		if _, ok := c.expect(id(i), size, later); !ok {
			t.Fatalf("no room for batch %d, %d bytes are reserved", i, c.reserved)
		}
	}
	for i := 30; i < 42; i++ { // half of them larger than was said, such as the proof that one is void
		c.add(&cached{id: id(i), size: int64(1+i%2) * size}, later)
	}
	if c.ahead.Len() != 6 {
		t.Errorf("%d batches are ahead", c.ahead.Len())
	}
	if c.bytes > c.limit || c.ahead.Len()+c.used.Len() != len(c.byID) || len(c.expected) != 0 {
		t.Errorf("%d bytes, %d and %d batches, %d in all", c.bytes, c.ahead.Len(), c.used.Len(), len(c.byID))
	}
	held := int64(0)
	for _, e := range c.byID {
		held += e.Value.(*cached).counted
	}
	if held != c.reserved {
		t.Errorf("%d bytes are reserved, %d counted", c.reserved, held)
	}
}

// As many as may be faulty are all that is asked at first. That they answer just in time does not
// make all wait longer.
func TestPatienceIsNotRaisedByFew(t *testing.T) {
	t.Parallel()
	const hedge = 40 * time.Millisecond
	h := hold(t, 4, []*order.Bundle{bundle(t, 1000)}, nil)
	r := h.retriever(t, func(o *RetrieverOptions) {
		o.Hedge, o.Self, o.CacheBytes = hedge, order.Owner{4}, 1
	})
	h.how[order.Owner{1}] = func(ctx context.Context, share []byte) ([]byte, error) {
		select {
		case <-time.After(r.patience.get(hedge) * 3 / 4):
		case <-ctx.Done():
		}
		return share, nil
	}
	for range 20 {
		h.check(t, r)
	}
	// On a busy machine one comes late now and then, and others are asked.
	if got := r.patience.get(hedge); got > 3*hedge {
		t.Errorf("others are asked after %v, %v at first", got, hedge)
	}
}

// Others are asked after four times as long as usual, and one who is slow does not make that
// the usual time.
func TestPatience(t *testing.T) {
	t.Parallel()
	const least = 150 * time.Millisecond
	var p patience
	if got := p.get(least); got != least {
		t.Errorf("%v at first", got)
	}
	for range 100 {
		p.note(100*time.Millisecond, true)
	}
	if got := p.get(least); got < 390*time.Millisecond || got > 400*time.Millisecond {
		t.Errorf("%v where all take 100 ms", got)
	}
	for range 100 {
		p.note(10*time.Second, true)
	}
	if got := p.get(least); got != maxPatience {
		t.Errorf("%v where all take 10 s", got)
	}
	p.note(0, true) // nobody was asked
	for range 40 {
		p.note(time.Millisecond, false)
	}
	if got := p.get(least); got != least {
		t.Errorf("%v where all are fast again", got)
	}
}
