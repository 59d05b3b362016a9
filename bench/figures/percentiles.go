// Package figures turns samples into what a report shows: percentiles of
// latencies, and what processes of this machine have used.
package figures

import (
	"math"
	"slices"
	"time"
)

// Percentiles of a latency, in milliseconds. N is the number of samples.
type Percentiles struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Of returns the percentiles of samples, which it sorts.
func Of(d []time.Duration) Percentiles {
	if len(d) == 0 {
		return Percentiles{}
	}
	slices.Sort(d)
	at := func(q float64) float64 {
		// Nearest rank: the smallest sample that at least a share q does not exceed.
		i := int(math.Ceil(q*float64(len(d)))) - 1
		return float64(d[max(i, 0)].Microseconds()) / 1000
	}
	return Percentiles{N: len(d), P50: at(0.50), P90: at(0.90), P99: at(0.99), Max: at(1)}
}
