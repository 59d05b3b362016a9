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

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/avail"
	"github.com/ordo-network/ordo/da/celestia"
	"github.com/ordo-network/ordo/da/eigenda"
	"github.com/ordo-network/ordo/da/local"
)

// Names are the layers that Open knows, the default first.
var Names = []string{"local", "celestia", "eigenda", "avail"}

// ErrUnknown says that there is no layer of that name.
var ErrUnknown = errors.New("unknown DA layer")

// Layer is a layer that is closed after use.
type Layer interface {
	da.Layer
	io.Closer
}

// Options are what a settings file does not hold. Zero values stand for the defaults.
type Options struct {
	// Index finds EigenDA's certificates on the sequencer chain, and records them where
	// something is submitted. EigenDA needs it, no other layer does.
	Index eigenda.Index
	// Namespaces holds the Celestia namespaces of rollups that have one of their own
	// choice. The others have Config.Namespace or, where that is empty, Namespace.V0.
	Namespaces map[da.Namespace][29]byte
	// Logger is told what a person may want to know; nil: nobody is.
	Logger *slog.Logger
	// Registerer takes the metrics of layers that have some; nil: nobody does.
	Registerer prometheus.Registerer
	// Transport carries the requests; nil: one with timeouts.
	Transport http.RoundTripper
}

// Open opens the layer of that name, without asking anything of it yet. It validates
// the settings as Validate does.
func Open(name string, c Config, o Options) (Layer, error) {
	if err := c.Validate(name, "da"); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch name {
	case "local":
		return opened(local.NewClient(c.Endpoint, local.ClientOptions{Token: c.Token, Transport: o.Transport}))
	case "celestia":
		var ns [29]byte
		if c.Namespace != "" {
			ns, _ = ParseNamespace(c.Namespace) // it was validated
		}
		return opened(celestia.New(c.Endpoint, celestia.Options{
			Token: c.Token, Namespaces: o.Namespaces, Namespace: ns, GasPrice: c.GasPrice, ChainID: c.ChainID,
			Transport: o.Transport, Logger: o.Logger,
		}))
	case "eigenda":
		return opened(eigenda.New(c.Endpoint, eigenda.Options{
			Index: o.Index, Token: c.Token, MaxBlobBytes: c.MaxBlobBytes, PricePerMB: c.PricePerMB,
			Transport: o.Transport, Logger: o.Logger, Registerer: o.Registerer,
		}))
	case "avail":
		return opened(avail.New(c.Endpoint, avail.Options{AppID: c.AppID, Token: c.Token, Transport: o.Transport, Logger: o.Logger}))
	}
	return nil, unknown(name)
}

// opened keeps a nil pointer from becoming a layer.
func opened[L Layer](layer L, err error) (Layer, error) {
	if err != nil {
		return nil, err
	}
	return layer, nil
}

func unknown(name string) error {
	return fmt.Errorf("%w %q, want one of %s", ErrUnknown, name, strings.Join(Names, ", "))
}

func known(name string) bool { return slices.Contains(Names, name) }
