package engine

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/internal/monitor"
)

type metrics struct {
	seconds  *prometheus.HistogramVec
	failures *prometheus.CounterVec
	refused  prometheus.Counter
	builds   prometheus.Counter
	caughtUp prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordo_engine_request_seconds", Help: "Time that the execution client takes to answer, by method.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"method"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_engine_failures_total", Help: "Requests that the execution client did not answer, refused, or answered with nonsense.",
		}, []string{"kind"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_engine_refused_transactions_total", Help: "Ordered transactions that the execution client refused when it built a block.",
		}),
		builds: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_engine_builds_total", Help: "Blocks that the execution client was asked to build, those to find refused transactions too.",
		}),
		caughtUp: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_engine_replayed_blocks_total", Help: "Blocks handed to an execution client that had fallen back or was new.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	return m, monitor.Register(reg, m.seconds, m.failures, m.refused, m.builds, m.caughtUp)
}

func (m *metrics) asked(method string, took time.Duration, err error) {
	m.seconds.WithLabelValues(method).Observe(took.Seconds())
	var refused *refusal
	switch {
	case err == nil:
	case errors.As(err, &refused):
		m.failures.WithLabelValues("refused").Inc()
	case errors.Is(err, ErrUnreachable):
		m.failures.WithLabelValues("unreachable").Inc()
	case errors.Is(err, ErrSecret):
		m.failures.WithLabelValues("secret").Inc()
	default:
		m.failures.WithLabelValues("answer").Inc()
	}
}
