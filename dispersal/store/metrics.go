package store

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	bytes         prometheus.Gauge
	group, sync   prometheus.Histogram
	busy, damaged prometheus.Counter
	torn, lost    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "ordo_store_" + name, Help: help})
	}
	m := &metrics{
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_store_disk_bytes", Help: "Bytes of the shard store's segments."}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_store_group_records", Help: "Records that share one sync.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		sync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_store_sync_seconds", Help: "Time to write and sync a group of records.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15)}),
		busy:    counter("busy_total", "Records refused because too much waited for the disk."),
		damaged: counter("damaged_records_total", "Records found damaged on disk."),
		torn:    counter("torn_bytes_total", "Bytes found after crashes that were being written."),
		lost:    counter("lost_bytes_total", "Bytes once on disk that are no longer records, and do not say whose they were."),
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.bytes, m.group, m.sync, m.busy, m.damaged, m.torn, m.lost} {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register shard store metrics: %w", err)
	}
	return m, nil
}
