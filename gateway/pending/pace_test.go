package pending

import (
	"testing"
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
