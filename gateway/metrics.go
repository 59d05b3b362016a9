package gateway

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/internal/monitor"
)

// stats is counted by the core.
type stats struct {
	bundlesMade, bundlesOrdered, bundlesExpired, bundlesDropped uint64
	failovers                                                   uint64
	executed, dropped                                           uint64
	usersOrdered, usersDropped                                  uint64
	latency, certified                                          func(time.Duration)
}

func (s *stats) ended(st State) {
	if st.Phase != PhaseExecuted {
		s.dropped++
		return
	}
	s.executed++
	if s.latency != nil {
		s.latency(st.Ended.Sub(st.Received))
	}
}

func (s *stats) parcelEnded(p BundlePhase) {
	if p == BundleOrdered {
		s.usersOrdered++
		return
	}
	s.usersDropped++
}

type metrics struct {
	collectors []prometheus.Collector
	submits    *prometheus.CounterVec
	users      *prometheus.CounterVec
	sends      *prometheus.CounterVec
	journal    prometheus.Histogram
	unfunded   prometheus.Gauge
	warned     bool
}

func newMetrics(reg prometheus.Registerer, g *Gateway) (*metrics, error) {
	m := &metrics{
		submits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_gateway_submitted_total", Help: "Transactions handed in, by result.",
		}, []string{"result"}),
		users: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_gateway_user_bundles_submitted_total", Help: "Users' bundles handed in, by result.",
		}, []string{"result"}),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_gateway_sends_total", Help: "Bundles sent to a sequencer, by result.",
		}, []string{"sequencer", "result"}),
		journal: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_gateway_journal_sync_seconds", Help: "Time to bring a step to disk.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 14),
		}),
		unfunded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_gateway_payer_unfunded", Help: "1 while sequencers refuse bundles because the payer cannot pay.",
		}),
	}
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ordo_gateway_executed_seconds", Help: "Time from acceptance to execution of a transaction.",
		Buckets: prometheus.ExponentialBuckets(0.01, 1.6, 18),
	})
	certified := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "ordo_gateway_certified_seconds", Help: "Time from acceptance of a transaction until a sequencer says that it is certified.",
		Buckets: prometheus.ExponentialBuckets(0.002, 1.8, 18),
	})
	g.core.stats.certified = func(d time.Duration) { certified.Observe(d.Seconds()) }
	g.core.stats.latency = func(d time.Duration) { latency.Observe(d.Seconds()) }
	counts := func(name, help string, value func(Counts) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value(g.Counts())) })
	}
	counter := func(name, help string, value func(*stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 {
			g.mu.RLock()
			defer g.mu.RUnlock()
			return float64(value(&g.core.stats))
		})
	}
	m.collectors = []prometheus.Collector{
		m.submits, m.users, m.sends, m.journal, m.unfunded, latency, certified,
		counts("ordo_gateway_queued_transactions", "Transactions that wait for a bundle.", func(c Counts) int { return c.Queued }),
		counts("ordo_gateway_in_flight_transactions", "Transactions in live bundles.", func(c Counts) int { return c.InFlight }),
		counts("ordo_gateway_in_flight_bundles", "Bundles that may still be ordered.", func(c Counts) int { return c.Bundles }),
		counts("ordo_gateway_held_bytes", "Bytes of the transactions held.", func(c Counts) int { return c.Bytes }),
		counts("ordo_gateway_user_bundles", "Users' bundles that have not ended.", func(c Counts) int { return c.Users }),
		counts("ordo_gateway_user_bundles_bytes", "Bytes of the users' bundles that have not ended.", func(c Counts) int { return c.UserBytes }),
		counter("ordo_gateway_user_bundles_ordered_total", "Users' bundles that ended as ordered.", func(s *stats) uint64 { return s.usersOrdered }),
		counter("ordo_gateway_user_bundles_dropped_total", "Users' bundles that ended otherwise.", func(s *stats) uint64 { return s.usersDropped }),
		counter("ordo_gateway_bundles_made_total", "Bundles made.", func(s *stats) uint64 { return s.bundlesMade }),
		counter("ordo_gateway_bundles_ordered_total", "Bundles ordered.", func(s *stats) uint64 { return s.bundlesOrdered }),
		counter("ordo_gateway_bundles_expired_total", "Bundles that expired without being ordered.", func(s *stats) uint64 { return s.bundlesExpired }),
		counter("ordo_gateway_bundles_dropped_total", "Bundles that the chain dropped.", func(s *stats) uint64 { return s.bundlesDropped }),
		counter("ordo_gateway_failovers_total", "Switches to another sequencer.", func(s *stats) uint64 { return s.failovers }),
		counter("ordo_gateway_executed_total", "Transactions that ended as executed.", func(s *stats) uint64 { return s.executed }),
		counter("ordo_gateway_dropped_total", "Transactions that ended otherwise.", func(s *stats) uint64 { return s.dropped }),
	}
	return m, monitor.Register(reg, m.collectors...)
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	monitor.Unregister(reg, m.collectors...)
}

func (m *metrics) submitted(err error) { m.submits.WithLabelValues(resultOf(err)).Inc() }

func (m *metrics) handedIn(err error) { m.users.WithLabelValues(resultOf(err)).Inc() }

func resultOf(err error) string {
	result := "other"
	for _, r := range []struct {
		err  error
		name string
	}{{nil, "accepted"}, {ErrKnown, "known"}, {ErrFull, "full"}, {ErrUnfunded, "unfunded"}, {ErrTooLarge, "too_large"}, {ErrNonceInFlight, "nonce_in_flight"}, {ErrTooLate, "too_late"}, {ErrPast, "past"}} {
		if errors.Is(err, r.err) {
			result = r.name
		}
	}
	return result
}

func (m *metrics) answered(s Sequencer, err error) {
	result := "no_answer"
	switch {
	case err == nil:
		result = "taken"
	case errors.Is(err, ErrBusy):
		result = "busy"
	case errors.Is(err, ErrRefused), errors.Is(err, ErrDropped):
		result = "refused"
	case errors.Is(err, ErrUnfunded):
		result = "unfunded"
	}
	m.sends.WithLabelValues(s.String(), result).Inc()
}

// setUnfunded tells the operator once, when the payer can no longer pay, and when it can again.
func (m *metrics) setUnfunded(reason, payer string, log *slog.Logger) {
	if (reason != "") == m.warned {
		return
	}
	m.warned = reason != ""
	if m.warned {
		m.unfunded.Set(1)
		log.Error("the payer cannot pay for ordering; nothing is accepted until it has funds", "payer", payer, "reason", reason)
		return
	}
	m.unfunded.Set(0)
	log.Info("the payer can pay again", "payer", payer)
}
