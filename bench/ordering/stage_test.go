package ordering

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ordo-network/ordo/bench/testnet"
)

// fake orders so many bytes a second, in a block each 100 ms, and takes no more in
// than its pool holds.
type fake struct {
	capacity float64
	pool     int
	loses    int // one of so many; 0: none

	mu      sync.Mutex
	waiting []parcel
	bytes   int
	taken   int
}

func (*fake) name() string                                { return "Fake" }
func (*fake) validators() int                             { return 4 }
func (*fake) processes() []*testnet.Process               { return nil }
func (*fake) received(context.Context) ([]float64, error) { return make([]float64, 4), nil }
func (*fake) close() error                                { return nil }

func (*fake) wrap(_ channel, _ int, payload []byte) (parcel, error) {
	p := parcel{wire: payload}
	copy(p.key[:], payload)
	return p, nil
}

func (f *fake) submit(_ context.Context, _ int, p parcel) error {
	time.Sleep(2 * time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken++; f.loses > 0 && f.taken%f.loses == 0 {
		return nil
	}
	if f.bytes+len(p.wire) > f.pool {
		return errBusy
	}
	f.waiting = append(f.waiting, p)
	f.bytes += len(p.wire)
	return nil
}

func (f *fake) follow(ctx context.Context, l *ledger, ready func()) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ready()
	for height := uint64(1); ; height++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		f.mu.Lock()
		n := 0
		for room := f.capacity / 10; n < len(f.waiting) && room >= float64(len(f.waiting[n].wire)); n++ {
			room -= float64(len(f.waiting[n].wire))
			f.bytes -= len(f.waiting[n].wire)
		}
		block := f.waiting[:n]
		f.waiting = f.waiting[n:]
		f.mu.Unlock()
		l.head(height)
		time.Sleep(10 * time.Millisecond) // to fetch and to verify
		for _, p := range block {
			l.order(p.key, len(p.wire), height)
		}
	}
}

func onFake(t *testing.T, f *fake, fn func(*testing.T, *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := DefaultOptions()
		o.Size, o.Duration = 10_000, 5*time.Second
		o.Progress = func(line string) { t.Log(line) }
		st, err := newStage(t.Context(), o, f)
		if err != nil {
			t.Fatal(err)
		}
		fn(t, st)
		if err := st.close(); err != nil {
			t.Error(err)
		}
		<-st.read
	})
}

