package devnet

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of a devnet.
const (
	MaxValidators = 16
	MaxRollups    = 16
)

// ChainID of the sequencer chain of every devnet.
const ChainID = "ordo-devnet-1"

// firstChainID is the EVM chain ID of the first rollup; 31337 is what wallets and
// tools know as a local development chain.
const firstChainID = 31337

// rollupNames in the order in which they are used.
var rollupNames = [MaxRollups]string{
	"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta",
	"iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi",
}

// Shape is what a network is made with. It cannot change while the network's
// directory is kept.
type Shape struct {
	Validators int           `json:"validators"`
	Rollups    int           `json:"rollups"`
	BlockTime  time.Duration `json:"block_time"`
	// BasePort is the first of all ports; 0 stands for the standard ones.
	BasePort int `json:"base_port"`
	DA       DA  `json:"da"`
}

// DefaultShape is a network that tolerates the loss of one validator.
func DefaultShape() Shape {
	return Shape{Validators: 4, Rollups: 2, BlockTime: 100 * time.Millisecond, DA: DA{Layers: localLayer}}
}

// Validate says which setting is out of its bounds.
func (s Shape) Validate() error {
	switch {
	case s.Validators < 1 || s.Validators > MaxValidators:
		return fmt.Errorf("--validators is %d, but a devnet has 1 to %d", s.Validators, MaxValidators)
	case s.Rollups < 1 || s.Rollups > MaxRollups:
		return fmt.Errorf("--rollups is %d, but a devnet has 1 to %d", s.Rollups, MaxRollups)
	case s.BlockTime < 20*time.Millisecond || s.BlockTime > time.Minute:
		return fmt.Errorf("--block-time is %v, but a devnet takes 20ms to 1m", s.BlockTime)
	case s.BasePort < 0 || s.BasePort > 0 && s.BasePort < 1024:
		return fmt.Errorf("--base-port is %d, but it must be 0 for the standard ports, or 1024 or more", s.BasePort)
	}
	if _, err := s.DA.layout(s.Rollups); err != nil {
		return err
	}
	if last := newPlan(s).last(); last > maxPort {
		return fmt.Errorf("--base-port is %d, which takes the last of the network's ports to %d; the highest there is is %d", s.BasePort, last, maxPort)
	}
	return nil
}

// Options of one run.
type Options struct {
	Home string
	// Shape that was asked for; Set tells which of its settings were typed and
	// must therefore match the network in Home. The others follow that network.
	Shape Shape
	Set   func(setting string) bool
	// Fresh removes the network in Home first.
	Fresh bool
	// EndpointsFile is one more place to write the endpoints to; may be empty.
	EndpointsFile string
	// Binary is the program whose subcommands the children are.
	Binary string
	// LogLevel is handed to the children.
	LogLevel string
	// Reporter is told what happens. Required.
	Reporter Reporter
	// Logs receives a copy of the children's logs, line by line; nil: files only.
	Logs func(child string, line []byte)
}

var errNoReporter = errors.New("devnet: a Reporter is required")
