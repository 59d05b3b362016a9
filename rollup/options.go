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
	// Legs with terms are kept from it, and skipped whole, unless it has a method
	// KeepsTerms() bool that returns true: see execution/terms.
	Client execution.Client
	// Handler answers, where set, what the door is asked below /vm/.
	Handler http.Handler
	// Execution are settings that count instead of those in the home.
	Execution Execution

	join joiner // says where the node's blocks are made; nil: by itself
}

// joiner returns what makes the blocks of a node with the client. It is called before the
// client is opened, and opens it where it must.
type joiner func(ctx context.Context, client execution.Client) (executor, error)
