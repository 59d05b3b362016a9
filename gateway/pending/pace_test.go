package pending

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
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
