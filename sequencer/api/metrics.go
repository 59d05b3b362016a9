package api

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the API does.
type metrics struct {
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	refused     *prometheus.CounterVec
	streams     prometheus.Gauge
	certified   prometheus.Gauge
	unavailable prometheus.Counter
	sent        prometheus.Counter
	made        prometheus.Counter
	head        prometheus.Gauge
	indexed     prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_api_requests_total", Help: "Calls answered, by procedure and code; a stream counts when it ends.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordo_api_request_seconds", Help: "Time to answer a unary call.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"procedure"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_api_refused_total", Help: "Calls refused because as many as allowed were under way, by what they were.",
		}, []string{"class"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_api_streams", Help: "SubscribeRollup streams that are open.",
		}),
		certified: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_api_certified_streams", Help: "SubscribeCertified streams that are open.",
		}),
		unavailable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_api_batches_unavailable_total", Help: "Tries to get a batch back from shards that failed.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_api_rollup_blocks_sent_total", Help: "Rollup blocks sent on streams.",
		}),
		made: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_api_blocks_assembled_total", Help: "Blocks read from the store and made ready to serve.",
		}),
		head: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_api_latest_height", Help: "Latest height served.",
		}),
		indexed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_api_indexed_height", Help: "Latest height in the index of bundles.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.refused, m.streams, m.certified, m.unavailable, m.sent, m.made, m.head, m.indexed} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observer counts calls.
type observer struct{ metrics *metrics }

func (s *Server) observe() connect.Interceptor { return observer{s.metrics} }

func code(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}

// WrapUnary implements connect.Interceptor.
func (o observer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		start := time.Now()
		res, err := next(ctx, req)
		o.metrics.seconds.WithLabelValues(req.Spec().Procedure).Observe(time.Since(start).Seconds())
		o.metrics.requests.WithLabelValues(req.Spec().Procedure, code(err)).Inc()
		return res, err
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (o observer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := next(ctx, conn)
		o.metrics.requests.WithLabelValues(conn.Spec().Procedure, code(err)).Inc()
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (o observer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}
