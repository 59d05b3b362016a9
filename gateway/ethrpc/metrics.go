package ethrpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/txpool/legacypool"
	gethlog "github.com/ethereum/go-ethereum/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/internal/monitor"
)

// results names what a transaction was refused for, in metrics.
var results = []struct {
	err  error
	name string
}{
	{txpool.ErrAlreadyKnown, "known"},
	{core.ErrNonceTooLow, "nonce_too_low"},
	{core.ErrNonceTooHigh, "nonce_too_high"},
	{core.ErrInsufficientFunds, "insufficient_funds"},
	{core.ErrFeeCapTooLow, "below_base_fee"},
	{txpool.ErrReplaceUnderpriced, "replacement_underpriced"},
	{txpool.ErrInvalidSender, "invalid_sender"},
	{txpool.ErrAccountLimitExceeded, "account_limit"},
	{legacypool.ErrTxPoolOverflow, "full"},
	{gateway.ErrUnfunded, "payer_unfunded"},
	{gateway.ErrStopped, "stopped"},
	{context.Canceled, "client_gone"},
}

type metrics struct {
	collectors   []prometheus.Collector
	transactions *prometheus.CounterVec
	deaf         prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *hub) (*metrics, error) {
	m := &metrics{
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_ethrpc_transactions_total", Help: "Transactions sent to the door, by result.",
		}, []string{"result"}),
		deaf: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ordo_ethrpc_deaf_subscribers_total", Help: "Connections closed because their client did not read.",
		}),
	}
	m.collectors = []prometheus.Collector{m.transactions, m.deaf, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ordo_ethrpc_subscriptions", Help: "Subscriptions over WebSocket.",
	}, func() float64 { return float64(h.count()) })}
	return m, monitor.Register(reg, m.collectors...)
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	monitor.Unregister(reg, m.collectors...)
}

func (m *metrics) sent(err error) {
	result := "accepted"
	if err != nil {
		result = "invalid"
	}
	for _, r := range results {
		if errors.Is(err, r.err) {
			result = r.name
			break
		}
	}
	m.transactions.WithLabelValues(result).Inc()
}

// unserved keeps geth's remarks about calls that were answered with an error out
// of the log: anybody can cause as many as they like.
type unserved struct{ slog.Handler }

func (h unserved) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "Served ") {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h unserved) WithAttrs(attrs []slog.Attr) slog.Handler {
	return unserved{h.Handler.WithAttrs(attrs)}
}

func (h unserved) WithGroup(name string) slog.Handler {
	return unserved{h.Handler.WithGroup(name)}
}

// quiet sets up geth's one logger for the process.
func quiet() {
	handler := gethlog.Root().Handler()
	if _, done := handler.(unserved); !done {
		gethlog.SetDefault(gethlog.NewLogger(unserved{handler}))
	}
}
