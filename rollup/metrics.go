package rollup

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	softHeight, firmHeight, gathered prometheus.Gauge
	executeSeconds                   prometheus.Histogram
	transactions                     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		softHeight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_rollup_soft_height", Help: "Last sequencer height that was taken in."}),
		firmHeight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_rollup_firm_height", Help: "Last sequencer height that was read back from DA."}),
		gathered: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ordo_rollup_gathered_blocks", Help: "Blocks of the order that wait for their rollup block."}),
		executeSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ordo_rollup_execute_seconds", Help: "Time to execute one block.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_rollup_transactions_total", Help: "Ordered transactions by outcome."}, []string{"outcome"}),
	}
	reg.MustRegister(m.softHeight, m.firmHeight, m.gathered, m.executeSeconds, m.transactions)
	return m
}
