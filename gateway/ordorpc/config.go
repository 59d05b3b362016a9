package ordorpc

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Settings are what an operator chooses.
type Settings struct {
	CORS           []string // origins whose pages may use the door; "*" is all
	VHosts         []string // host names that HTTP requests may carry beside IP addresses; "*" is all
	MaxConnections int      // HTTP and WebSocket together
	SyncTimeout    time.Duration
	SyncTimeoutMax time.Duration
	PassOn         []string // namespaces of the rollup's client that anybody may call
}

// Config is what a Server needs.
type Config struct {
	Settings Settings
	Backend  Backend
	// Client is the URL of the JSON-RPC of the client that executes the rollup; "" for none.
	Client string
	// ChainID, where set, is that of an Ethereum client behind the door: eth_chainId,
	// eth_sendRawTransaction and eth_sendRawTransactionSync are answered here.
	ChainID uint64
	// VM, where set, answers what is below /vm/.
	VM http.Handler

	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: none
}
