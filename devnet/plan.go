package devnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/internal/listen"
)

const maxPort = 65535

// Standard ports: those that wallets expect for the rollups, and CometBFT's
// neighbourhood for the rest.
const (
	standardRollup    = 8545
	standardValidator = 26600
	validatorStride   = 10
	standardRelayer   = standardValidator + MaxValidators*validatorStride
	standardMetrics   = standardRelayer + validatorStride
)

type validatorPorts struct{ P2P, RPC, API, Metrics, Dispersal int }

type rollupPorts struct{ RPC, Metrics int }

type relayerPorts struct{ DA, Metrics int }

// nodePorts are those of the DA layers' nodes that the devnet runs.
type nodePorts struct{ Celestia, EigenDA int }

// plan says who listens where. It depends on the shape alone.
type plan struct {
	Validators []validatorPorts
	Rollups    []rollupPorts
	Relayer    relayerPorts
	Nodes      nodePorts
	// da is valid: the shape is.
	da layout
}

func newPlan(s Shape) plan {
	p := plan{Validators: make([]validatorPorts, s.Validators), Rollups: make([]rollupPorts, s.Rollups)}
	p.da, _ = s.DA.layout(s.Rollups)
	if s.BasePort == 0 {
		for i := range p.Rollups {
			p.Rollups[i] = rollupPorts{RPC: standardRollup + i, Metrics: standardMetrics + i}
		}
		for i := range p.Validators {
			base := standardValidator + i*validatorStride
			p.Validators[i] = validatorPorts{P2P: base, RPC: base + 1, API: base + 2, Metrics: base + 3, Dispersal: base + 4}
		}
		p.Relayer = relayerPorts{DA: standardRelayer, Metrics: standardRelayer + 1}
		p.Nodes = nodePorts{Celestia: standardRelayer + 2, EigenDA: standardRelayer + 3}
		return p
	}
	next := s.BasePort
	port := func() int { next++; return next - 1 }
	for i := range p.Rollups {
		p.Rollups[i].RPC = port()
	}
	for i := range p.Validators {
		p.Validators[i] = validatorPorts{P2P: port(), RPC: port(), API: port(), Metrics: port(), Dispersal: port()}
	}
	p.Relayer = relayerPorts{DA: port(), Metrics: port()}
	for i := range p.Rollups {
		p.Rollups[i].Metrics = port()
	}
	p.Nodes = nodePorts{Celestia: port(), EigenDA: port()}
	return p
}

// claim is one port and who asks for it.
type claim struct {
	port  int
	owner string
}

func (p plan) claims() []claim {
	var out []claim
	for i, r := range p.Rollups {
		out = append(out, claim{r.RPC, "RPC of rollup " + rollupNames[i]}, claim{r.Metrics, "metrics of rollup " + rollupNames[i]})
	}
	for i, v := range p.Validators {
		name := validatorName(i)
		out = append(out, claim{v.API, "API of " + name}, claim{v.RPC, "CometBFT RPC of " + name},
			claim{v.P2P, "peer-to-peer of " + name}, claim{v.Metrics, "metrics of " + name},
			claim{v.Dispersal, "dispersal of " + name})
	}
	out = append(out, claim{p.Relayer.Metrics, "metrics of the relayer"})
	if p.da.embedded() {
		out = append(out, claim{p.Relayer.DA, "DA layer of the relayer"})
	}
	for _, name := range p.da.started() {
		out = append(out, claim{p.Nodes.of(name), "node of DA layer " + name})
	}
	return out
}

func (p nodePorts) of(layer string) int {
	if layer == celestiaLayer {
		return p.Celestia
	}
	return p.EigenDA
}

// endpoint is the URL of a DA layer's node.
func (p plan) endpoint(layer string) string {
	switch url := p.da.endpoints[layer]; {
	case url != "":
		return url
	case layer == localLayer:
		return httpURL(p.Relayer.DA)
	}
	return httpURL(p.Nodes.of(layer))
}

func (p plan) last() int {
	last := 0
	for _, c := range p.claims() {
		last = max(last, c.port)
	}
	return last
}

// check tells the first port that is taken, and who asked for it.
func (p plan) check() error {
	for _, c := range p.claims() {
		// A devnet that died may have left children that end at this moment.
		l, err := listen.TCP(context.Background(), loopback(c.port))
		if err == nil {
			err = l.Close()
		}
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("port %d, asked for by the %s, is in use by another program: stop that program, or start the devnet elsewhere with --base-port and --home", c.port, c.owner)
		case err != nil:
			return fmt.Errorf("port %d, asked for by the %s, cannot be used: %w", c.port, c.owner, err)
		}
	}
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func httpURL(port int) string { return "http://" + loopback(port) }

func validatorName(i int) string { return "validator-" + strconv.Itoa(i) }

// layers are how the validators and the rollups reach the DA layers.
func (p plan) layers(s Shape) map[string]layers.Config {
	out := map[string]layers.Config{}
	for _, name := range p.da.used {
		out[name] = p.da.config(name, s.DA.AppID, p.endpoint(name))
	}
	return out
}
