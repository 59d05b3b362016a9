package da

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/devnet/celestia"
)

// runningLayer is a layer that readers and relayers reach by the settings.
type runningLayer struct {
	settings layers.Config
	pids     map[string]int // of its processes, where they were started here
	close    func() error
}

// startLayer starts the layer with its data in dir, or takes the one that runs.
func startLayer(ctx context.Context, o Options, dir string) (*runningLayer, error) {
	settings := layers.Config{Endpoint: o.Endpoint, Token: o.Token}
	switch {
	case o.Endpoint != "":
		return &runningLayer{settings: settings, close: func() error { return nil }}, settings.Validate(o.Layer, "layer")
	case o.Layer == LayerCelestia:
		return startCelestia(ctx, o, dir)
	default:
		return startLocal(ctx, o, dir)
	}
}

func startCelestia(ctx context.Context, o Options, dir string) (*runningLayer, error) {
	n, err := celestia.Start(ctx, celestia.Options{Dir: dir, BlockTime: o.LayerBlockTime})
	if err != nil {
		return nil, err
	}
	app, bridge := n.PIDs()
	return &runningLayer{
		settings: layers.Config{Endpoint: n.Endpoint(), Token: n.Token()},
		pids:     map[string]int{"celestia-app": app, "celestia-node": bridge}, close: n.Stop,
	}, nil
}

// startLocal serves the embedded layer from this process, so that it is there when
// the relayer is not.
func startLocal(ctx context.Context, o Options, dir string) (*runningLayer, error) {
	layer, err := local.Open(dir, local.Options{BlockTime: o.LayerBlockTime})
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve the local layer: %w", err), layer.Close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // until it is closed
	served := make(chan error, 1)
	go func() { served <- local.NewServer(layer, local.ServerOptions{}).Serve(serving, listener) }()
	return &runningLayer{
		settings: layers.Config{Endpoint: "http://" + listener.Addr().String()},
		close: func() error {
			stop()
			return errors.Join(<-served, layer.Close())
		},
	}, nil
}
