package app

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/sequencer/ordering"
)

// metrics count what blocks do.
type metrics struct {
	certificates, ordered, dropped, bytes, refused, short, mute prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "ordo_app_" + name + "_total", Help: help})
	}
	m := &metrics{
		certificates: counter("certificates", "Certificates carried by committed blocks."),
		ordered:      counter("ordered_bundles", "Bundles ordered by committed blocks."),
		dropped:      counter("dropped_bundles", "Bundles dropped by committed blocks."),
		bytes:        counter("ordered_bytes", "Canonical bytes of the bundles ordered."),
		refused:      counter("refused_proposals", "Proposals that break the rules."),
		short:        counter("short_proposals", "Proposals of this node that lack certificates which others hold and this node does not."),
		mute:         counter("unusable_extensions", "Vote extensions that this node left out of its proposals, or refused."),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.certificates, m.ordered, m.dropped, m.bytes, m.refused, m.short, m.mute} {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register application metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) committed(e *ordering.Evaluation) {
	m.certificates.Add(float64(len(e.Certificates)))
	m.ordered.Add(float64(len(e.Block.Bundles)))
	m.dropped.Add(float64(len(e.Drops)))
	m.bytes.Add(float64(e.Block.Bytes))
}
