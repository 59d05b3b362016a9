package eigenda

import "github.com/prometheus/client_golang/prometheus"

// Reasons for which a recorded blob is left out.
const (
	reasonRefused    = "refused"    // the proxy does not give it, and gives others
	reasonMismatched = "mismatched" // its hash is not the recorded one
	reasonMalformed  = "malformed"  // what is recorded is no certificate
)

type metrics struct {
	leftOut *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{leftOut: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ordo_eigenda_left_out_blobs_total",
		Help: "Blobs that are recorded on the sequencer chain and were left out by readers, by reason.",
	}, []string{"reason"})}
	for _, reason := range []string{reasonRefused, reasonMismatched, reasonMalformed} {
		m.leftOut.WithLabelValues(reason)
	}
	if r == nil {
		return m, nil
	}
	return m, r.Register(m.leftOut)
}
