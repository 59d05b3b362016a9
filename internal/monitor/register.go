package monitor

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers all of the collectors, or none of them.
func Register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			Unregister(reg, all[:i]...)
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Unregister takes the collectors out again.
func Unregister(reg prometheus.Registerer, all ...prometheus.Collector) {
	for _, c := range all {
		reg.Unregister(c)
	}
}
