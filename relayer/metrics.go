package relayer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ordo-network/ordo/da"
)

// metrics of all rollups.
type metrics struct {
	read          *prometheus.GaugeVec
	confirmed     *prometheus.GaugeVec
	pending       *prometheus.GaugeVec
	blobs         *prometheus.CounterVec
	found         *prometheus.CounterVec
	submissions   *prometheus.CounterVec
	rawBytes      *prometheus.CounterVec
	blobBytes     *prometheus.CounterVec
	submitSeconds prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	with := promauto.With(r) // of nil: counted, not registered
	rollup := []string{"rollup"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return with.NewGaugeVec(prometheus.GaugeOpts{Name: "ordo_relayer_" + name, Help: help}, rollup)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: "ordo_relayer_" + name, Help: help}, append(labels, rollup...))
	}
	return &metrics{
		read:        gauge("read_height", "Last height of the sequencer chain that was read."),
		confirmed:   gauge("confirmed_height", "Last height of the sequencer chain that is on the DA layer."),
		pending:     gauge("pending_bytes", "Bytes of blobs that are not yet known to be on the DA layer."),
		blobs:       counter("blobs_total", "Blobs that are on the DA layer."),
		found:       counter("found_blobs_total", "Blobs whose submission seemed to fail and that were found on the DA layer."),
		submissions: counter("submissions_total", "Submissions to the DA layer, by outcome.", "outcome"),
		rawBytes:    counter("raw_bytes_total", "Bytes of blocks that were packed."),
		blobBytes:   counter("blob_bytes_total", "Bytes of the blobs that they were packed into."),
		submitSeconds: with.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_relayer_submit_seconds", Help: "Time of a submission that was stored.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}),
	}
}

// rollupMetrics of one rollup.
type rollupMetrics struct {
	read, confirmed, pending          prometheus.Gauge
	blobs, found, rawBytes, blobBytes prometheus.Counter
	submissions                       *prometheus.CounterVec
}

func (m *metrics) of(rollup string) rollupMetrics {
	return rollupMetrics{
		read: m.read.WithLabelValues(rollup), confirmed: m.confirmed.WithLabelValues(rollup), pending: m.pending.WithLabelValues(rollup),
		blobs: m.blobs.WithLabelValues(rollup), found: m.found.WithLabelValues(rollup),
		rawBytes: m.rawBytes.WithLabelValues(rollup), blobBytes: m.blobBytes.WithLabelValues(rollup),
		submissions: m.submissions.MustCurryWith(prometheus.Labels{"rollup": rollup}),
	}
}

func (m rollupMetrics) submission(err error) {
	outcome := "unavailable"
	switch {
	case err == nil:
		outcome = "stored"
	case errors.Is(err, da.ErrTooLarge):
		outcome = "too_large"
	case errors.Is(err, da.ErrRejected):
		outcome = "rejected"
	}
	m.submissions.WithLabelValues(outcome).Inc()
}
