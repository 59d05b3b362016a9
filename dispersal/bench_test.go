package dispersal

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
)

// BenchmarkCertify disperses batches of 512 KiB from all validators of a network in one
// process, as many as go through, and reports bytes certified a second and how long a
// batch took from its dispersal until its certificate was on its owner's disk.
func BenchmarkCertify(b *testing.B) {
	for _, n := range []int{4, 16} {
		b.Run(fmt.Sprintf("validators=%d", n), func(b *testing.B) {
			w := start(b, n, func(o *Options) { o.BatchBytes, o.WindowBytes, o.RetryMin = 512<<10, 2<<20, 0 })
			w.connected()
			const size = 63 << 10
			b.SetBytes(size)
			var all []*order.Bundle
			for range b.N {
				all = append(all, bundle(b, size))
			}
			for i := range n {
				var mine []*order.Bundle
				for j := i; j < len(all); j += n {
					mine = append(mine, all[j])
				}
				w.validators[i].source.submit(mine...)
			}
			b.ResetTimer()
			for done := false; !done; {
				done = w.drained()
				w.commit(0)
				time.Sleep(50 * time.Millisecond) // a fast chain's block time
			}
			b.StopTimer()
			sum, count := 0.0, 0.0
			for _, v := range w.validators {
				all, err := v.registry.Gather()
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range all {
					if f.GetName() == "ordo_dispersal_certified_seconds" {
						sum += f.GetMetric()[0].GetHistogram().GetSampleSum()
						count += float64(f.GetMetric()[0].GetHistogram().GetSampleCount())
					}
				}
			}
			b.ReportMetric(1000*sum/count, "ms/batch")
		})
	}
}

// drained tells whether all that was submitted is ordered.
func (w *network) drained() bool {
	return !slices.ContainsFunc(w.validators, func(v *validator) bool {
		v.source.mu.Lock()
		defer v.source.mu.Unlock()
		return len(v.source.all) > 0
	})
}

// BenchmarkLatency certifies one bundle of 1 KiB at a time on an idle network.
func BenchmarkLatency(b *testing.B) {
	for _, n := range []int{4, 16} {
		b.Run(fmt.Sprintf("validators=%d", n), func(b *testing.B) {
			w := start(b, n, nil)
			w.connected()
			s := w.validators[0].Certified(b.Context())
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				bundle := bundle(b, 1000)
				from := time.Now()
				w.validators[0].source.submit(bundle)
				if _, err := s.Next(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(from))
				if i%200 == 199 {
					b.StopTimer()
					w.commit(0)
					b.StartTimer()
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
