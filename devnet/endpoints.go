package devnet

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ordo-network/ordo/order"
)

// Endpoints tells programs where a network answers and what it may be checked
// against.
type Endpoints struct {
	ChainID    string           `json:"chain_id"`
	Rollups    []RollupEndpoint `json:"rollups"`
	Sequencer  string           `json:"sequencer"`
	Sequencers []string         `json:"sequencers"`
	CometRPC   string           `json:"comet_rpc"`
	CometRPCs  []string         `json:"comet_rpcs"`
	// Dispersal are the addresses, host:port, by which validators hand each other batches.
	Dispersal []string `json:"dispersal"`
	// DA are the DA layers in use.
	DA []DAEndpoint `json:"da"`
	// Metrics of the validators, of the relayer, of the rollups, in this order.
	Metrics []string `json:"metrics"`
	// Genesis is the path of the sequencer chain's genesis file.
	Genesis string `json:"genesis"`
	Home    string `json:"home"`
}

// RollupEndpoint is one rollup.
type RollupEndpoint struct {
	Name     string `json:"name"`
	RollupID string `json:"rollup_id"`
	ChainID  uint64 `json:"chain_id"`
	RPC      string `json:"rpc"`
	WS       string `json:"ws"`
	// DA is the name of its DA layer, and DAFallback of the one that takes over; may be empty.
	DA         string `json:"da"`
	DAFallback string `json:"da_fallback,omitempty"`
}

// DAEndpoint is one DA layer.
type DAEndpoint struct {
	Layer string `json:"layer"`
	URL   string `json:"url"`
	// Forgets tells that all data is gone when the network stops.
	Forgets bool `json:"forgets,omitempty"`
}

// DAURL is where a DA layer answers; empty where the network does not use it.
func (e *Endpoints) DAURL(layer string) string {
	for _, d := range e.DA {
		if d.Layer == layer {
			return d.URL
		}
	}
	return ""
}

// RelayerURL is where the relayer tells its status; empty where it is not known.
func (e *Endpoints) RelayerURL() string { return strings.TrimSuffix(e.relayerMetrics(), "/metrics") }

func (e *Endpoints) relayerMetrics() string { return e.metrics(len(e.Sequencers)) }

func (e *Endpoints) rollupMetrics(i int) string { return e.metrics(len(e.Sequencers) + 1 + i) }

// metrics returns nothing where a file of endpoints was written by hand and names
// fewer.
func (e *Endpoints) metrics(i int) string {
	if i >= len(e.Metrics) {
		return ""
	}
	return e.Metrics[i]
}

// DefaultHome is where a devnet lives that was given no other place.
func DefaultHome() (string, error) {
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the home directory: %w (name a data directory with --home)", err)
	}
	return filepath.Join(dir, ".ordo", "devnet"), nil
}

// EndpointsFile is where the devnet in home keeps its endpoints.
func EndpointsFile(home string) string { return filepath.Join(home, endpointsName) }

// LoadEndpoints reads a file of endpoints.
func LoadEndpoints(path string) (*Endpoints, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	var e Endpoints
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("%s is no file of endpoints: %w", path, err)
	}
	return &e, nil
}

func (p plan) endpoints(home string) *Endpoints {
	e := &Endpoints{
		ChainID: ChainID, Home: home, Genesis: genesisFile(home),
		Metrics: []string{},
	}
	for _, name := range p.da.used {
		e.DA = append(e.DA, DAEndpoint{
			Layer: name, URL: p.endpoint(name), Forgets: name == eigenDALayer && p.da.endpoints[name] == "",
		})
	}
	for _, v := range p.Validators {
		e.Sequencers = append(e.Sequencers, httpURL(v.API))
		e.CometRPCs = append(e.CometRPCs, httpURL(v.RPC))
		e.Dispersal = append(e.Dispersal, loopback(v.Dispersal))
		e.Metrics = append(e.Metrics, httpURL(v.Metrics)+"/metrics")
	}
	e.Sequencer, e.CometRPC = e.Sequencers[0], e.CometRPCs[0]
	e.Metrics = append(e.Metrics, httpURL(p.Relayer.Metrics)+"/metrics")
	for i, r := range p.Rollups {
		e.Rollups = append(e.Rollups, RollupEndpoint{
			Name: rollupNames[i], RollupID: order.NewRollupID(rollupNames[i]).String(), ChainID: firstChainID + uint64(i),
			RPC: httpURL(r.RPC), WS: "ws://" + loopback(r.RPC),
			DA: p.da.of(rollupNames[i]), DAFallback: p.da.fallbackOf(rollupNames[i]),
		})
		e.Metrics = append(e.Metrics, httpURL(r.Metrics)+"/metrics")
	}
	return e
}
