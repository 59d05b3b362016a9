package dispersal

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/dispersal/lane"
)

type metrics struct {
	batches, bytes, ended, learned     prometheus.Counter
	attest, certified                  prometheus.Histogram
	refusals, refused                  *prometheus.CounterVec
	pulls, pulled, faults, repaired    prometheus.Counter
	retrieved, voids, hedged, badShare prometheus.Counter
	cacheHits, recentHits              prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "ordo_dispersal_" + name, Help: help})
	}
	byReason := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ordo_dispersal_" + name, Help: help}, []string{"reason"})
	}
	latency := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_dispersal_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)})
	}
	return &metrics{
		batches:    counter("batches_total", "Batches of the own lane that were certified."),
		bytes:      counter("batch_bytes_total", "Bytes of batches of the own lane that were certified."),
		ended:      counter("sessions_ended_total", "Sessions of the own lane that ended with batches given up."),
		learned:    counter("certificates_total", "Certificates learned, those of the own lane included."),
		attest:     latency("attest_seconds", "Time from an offer's arrival until its record was on disk."),
		certified:  latency("certified_seconds", "Time from a batch's dispersal until its certificate was on disk."),
		refusals:   byReason("refusals_total", "Offers of others that were not attested here."),
		refused:    byReason("refused_total", "Offers of the own lane that others did not attest."),
		pulls:      counter("pulls_total", "Requests for certificates that were missing."),
		pulled:     counter("pulled_certificates_total", "Certificates that came in answer to a request."),
		faults:     counter("peer_faults_total", "Messages of peers that no correct peer sends."),
		repaired:   counter("repaired_records_total", "Damaged records that were made whole from peers."),
		retrieved:  counter("retrieved_batches_total", "Batches rebuilt from shards."),
		voids:      counter("void_batches_total", "Batches found void when rebuilt."),
		hedged:     counter("hedged_requests_total", "Requests for shares beyond those that should have been enough."),
		badShare:   counter("bad_shares_total", "Shares refused because they do not belong to the batch."),
		cacheHits:  counter("cache_hits_total", "Batches found in memory."),
		recentHits: counter("recent_shares_total", "Shares asked for, by others and by this node, that were found in memory: the rest is read from disk."),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.batches, m.bytes, m.ended, m.learned, m.attest, m.certified, m.refusals, m.refused, m.pulls, m.pulled, m.faults,
		m.repaired, m.retrieved, m.voids, m.hedged, m.badShare, m.cacheHits, m.recentHits,
	} {
		errs = append(errs, r.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("register dispersal metrics: %w", err)
	}
	return nil
}

var labels = map[lane.Reason]string{
	lane.ReasonEpoch: "epoch", lane.ReasonSequence: "sequence", lane.ReasonQuota: "quota", lane.ReasonBusy: "busy", lane.ReasonUnpaid: "unpaid",
	lane.ReasonDone: "done", lane.ReasonSession: "session", lane.ReasonConflict: "conflict", lane.ReasonLost: "lost",
	lane.ReasonCommittee: "committee", lane.ReasonHeader: "header", lane.ReasonSignature: "signature",
	lane.ReasonPayer: "payer", lane.ReasonShare: "share", lane.ReasonBundles: "bundles",
}

// label names the reason in metrics. A peer may send any number.
func label(r lane.Reason) string {
	if s := labels[r]; s != "" {
		return s
	}
	return "unknown"
}
