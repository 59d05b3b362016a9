package relayer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/order"
)

// LayerConfig is how to reach one DA layer.
type LayerConfig struct {
	layers.Config

	Listen    string          `toml:"listen,omitempty" comment:"local: where this process serves the layer. Empty: the layer runs elsewhere, at endpoint."`
	Dir       string          `toml:"dir,omitempty" comment:"local, served here: its folder."`
	BlockTime config.Duration `toml:"block_time,omitempty" comment:"local, served here: least time between two blocks; without blobs there are none."`
	Retain    config.Duration `toml:"retain,omitempty" comment:"local, served here: how long blobs are kept, such as 720h; 0 is for ever."`
}

// embedded says whether the layer runs in this process.
func (c LayerConfig) embedded() bool { return c.Listen != "" }

func (c LayerConfig) validate(name string) error {
	table := "layers." + name
	if !c.embedded() {
		return c.Validate(name, table)
	}
	switch {
	case name != "local":
		return fmt.Errorf("%s.listen is set, but only the local layer can be served here: give its endpoint", table)
	case c.Endpoint != "":
		return fmt.Errorf("%s.listen and %s.endpoint are both set: the layer runs either here or there", table, table)
	case c.Dir == "":
		return fmt.Errorf("%s.dir is empty: the local layer needs a folder", table)
	case c.BlockTime <= 0:
		return fmt.Errorf("%s.block_time is %s, want more than 0, such as 1s", table, time.Duration(c.BlockTime))
	case c.Retain < 0:
		return fmt.Errorf("%s.retain is %s, want 0, for ever, or more", table, time.Duration(c.Retain))
	}
	return checkAddress(table+".listen", c.Listen)
}

// habits of layers: when a submission without an answer is taken for lost, see Layer.
// Blocks come about each 6 s at Celestia and each 20 s at Avail; EigenDA's heights are
// those of the sequencer chain, which may be 100 ms apart, and dispersing takes minutes there.
var habits = map[string]Layer{
	// A request that is given up is withdrawn from the embedded layer, or stored at once.
	"local":    {Window: 1000},
	"celestia": {Settle: 20 * time.Second, SettleBlocks: 3, Window: 200},
	"eigenda":  {Settle: 20 * time.Second, SettleBlocks: 10, Window: 10_000, Recorded: true},
	"avail":    {Settle: 60 * time.Second, SettleBlocks: 3, Window: 200},
}

// used are the names of the layers that rollups go to, the fallback last.
func (c Config) used() []string {
	out := []string{c.Layer}
	for _, name := range c.Rollups {
		if l, ok := c.RollupLayers[name]; ok && !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	if c.Fallback != "" && !slices.Contains(out, c.Fallback) {
		out = append(out, c.Fallback)
	}
	return out
}

// namespaces are those that the config gives rollups, instead of the one made of their ID.
func (c Config) namespaces() (map[da.Namespace][29]byte, error) {
	out := map[da.Namespace][29]byte{}
	for name, text := range c.RollupNamespaces {
		ns, err := layers.ParseNamespace(text)
		if err != nil {
			return nil, fmt.Errorf("rollup_namespaces: %q: %w", name, err)
		}
		out[da.Namespace(rollupID(name))] = ns
	}
	return out, nil
}

// rollupID reads a rollup's name, or its ID in hexadecimal.
func rollupID(name string) order.RollupID {
	if raw, err := hex.DecodeString(name); err == nil && len(raw) == len(order.RollupID{}) {
		return order.RollupID(raw)
	}
	return order.NewRollupID(name)
}

// opened are the layers of a running relayer, with what is to be closed after it.
type opened struct {
	layers []Layer
	serve  func(ctx context.Context) error // nil where no layer runs here
	close  func() error
}

// openLayers opens all layers that the config uses; the embedded one serves at the listener.
func (c Config) openLayers(home string, listener net.Listener, o layers.Options) (*opened, error) {
	var closers []io.Closer
	out := &opened{}
	out.close = func() (err error) {
		for _, c := range closers {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	for _, name := range c.used() {
		cfg, l := c.Layers[name], habits[name]
		if cfg.embedded() {
			embedded, err := local.Open(under(home, cfg.Dir), local.Options{BlockTime: time.Duration(cfg.BlockTime), Retain: time.Duration(cfg.Retain)})
			if err != nil {
				return nil, errors.Join(err, out.close())
			}
			l.Layer, closers = embedded, append(closers, embedded)
			server := local.NewServer(embedded, local.ServerOptions{Token: cfg.Token})
			out.serve = func(ctx context.Context) error { return server.Serve(ctx, listener) }
		} else {
			remote, err := layers.Open(name, cfg.Config, o)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("open DA layer %s: %w", name, err), out.close())
			}
			l.Layer, closers = remote, append(closers, remote)
		}
		out.layers = append(out.layers, l)
	}
	return out, nil
}

func (o *opened) names() []string {
	var out []string
	for _, l := range o.layers {
		out = append(out, l.Name())
	}
	return out
}
