package transport

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	sent, received        *prometheus.CounterVec
	full, refused, failed prometheus.Counter
}

func newMetrics(r prometheus.Registerer, mesh *Mesh) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "ordo_transport_" + name, Help: help})
	}
	byType := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ordo_transport_" + name, Help: help}, []string{"type"})
	}
	m := &metrics{
		sent:     byType("sent_bytes_total", "Bytes of messages sent to peers."),
		received: byType("received_bytes_total", "Bytes of messages received from peers."),
		full:     counter("full_total", "Messages not sent because too much waited for the peer."),
		refused:  counter("refused_connections_total", "Connections from outside that were not let in."),
		failed:   counter("failed_dials_total", "Attempts to connect to a peer that failed."),
	}
	if r == nil {
		return m, nil
	}
	peers := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ordo_transport_peers", Help: "Connected peers."},
		func() float64 { return float64(len(mesh.Peers())) })
	queued := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ordo_transport_queue_bytes", Help: "Bytes that wait to be sent to peers."},
		func() float64 {
			sum := 0
			for _, p := range mesh.Peers() {
				sum += p.queue.size()
			}
			return float64(sum)
		})
	var errs []error
	for _, c := range []prometheus.Collector{m.sent, m.received, m.full, m.refused, m.failed, peers, queued} {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register transport metrics: %w", err)
	}
	return m, nil
}
