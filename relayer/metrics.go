package relayer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/ordo-network/ordo/da"
)

// metrics of a relayer. Its labels are the names of rollups and layers in the config.
type metrics struct {
	read, confirmed, pending *prometheus.GaugeVec // by rollup
	rawBytes, blobBytes      *prometheus.CounterVec

	daHead, daPosted, fallbackActive *prometheus.GaugeVec // by layer
	blobs, found, fallbacks          *prometheus.CounterVec
	submissions                      *prometheus.CounterVec // and outcome
	submitSeconds, orderedToPosted   *prometheus.HistogramVec

	claims        *prometheus.CounterVec // by outcome
	claimsWaiting prometheus.Gauge

	claimsUnconfirmed prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	with := promauto.With(r) // of nil: counted, not registered
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return with.NewGaugeVec(prometheus.GaugeOpts{Name: "ordo_relayer_" + name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return with.NewCounterVec(prometheus.CounterOpts{Name: "ordo_relayer_" + name, Help: help}, labels)
	}
	seconds := func(name, help string) *prometheus.HistogramVec {
		return with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ordo_relayer_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.05, 2, 14),
		}, []string{"layer"})
	}
	return &metrics{
		read:            gauge("read_height", "Last height of the sequencer chain that was read.", "rollup"),
		confirmed:       gauge("confirmed_height", "Last height of the sequencer chain that is on a DA layer.", "rollup"),
		pending:         gauge("pending_bytes", "Bytes of blobs that are not yet known to be on a DA layer.", "rollup"),
		rawBytes:        counter("raw_bytes_total", "Bytes of blocks that were packed.", "rollup"),
		blobBytes:       counter("blob_bytes_total", "Bytes of the blobs that they were packed into.", "rollup"),
		daHead:          gauge("da_head_height", "Final head of the DA layer.", "layer"),
		daPosted:        gauge("da_posted_height", "Height of the DA layer at which a blob was posted last.", "layer"),
		fallbackActive:  gauge("fallback_active", "Whether the layer's blobs go to the fallback.", "layer"),
		fallbacks:       counter("fallbacks_total", "How often the layer's blobs began to go to the fallback.", "layer"),
		blobs:           counter("blobs_total", "Blobs that are on the DA layer.", "layer"),
		found:           counter("found_blobs_total", "Blobs, or parts, whose submission seemed to fail and that were found on the DA layer.", "layer"),
		submissions:     counter("submissions_total", "Submissions to the DA layer, by outcome.", "layer", "outcome"),
		submitSeconds:   seconds("submit_seconds", "Time of a submission that was stored."),
		orderedToPosted: seconds("ordered_to_posted_seconds", "Time from a blob's last block to its confirmation."),
		claims:          counter("claims_total", "Claims that were sent to the sequencer chain, and what became of them, by outcome.", "outcome"),
		claimsWaiting: with.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_relayer_waiting_claims", Help: "Claims that are not yet recorded on the sequencer chain.",
		}),
		claimsUnconfirmed: with.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_relayer_unconfirmed_claims", Help: "Claims that are recorded on the sequencer chain, and not known to be confirmed there.",
		}),
	}
}

// rollupMetrics of one rollup.
type rollupMetrics struct {
	read, confirmed, pending prometheus.Gauge
	rawBytes, blobBytes      prometheus.Counter
}

func (m *metrics) of(rollup string) rollupMetrics {
	return rollupMetrics{
		read: m.read.WithLabelValues(rollup), confirmed: m.confirmed.WithLabelValues(rollup), pending: m.pending.WithLabelValues(rollup),
		rawBytes: m.rawBytes.WithLabelValues(rollup), blobBytes: m.blobBytes.WithLabelValues(rollup),
	}
}

func (m *metrics) submission(layer string, err error) {
	outcome := "unavailable"
	switch {
	case err == nil:
		outcome = "stored"
	case errors.Is(err, da.ErrTooLarge):
		outcome = "too_large"
	case errors.Is(err, da.ErrRejected):
		outcome = "rejected"
	}
	m.submissions.WithLabelValues(layer, outcome).Inc()
}
