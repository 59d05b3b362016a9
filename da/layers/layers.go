// Package layers opens a DA layer by its name in a settings file. In come a name
// and one table of settings, the same for every role; out comes the layer. What the
// roles know of single layers stands here and nowhere else.
package layers

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
)

// Names are the layers that Open knows, the default first.
var Names = []string{"local"}

// ErrUnknown: there is no layer of that name.
var ErrUnknown = errors.New("unknown DA layer")

// Layer is a layer that is closed after use.
type Layer interface {
	da.Layer
	io.Closer
}

// Options are what a settings file does not hold.
type Options struct {
	// Namespaces holds the Celestia namespaces of rollups that have one of their own
	// choice. The others have Config.Namespace or, where that is empty, Namespace.V0.
	Namespaces map[da.Namespace][29]byte
	// Logger is told what a person may want to know; nil: nobody is.
	Logger *slog.Logger
	// Transport carries the requests; nil: one with timeouts.
	Transport http.RoundTripper
}

// Open opens the layer of that name, without asking anything of it yet. It validates
// the settings as Validate does.
func Open(name string, c Config, o Options) (Layer, error) {
	if err := c.Validate(name, "da"); err != nil {
		return nil, err
	}
	switch name {
	case "local":
		return local.NewClient(c.Endpoint, local.ClientOptions{Token: c.Token, Transport: o.Transport})
	}
	return nil, unknown(name)
}

func unknown(name string) error {
	return fmt.Errorf("%w: %q, want one of %s", ErrUnknown, name, strings.Join(Names, ", "))
}

func known(name string) bool { return slices.Contains(Names, name) }
