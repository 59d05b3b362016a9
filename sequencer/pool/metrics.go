package pool

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	bundles, bytes, txs prometheus.Gauge
	refused             *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "ordo_pool_" + name, Help: help})
	}
	m := &metrics{
		bundles: gauge("bundles", "Bundles that wait to be ordered."),
		bytes:   gauge("bytes", "Canonical bytes of the bundles that wait to be ordered, or have left and are not noted yet."),
		txs:     gauge("transactions", "Ordinary transactions that wait for a block."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_pool_refused_total", Help: "Bundles and transactions refused, by reason.",
		}, []string{"reason"}),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.bundles, m.bytes, m.txs, m.refused} {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register pool metrics: %w", err)
	}
	return m, nil
}
