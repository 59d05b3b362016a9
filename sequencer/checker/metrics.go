package checker

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what was looked at.
type metrics struct {
	looks   *prometheus.CounterVec
	bytes   prometheus.Counter
	waiting prometheus.Gauge
}

func newMetrics() *metrics {
	return &metrics{
		looks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_checker_looks_total",
			Help: "Looks at claims of what is on a DA layer, by layer and result: confirmed, doubted (found false once), denied (twice), unknown, unseen (no access to the layer).",
		}, []string{"layer", "result"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_checker_fetched_bytes_total", Help: "Bytes fetched from DA layers to look at claims.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_checker_waiting_claims", Help: "Claims on the chain that wait to be settled.",
		}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	if err := errors.Join(r.Register(m.looks), r.Register(m.bytes), r.Register(m.waiting)); err != nil {
		return fmt.Errorf("register checker metrics: %w", err)
	}
	return nil
}