func TestATrialBelowCapacity(t *testing.T) {
	t.Parallel()
	onFake(t, &fake{capacity: 10e6, pool: 10e6}, func(t *testing.T, st *stage) {
		got, err := st.trial(t.Context(), load{size: 10_000, rate: 5e6, duration: 4 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if got.Overloaded || got.Sent != 2000 || got.Ordered != 2000 || got.Missing != 0 || got.Refused != 0 || got.Duplicates != 0 {
			t.Errorf("%+v", got)
		}
		if got.OrderedMBps < 4.7 || got.OrderedMBps > 5 || got.Blocks < 39 || got.Blocks > 42 {
			t.Errorf("%.2f MB/s in %d blocks", got.OrderedMBps, got.Blocks)
		}
		// Half a block on average until the block, and 10 ms to read it.
		if p := got.Read.P50; p < 55 || p > 70 || got.Read.Max > 120 || got.Ack.P50 != 2 || got.Committed.P50 < p-11 || got.Committed.P50 > p-9 {
			t.Errorf("to ordered %+v, to committed %+v, to accepted %+v", got.Read, got.Committed, got.Ack)
		}
	})
}

func TestATrialAboveCapacityIsCutShortAndLeavesNothing(t *testing.T) {
	t.Parallel()
	onFake(t, &fake{capacity: 1e6, pool: 10e6}, func(t *testing.T, st *stage) {
		began := time.Now()
		ld := load{size: 10_000, rate: 2e6, duration: 30 * time.Second}
		got, err := st.trial(t.Context(), ld)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Overloaded || got.Sent == 0 || got.Sent > ld.count()/2 || got.Refused > 0 {
			t.Errorf("%+v", got)
		}
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("it took %v to find out and to recover", took)
		}
		// What is left of it is not counted with what comes next.
		got, err = st.trial(t.Context(), load{size: 10_000, rate: 0.5e6, duration: 4 * time.Second})
		if err != nil || got.Overloaded || got.Ordered != 200 || got.Read.P99 > 150 {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

func TestRefusedAndLostPayloadsOverload(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]*fake{"full": {capacity: 10e6, pool: 100_000}, "lost": {capacity: 10e6, pool: 10e6, loses: 50}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onFake(t, f, func(t *testing.T, st *stage) {
				got, err := st.trial(t.Context(), load{size: 10_000, rate: 2e6, duration: 3 * time.Second})
				if err != nil || !got.Overloaded || (got.Refused > 0) != (name == "full") {
					t.Errorf("%+v, %v", got, err)
				}
				if name == "full" && !strings.Contains(got.FirstRefusal, errBusy.Error()) {
					t.Errorf("the refusal reads %q", got.FirstRefusal)
				}
			})
		})
	}
	// One in two hundred is below what a p99 shows, but it is counted.
	onFake(t, &fake{capacity: 10e6, pool: 10e6, loses: 200}, func(t *testing.T, st *stage) {
		got, err := st.trial(t.Context(), load{size: 10_000, rate: 2e6, duration: 3 * time.Second})
		if err != nil || got.Overloaded || got.Missing != 3 || got.Ordered != 597 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestTheHighestRateIsThatOfTheNetwork(t *testing.T) {
	t.Parallel()
	for _, capacity := range []float64{0.7e6, 20e6} {
		onFake(t, &fake{capacity: capacity, pool: 50e6}, func(t *testing.T, st *stage) {
			got, err := st.o.highest(t.Context(), st, PartThroughput)
			if err != nil || got.Overloaded {
				t.Fatalf("%+v, %v", got, err)
			}
			// A little above the capacity a second's worth of payloads may wait.
			if r := got.OrderedMBps * 1e6 / capacity; r < 0.85 || r > 1.02 || got.Read.P99 > 1000 {
				t.Errorf("found %.2f MB/s, p99 %v ms; the network orders %.2f", got.OrderedMBps, got.Read.P99, capacity/1e6)
			}
		})
	}
}

func TestIdleLatencies(t *testing.T) {
	t.Parallel()
	onFake(t, &fake{capacity: 10e6, pool: 10e6}, func(t *testing.T, st *stage) {
		got, err := st.o.idle(t.Context(), st)
		if err != nil || got.Ordered != idleSamples || got.Read.Max > 113 || got.Read.P50 < 15 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestSmallPayloadsThatAreTooManyAreSearchedFor(t *testing.T) {
	t.Parallel()
	onFake(t, &fake{capacity: 300_000, pool: 10e6}, func(t *testing.T, st *stage) {
		st.o.SmallSize, st.o.SmallRate, st.o.Duration = 250, 5000, 3*time.Second
		got, err := st.o.small(t.Context(), st)
		if err != nil || len(got) != 2 || !got[0].Overloaded || got[1].Overloaded {
			t.Fatalf("%d trials, %v", len(got), err)
		}
		if r := got[1].OrderedPerS; r < 1000 || r > 1250 {
			t.Errorf("found %.0f a second, the network orders 1200", r)
		}
	})
}

func TestAStageSaysWhatBroke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, err := newStage(t.Context(), DefaultOptions(), &broken{fake: &fake{capacity: 1e6, pool: 1e6}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = st.trial(t.Context(), load{size: 1000, rate: 1e5, duration: 10 * time.Second})
		if !errors.Is(err, errForged) {
			t.Errorf("the trial ends with %v", err)
		}
		if err := st.close(); err != nil {
			t.Error(err)
		}
	})
}

var errForged = errors.New("a block does not verify")

// broken reads what does not verify, after a second.
type broken struct{ *fake }

func (b *broken) follow(ctx context.Context, l *ledger, ready func()) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Second, errForged)
	defer cancel()
	_ = b.fake.follow(ctx, l, ready) // it ends with ctx
	return context.Cause(ctx)
}
