package pending

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/execution"
)

// Trying out takes a quarter of the time that execution leaves, and hardly any where that leaves none.
func TestWhatIsOrderedComesFirst(t *testing.T) {
	t.Parallel()
	o := &Overlay{}
	require.Equal(t, 3*time.Second, o.pause(time.Second), "a quarter")
	for range 100 {
		o.work(100*time.Millisecond, 200*time.Millisecond)
	}
	require.InDelta(t, 7, o.pause(time.Second).Seconds(), 0.1, "an eighth")
	for range 100 {
		o.work(time.Second, 200*time.Millisecond)
	}
	require.InDelta(t, share*idle-1, o.pause(time.Second).Seconds(), 0.1, "a little, for what is pending must not stand still")
	for range 100 {
		o.work(0, 200*time.Millisecond)
	}
	require.InDelta(t, 3, o.pause(time.Second).Seconds(), 0.1, "and a quarter again")
}

// The pause after a long step ends when the rollup has little to execute any more.
func TestAPauseBecomesShorter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &Overlay{busy: 1}
		begin := time.Now()
		go func() {
			time.Sleep(20 * time.Second)
			o.mu.Lock()
			defer o.mu.Unlock()
			o.busy = 0
		}()
		o.rest(t.Context(), 10*time.Second, 0)
		require.InDelta(t, 30, time.Since(begin).Seconds(), 1, "not as long as when it began")
		begin = time.Now()
		o.rest(t.Context(), time.Millisecond, time.Second)
		require.Equal(t, time.Second, time.Since(begin), "after what went wrong")
	})
}

// Where blocks are gathered, executing takes its part of all the time since the rollup block
// before, whatever came meanwhile.
func TestGatheringIsNoRest(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	o := &Overlay{cfg: Config{Speculator: struct{ execution.Speculator }{}, Now: func() time.Time { return now }}, set: newSet()}
	for height := uint64(1); height < 400; height++ {
		now = now.Add(500 * time.Millisecond)
		if height%8 > 0 {
			o.Gathered(Gathered{Height: height})
			continue
		}
		o.Ordered(Ordered{Height: height, Took: 2 * time.Second})
	}
	require.InDelta(t, 0.5, o.busy, 0.02, "two seconds of four")
}
