package rollup

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/ordo-network/ordo/execution"
)

// Options are what the program that runs a node gives it, beside the settings in its home.
type Options struct {
	Version string       // told by ordo_info
	Logger  *slog.Logger // default: slog.Default
	// Client executes the rollup: a virtual machine of one's own. The node's mode is then
	// "go", whatever its settings say, and the node closes it. Nil: what the settings name.
	Client execution.Client
	// Handler answers, where set, what the door is asked below /vm/.
	Handler http.Handler
}

// Run runs the node in home until ctx ends, which is no error.
func Run(ctx context.Context, home, version string, log *slog.Logger) error {
	return RunWith(ctx, home, Options{Version: version, Logger: log})
}
