package rollup

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway/ethrpc"
	"github.com/ordo-network/ordo/keys"
)

// Config is config.toml in a rollup node's home. Paths are relative to the home.
type Config struct {
	Name             string          `toml:"name" comment:"The rollup's name; its SHA-256 is the rollup ID."`
	StartHeight      uint64          `toml:"start_height" comment:"First height of the sequencer chain that counts for this rollup."`
	Genesis          string          `toml:"genesis" comment:"Genesis of the rollup: a geth genesis file."`
	SequencerGenesis string          `toml:"sequencer_genesis" comment:"Genesis of the sequencer chain: what this node trusts."`
	PayerKey         string          `toml:"payer_key" comment:"Key of the account that pays for this node's bundles."`
	Sequencers       []string        `toml:"sequencers" comment:"APIs of sequencer nodes. One is used at a time, the others stand by."`
	RPC              ethrpc.Settings `toml:"rpc" comment:"The door for wallets."`
	DA               DAConfig        `toml:"da" comment:"The DA layer that the rollup's data is read back from."`
	Fallback         DAConfig        `toml:"fallback" comment:"The layer that relayers publish on while the first one does not take their blobs. Both are read."`
	Gateway          GatewayConfig   `toml:"gateway"`
	TrustingPeriod   config.Duration `toml:"trusting_period" comment:"How long the validators of a block are believed after it: shorter than the sequencer chain's unbonding time. A node that was off for longer must be told a newer block to trust."`
	Metrics          MetricsConfig   `toml:"metrics"`
	Execution        ExecutionConfig `toml:"execution"`
	Domain           DomainConfig    `toml:"domain" comment:"Rollups that are executed together, so that a bundle may be applied on all of them or on none."`
}

// DAConfig names a DA layer.
type DAConfig struct {
	Layer string `toml:"layer" comment:"local (the one that a relayer embeds), celestia, eigenda or avail. Empty: none. Without any, safe and finalized do not move.\nWhat eigenda holds is found by the records on the sequencer chain: one of the sequencers above must answer."`
	layers.Config
	StartHeight uint64 `toml:"start_height" comment:"First height of the layer to read; 0: from the layer's beginning. On a public network, the height that it had when the rollup began."`
}

func (c DAConfig) validate(field string) error {
	if c.Layer == "" {
		return nil
	}
	return c.Validate(c.Layer, field)
}

// GatewayConfig bounds what waits for ordering.
type GatewayConfig struct {
	FlushInterval        config.Duration `toml:"flush_interval" comment:"Least time between two bundles. The first transaction after a pause goes out at once; under load each bundle costs every validator a signature and a check, so that a shorter interval is slower in the end."`
	MaxTransactions      int             `toml:"max_transactions" comment:"The most transactions that may wait; over it senders are told that the node is busy."`
	BundleBytesPerSecond int             `toml:"bundle_bytes_per_second" comment:"How many bytes of users' bundles the payer pays for over time, executed or not; 0 is no bound. Who sends one need not be able to pay for anything."`
}

// MetricsConfig is where Prometheus reads.
type MetricsConfig struct {
	Listen string `toml:"listen" comment:"Empty: off."`
}

// ExecutionConfig says what executes the rollup. mode and block_time make the chain: they
// are the same on all its nodes, and never change.
type ExecutionConfig struct {
	Mode      string          `toml:"mode" comment:"What executes the rollup:\nevm: the EVM in this process. With engine set, its blocks are handed to an Ethereum client too, which checks them.\nop: an op-geth or op-reth behind engine builds the blocks.\ngrpc: a client of astria.execution.v2 behind endpoint.\ngo: a virtual machine of its own, in the program that runs this node.\nThe same on all nodes of the rollup, for ever."`
	BlockTime config.Duration `toml:"block_time" comment:"Least time between two blocks of the rollup, in whole seconds: what is ordered meanwhile is gathered into the next one. 0: each sequencer block that holds transactions makes one at once; in mode grpc, each sequencer block makes one.\nEthereum clients need 1s or more, behind engine and behind endpoint. The same on all nodes of the rollup, for ever."`
	Engine    string          `toml:"engine" comment:"Engine API of the Ethereum client, such as http://127.0.0.1:8551. Modes evm and op."`
	JWT       string          `toml:"jwt" comment:"File with the secret of the Engine API, in hex."`
	Endpoint  string          `toml:"endpoint" comment:"Where the client of mode grpc listens, such as grpc://127.0.0.1:50051.\nOf one block it is given 4 MiB at most. That is a rule and no setting: nodes that gave it more would make other blocks."`
	ClientRPC string          `toml:"client_rpc" comment:"JSON-RPC of the client itself, which the door passes on to what it does not answer. Modes op, grpc and go."`
	PassOn    []string        `toml:"pass_on" comment:"Namespaces of that JSON-RPC that anybody may call through the door."`
	CacheMB   int             `toml:"cache_mb" comment:"Memory of the EVM in this process for state and database caches, in MiB."`
}

