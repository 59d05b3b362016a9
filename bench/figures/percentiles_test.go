package figures

import (
	"testing"
	"time"
)

func TestPercentilesAreNearestRank(t *testing.T) {
	var d []time.Duration
	for i := 100; i >= 1; i-- {
		d = append(d, time.Duration(i)*time.Millisecond)
	}
	if got, want := Of(d), (Percentiles{N: 100, P50: 50, P90: 90, P99: 99, Max: 100}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if got, want := Of([]time.Duration{time.Second}), (Percentiles{N: 1, P50: 1000, P90: 1000, P99: 1000, Max: 1000}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if got := Of(nil); got != (Percentiles{}) {
		t.Fatalf("got %+v for no samples", got)
	}
}
