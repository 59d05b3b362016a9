package follower

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	height    prometheus.Gauge
	latest    prometheus.Gauge
	blocks    prometheus.Counter
	refused   *prometheus.CounterVec
	failovers *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) metrics {
	with := promauto.With(r) // of nil: counted, not registered
	return metrics{
		height: with.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_follower_height", Help: "Last height of the sequencer chain that was verified."}),
		latest: with.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_follower_latest_height", Help: "Height that the endpoint in use claims the sequencer chain has."}),
		blocks: with.NewCounter(prometheus.CounterOpts{
			Name: "ordo_follower_verified_blocks_total", Help: "Blocks that were verified."}),
		refused: with.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_follower_refused_blocks_total", Help: "Blocks that did not verify, by reason."}, []string{"reason"}),
		failovers: with.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_follower_failovers_total", Help: "Times that an endpoint was given up, by cause."}, []string{"cause"}),
	}
}

type firmMetrics struct {
	height   prometheus.Gauge
	daHeight *prometheus.GaugeVec
	awaited  *prometheus.GaugeVec
	sets     *prometheus.GaugeVec
	blocks   prometheus.Counter
	skipped  *prometheus.CounterVec
	unpacked prometheus.Counter
}

func newFirmMetrics(r prometheus.Registerer) firmMetrics {
	with := promauto.With(r)
	return firmMetrics{
		height: with.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_follower_firm_height", Help: "Last height of the sequencer chain that was verified from DA."}),
		daHeight: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ordo_follower_da_height", Help: "Last height of the DA layer that was read."}, []string{"layer"}),
		awaited: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ordo_follower_awaited_da_heights", Help: "DA heights that will be read again, for blobs that came before their turn."}, []string{"layer"}),
		sets: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ordo_follower_unfinished_sets", Help: "Blobs of which some parts have come."}, []string{"layer"}),
		blocks: with.NewCounter(prometheus.CounterOpts{
			Name: "ordo_follower_firm_blocks_total", Help: "Blocks that were verified from DA."}),
		skipped: with.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_follower_skipped_blobs_total", Help: "Blobs given up, whole or in part, by reason."}, []string{"reason"}),
		unpacked: with.NewCounter(prometheus.CounterOpts{
			Name: "ordo_follower_unpacked_bytes_total", Help: "Bytes of blobs that were unpacked."}),
	}
}