// DomainConfig names the rollups that are executed together.
type DomainConfig struct {
	Rollups     []string `toml:"rollups" comment:"Names of all rollups of the domain, this one's too, in the same order on each. Empty: no domain. All of them run in one process: ordo rollup start --home A --home B."`
	StartHeight uint64   `toml:"start_height" comment:"First sequencer height that is executed together: the same on each."`
}

// DefaultConfig returns what a new node starts from.
func DefaultConfig() Config {
	return Config{
		StartHeight: 1, Genesis: "genesis.json", SequencerGenesis: "sequencer-genesis.json", PayerKey: "payer.json",
		RPC:       ethrpc.DefaultSettings(),
		Gateway:   GatewayConfig{FlushInterval: config.Duration(20 * time.Millisecond), MaxTransactions: 50_000, BundleBytesPerSecond: 64 << 10},
		Execution: ExecutionConfig{Mode: ModeEVM, PassOn: []string{"eth", "net", "web3"}, CacheMB: evm.DefaultCacheMB}, TrustingPeriod: config.Duration(14 * 24 * time.Hour),
	}
}

// InitOptions are the settings that have no default, or that people change.
type InitOptions struct {
	Name             string   // required
	ChainID          uint64   // of the EVM; required without GenesisFile
	GenesisFile      string   // a geth genesis; empty: a development genesis with the accounts of the test mnemonic
	SequencerGenesis string   // path of the sequencer chain's genesis; required
	Sequencers       []string // URLs; required
	Listen           string
	MetricsListen    string
	DA, Fallback     DAConfig
	StartHeight      uint64
	TrustingPeriod   time.Duration // of the sequencer chain's validators; 0: two weeks
	Execution        Execution
	Domain           []string // names of the rollups that are executed together; empty: none
	DomainStart      uint64   // 0: the rollup's start height
	// Announce, where set, tells others of the node: once the home holds all but its settings.
	// Without those it is not laid out, so that whoever was interrupted does it all again.
	Announce func() error
}

// Execution are settings of ExecutionConfig that differ from what a new node has; zero
// values stand for no difference.
type Execution struct {
	Mode, Engine, JWT, Endpoint, ClientRPC string
	BlockTime                              time.Duration
}

// apply changes the settings.
func (e Execution) apply(c *ExecutionConfig) {
	for _, s := range []struct {
		to   *string
		from string
	}{{&c.Mode, e.Mode}, {&c.Engine, e.Engine}, {&c.JWT, e.JWT}, {&c.Endpoint, e.Endpoint}, {&c.ClientRPC, e.ClientRPC}} {
		if s.from != "" {
			*s.to = s.from
		}
	}
	if e.Endpoint != "" && e.Mode == "" {
		c.Mode = ModeGRPC // it serves no other
	}
	if e.BlockTime != 0 {
		c.BlockTime = config.Duration(e.BlockTime)
	}
}

