package pending

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/internal/monitor"
)

type metrics struct {
	collectors              []prometheus.Collector
	bundles                 *prometheus.CounterVec
	confirmed, contradicted prometheus.Counter
	shown                   prometheus.Histogram
	trials                  *prometheus.HistogramVec
	connected               prometheus.Gauge
	failovers               prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, o *Overlay) (*metrics, error) {
	m := &metrics{
		bundles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_gateway_pending_bundles_total", Help: "Bundles that a sequencer called certified, by what was done with them.",
		}, []string{"result"}),
		confirmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_gateway_pending_confirmed_total", Help: "Transactions that pending showed as executed and that did the same in latest.",
		}),
		contradicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_gateway_pending_contradicted_total", Help: "Transactions that pending showed as executed and that did something else in latest, or nothing.",
		}),
		shown: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_gateway_pending_shown_seconds", Help: "Time from hearing that a bundle is certified until pending shows it.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		trials: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordo_gateway_pending_execute_seconds", Help: "Time to execute speculatively: all anew, or what was added.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 14),
		}, []string{"kind"}),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_gateway_pending_connected", Help: "1 while a sequencer says what is certified.",
		}),
		failovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_gateway_pending_failovers_total", Help: "Streams of certified bundles that ended.",
		}),
	}
	held := func(name, help string, value func(*set) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			o.mu.Lock()
			defer o.mu.Unlock()
			return float64(value(o.set))
		})
	}
	m.collectors = []prometheus.Collector{
		m.bundles, m.confirmed, m.contradicted, m.shown, m.trials, m.connected, m.failovers,
		held("ordo_gateway_pending_held_bundles", "Bundles that are certified and not ordered.", func(s *set) int { return len(s.entries) }),
		held("ordo_gateway_pending_held_bytes", "Bytes of their transactions.", func(s *set) int { return s.bytes }),
	}
	return m, monitor.Register(reg, m.collectors...)
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	monitor.Unregister(reg, m.collectors...)
}

func (m *metrics) trial(anew bool, took time.Duration) {
	kind := "extend"
	if anew {
		kind = "anew"
	}
	m.trials.WithLabelValues(kind).Observe(took.Seconds())
}
