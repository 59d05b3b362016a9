package devnet

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ordo-network/ordo/da/layers"
)

// DA is which DA layers a network uses, as typed. Tokens are secrets and stand in the
// settings of the processes alone.
type DA struct {
	// Layers is a layer for all rollups, or for some: "celestia", "celestia,beta=local".
	Layers string `json:"layers"`
	// Fallback takes over while a layer confirms nothing; empty: none.
	Fallback string `json:"fallback"`
	// Endpoints are nodes that run already, as "URL" or "LAYER=URL,LAYER=URL". The devnet
	// starts those of the other layers.
	Endpoints string `json:"endpoints"`
	Tokens    string `json:"-"`
	// AppID is Avail's.
	AppID uint32 `json:"app_id"`
}

const localLayer, celestiaLayer, eigenDALayer, availLayer = "local", "celestia", "eigenda", "avail"

// layout is what a DA says.
type layout struct {
	main     string            // of the rollups that rollups does not name
	rollups  map[string]string // layer by rollup
	fallback string
	used     []string // layers of the rollups in their order, and the fallback
	// endpoints and tokens of nodes that run already, by layer.
	endpoints, tokens map[string]string
}

// layout reads what was typed, for the first n rollups.
func (d DA) layout(n int) (layout, error) {
	l := layout{main: localLayer, rollups: map[string]string{}, fallback: d.Fallback}
	if err := l.readLayers(d.Layers, n); err != nil {
		return layout{}, err
	}
	if l.fallback != "" {
		if err := checkLayer("--da-fallback", l.fallback); err != nil {
			return layout{}, err
		}
		if len(l.used) == 1 && l.used[0] == l.fallback {
			return layout{}, fmt.Errorf("--da-fallback is %s, which is the layer itself", l.fallback)
		}
		l.use(l.fallback)
	}
	var err error
	if l.endpoints, err = l.perLayer("--da-endpoint", d.Endpoints); err != nil {
		return layout{}, err
	}
	if l.tokens, err = l.perLayer("--da-token", d.Tokens); err != nil {
		return layout{}, err
	}
	if slices.Contains(l.used, availLayer) && l.endpoints[availLayer] == "" {
		return layout{}, fmt.Errorf("--da has avail, of which no node can be started here: name a light client that runs with --da-endpoint avail=http://127.0.0.1:7007, and its application with --da-app-id")
	}
	for _, name := range l.used {
		if l.endpoints[name] == "" {
			if l.tokens[name] != "" {
				return layout{}, fmt.Errorf("--da-token is for a node that runs already: name it with --da-endpoint %s=URL", name)
			}
			continue
		}
		if err := l.config(name, d.AppID, "").Validate(name, "--da "+name); err != nil {
			return layout{}, err
		}
	}
	return l, nil
}

func (l *layout) readLayers(typed string, n int) error {
	named := map[string]bool{}
	for entry := range strings.SplitSeq(typed, ",") {
		rollup, layer, single := strings.Cut(entry, "=")
		if !single {
			rollup, layer = "", entry
		}
		switch {
		case single && !slices.Contains(rollupNames[:n], rollup):
			return fmt.Errorf("--da: there is no rollup %q among %s", rollup, strings.Join(rollupNames[:n], ", "))
		case named[rollup]:
			return fmt.Errorf("--da is %q, which names two layers for the same: write one for all rollups, and others by rollup, such as celestia,beta=local", typed)
		}
		if err := checkLayer("--da", layer); err != nil {
			return err
		}
		named[rollup] = true
		if single {
			l.rollups[rollup] = layer
		} else {
			l.main = layer
		}
	}
	// A main layer that no rollup is on is not used.
	for _, rollup := range rollupNames[:n] {
		l.use(l.of(rollup))
	}
	if !slices.Contains(l.used, l.main) {
		l.main = l.used[0]
	}
	return nil
}

func checkLayer(flag, name string) error {
	if !slices.Contains(layers.Names, name) {
		return fmt.Errorf("%s: there is no DA layer %q: use one of %s", flag, name, strings.Join(layers.Names, ", "))
	}
	return nil
}

func (l *layout) use(name string) {
	if !slices.Contains(l.used, name) {
		l.used = append(l.used, name)
	}
}

// of returns the layer of a rollup.
func (l layout) of(rollup string) string {
	if name, ok := l.rollups[rollup]; ok {
		return name
	}
	return l.main
}

// perLayer reads a value for each of some layers. One alone needs no name where there
// is one layer, or one beside the local one, that it can be for.
func (l layout) perLayer(flag, typed string) (map[string]string, error) {
	out := map[string]string{}
	if typed == "" {
		return out, nil
	}
	for entry := range strings.SplitSeq(typed, ",") {
		name, value, found := strings.Cut(entry, "=")
		if !found || !slices.Contains(layers.Names, name) {
			name, value = l.only(), entry
		}
		switch {
		case name == "":
			return nil, fmt.Errorf("%s does not say which of %s it is for: write %s %s=…", flag, strings.Join(l.used, ", "), flag, l.used[0])
		case !slices.Contains(l.used, name):
			return nil, fmt.Errorf("%s is for %s, which no rollup uses: name it with --da", flag, name)
		case value == "" || out[name] != "":
			return nil, fmt.Errorf("%s: give %s one value", flag, name)
		}
		out[name] = value
	}
	return out, nil
}

// only returns the one layer that a value without a name can be for.
func (l layout) only() string {
	if len(l.used) == 1 {
		return l.used[0]
	}
	rest := slices.DeleteFunc(slices.Clone(l.used), func(name string) bool { return name == localLayer })
	if len(rest) == 1 {
		return rest[0]
	}
	return ""
}

// config is how processes reach a layer; ours is the URL of the devnet's own node.
func (l layout) config(name string, appID uint32, ours string) layers.Config {
	c := layers.Config{Endpoint: ours, Token: l.tokens[name]}
	if url := l.endpoints[name]; url != "" {
		c.Endpoint = url
	}
	if name == availLayer {
		c.AppID = appID
	}
	return c
}

// started are the layers whose nodes the devnet runs beside its own processes.
func (l layout) started() []string {
	return slices.DeleteFunc(slices.Clone(l.used), func(name string) bool {
		return name == localLayer || l.endpoints[name] != ""
	})
}

// embedded tells whether the relayer runs the local layer.
func (l layout) embedded() bool {
	return slices.Contains(l.used, localLayer) && l.endpoints[localLayer] == ""
}

// forgets tells whether a layer's data is gone when the network stops.
func (l layout) forgets() bool { return slices.Contains(l.started(), eigenDALayer) }

// rollupLayers are those of the rollups that are not on the main one.
func (l layout) rollupLayers() map[string]string {
	out := maps.Clone(l.rollups)
	maps.DeleteFunc(out, func(_, layer string) bool { return layer == l.main })
	return out
}

// fallbackOf returns what takes over from the layer of a rollup; empty: nothing.
func (l layout) fallbackOf(rollup string) string {
	if l.of(rollup) == l.fallback {
		return ""
	}
	return l.fallback
}
