package monitor

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestRegistersAllOrNone(t *testing.T) {
	t.Parallel()
	gauge := func(name string) prometheus.Collector {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name})
	}
	reg := prometheus.NewRegistry()
	a, b, taken := gauge("a"), gauge("b"), gauge("a")
	if err := Register(reg, b, a, taken); err == nil {
		t.Fatal("one name is registered twice")
	}
	if err := Register(reg, a, b); err != nil {
		t.Errorf("after one that failed: %v", err)
	}
	Unregister(reg, a, b)
	if err := Register(reg, taken); err != nil {
		t.Errorf("when all are taken out: %v", err)
	}
}
