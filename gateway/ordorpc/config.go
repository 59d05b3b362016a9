package ordorpc

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Settings are what an operator chooses.
type Settings struct {
	CORS           []string      // origins whose pages may use the door; "*" is all
	VHosts         []string      // host names that HTTP requests may carry beside IP addresses; "*" is all
	MaxConnections int           // HTTP and WebSocket together; default 2000
	SyncTimeout    time.Duration // how long eth_sendRawTransactionSync waits for a receipt; default 2s
	SyncTimeoutMax time.Duration // how long its caller may have it wait; default 20s
	PassOn         []string      // namespaces of the rollup's client that anybody may call
}

func (s *Settings) fill() {
	if s.MaxConnections <= 0 {
		s.MaxConnections = 2000
	}
	if s.SyncTimeout <= 0 {
		s.SyncTimeout = 2 * time.Second
	}
	if s.SyncTimeoutMax <= 0 {
		s.SyncTimeoutMax = 20 * time.Second
	}
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
	// NonceWait is how long a transaction waits for those with the nonces before it, from when the
	// last of its account was taken: who sends several at once finds them arrive in any order.
	// Default 500 ms.
	NonceWait time.Duration
	// VM, where set, answers what is below /vm/.
	VM http.Handler

	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: none
}