// Init lays out the home of a rollup node. A payer.json that is there already is
// kept; otherwise a key is made. It refuses a home that was laid out before.
func Init(home string, o InitOptions) error {
	cfg := DefaultConfig()
	path := filepath.Join(home, "config.toml")
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s exists: this home is a rollup node already; start it, or choose another --home", path)
	}
	cfg.Name, cfg.Sequencers = o.Name, o.Sequencers
	if o.Listen != "" {
		cfg.RPC.Listen = o.Listen
	}
	if o.StartHeight != 0 {
		cfg.StartHeight = o.StartHeight
	}
	if o.TrustingPeriod != 0 {
		cfg.TrustingPeriod = config.Duration(o.TrustingPeriod)
	}
	cfg.Metrics.Listen, cfg.DA, cfg.Fallback = o.MetricsListen, o.DA, o.Fallback
	o.Execution.apply(&cfg.Execution)
	if cfg.Execution.Engine != "" && cfg.Execution.BlockTime == 0 {
		cfg.Execution.BlockTime = config.Duration(time.Second)
	}
	if cfg.Domain.Rollups = o.Domain; len(o.Domain) > 0 {
		cfg.Domain.StartHeight = cmp.Or(o.DomainStart, cfg.StartHeight)
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	if err := writeGenesis(home, cfg, o); err != nil {
		return err
	}
	seq, err := os.ReadFile(o.SequencerGenesis)
	if err != nil {
		return fmt.Errorf("read the sequencer chain's genesis: %w", err)
	}
	if err := os.WriteFile(filepath.Join(home, cfg.SequencerGenesis), seq, 0o644); err != nil {
		return fmt.Errorf("write the sequencer chain's genesis: %w", err)
	}
	key := filepath.Join(home, cfg.PayerKey)
	if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
		if _, err := keys.Generate(key); err != nil {
			return err
		}
	}
	if o.Announce != nil {
		if err := o.Announce(); err != nil {
			return err
		}
	}
	// The config comes last: a home without one is not laid out yet.
	return config.Write(path, cfg)
}

// writeGenesis writes the rollup's genesis where the node needs it: of what is no Ethereum
// it knows none.
func writeGenesis(home string, cfg Config, o InitOptions) error {
	if m := cfg.Execution.Mode; m != ModeEVM && m != ModeOP {
		return nil
	}
	genesis, err := rollupGenesis(o)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home, cfg.Genesis), genesis, 0o644); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	return nil
}

func rollupGenesis(o InitOptions) ([]byte, error) {
	if o.GenesisFile != "" {
		raw, err := os.ReadFile(o.GenesisFile)
		if err != nil {
			return nil, fmt.Errorf("read the rollup's genesis: %w", err)
		}
		return raw, nil
	}
	if o.ChainID == 0 {
		return nil, errors.New("a rollup needs --chain-id, or a geth genesis file with --genesis")
	}
	return evm.EncodeGenesis(evm.DevGenesis(o.ChainID, nil))
}

// LoadConfig reads config.toml from a home.
func LoadConfig(home string) (Config, error) { return loadConfig(home, Execution{}) }

// loadConfig is LoadConfig where the command line says some settings otherwise.
func loadConfig(home string, o Execution) (Config, error) {
	cfg := DefaultConfig()
	if err := config.Load(filepath.Join(home, "config.toml"), &cfg); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return cfg, fmt.Errorf("%s is not the home of a rollup node: make one with `ordo rollup init`, or name another with --home", home)
		}
		return cfg, err
	}
	o.apply(&cfg.Execution)
	return cfg, cfg.validate()
}

func (c Config) validate() error {
	if c.Name == "" {
		return errors.New("name is empty: a rollup needs a name")
	}
	if c.StartHeight == 0 {
		return errors.New("start_height is 0: the first height of a chain is 1")
	}
	if len(c.Sequencers) == 0 {
		return errors.New("sequencers is empty: name the API of one sequencer node or more, such as http://127.0.0.1:26602")
	}
	for _, s := range c.Sequencers {
		if u, err := url.Parse(s); err != nil || u.Host == "" {
			return fmt.Errorf("sequencers: %q is not a URL such as http://127.0.0.1:26602", s)
		}
	}
	if c.DA.Layer == "" && c.Fallback.Layer != "" {
		return errors.New("fallback.layer is set and da.layer is not: name the layer in [da]")
	}
	if c.DA.Layer != "" && c.DA.Layer == c.Fallback.Layer {
		return fmt.Errorf("da.layer and fallback.layer are both %q: a layer cannot stand in for itself", c.DA.Layer)
	}
	return errors.Join(c.DA.validate("da"), c.Fallback.validate("fallback"), c.validateExecution(), c.validateDomain())
}
