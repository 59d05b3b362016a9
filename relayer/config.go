package relayer

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

const (
	configFile  = "config.toml"
	genesisFile = "sequencer-genesis.json"
	journalDir  = "journal"
)

// Config is config.toml in a relayer's home. Paths are relative to the home.
type Config struct {
	Sequencers       []string        `toml:"sequencers" comment:"APIs of sequencer nodes. One is used at a time, the others stand by."`
	SequencerGenesis string          `toml:"sequencer_genesis" comment:"Genesis of the sequencer chain: what this relayer trusts."`
	TrustingPeriod   config.Duration `toml:"trusting_period" comment:"How long the validators of a block are believed after it: shorter than the sequencer chain's unbonding time.\nA relayer that was off for longer must be told a newer block to trust, and so must one that begins with a rollup when genesis is older."`
	TrustHeight      uint64          `toml:"trust_height" comment:"Height of a block of the sequencer chain that somebody you trust named; 0: none.\nRollups begin from it in place of genesis. What is read below it must lead to it, and is shown to be true no earlier."`
	TrustHash        string          `toml:"trust_hash" comment:"Hash of that block, 64 hexadecimal digits."`
	Rollups          []string        `toml:"rollups" comment:"Rollups to relay, by name; 64 hexadecimal digits are a rollup ID."`
	Layer            string          `toml:"layer" comment:"DA layer of the rollups: local, celestia, eigenda or avail. How to reach it stands in [layers.<name>]."`
	Fallback         string          `toml:"fallback" comment:"DA layer that takes the blobs of one that confirms nothing. Empty: none, they wait.\nRollup nodes must be told to read both."`
	FallbackAfter    config.Duration `toml:"fallback_after" comment:"How long a layer may confirm nothing while blobs wait, before they go to the fallback."`
	ClaimKey         string          `toml:"claim_key" comment:"Key file of the account that records on the sequencer chain what was posted, so that validators see to it.\nEmpty: nothing is recorded."`
	ClaimInterval    config.Duration `toml:"claim_interval" comment:"How often that is done at most."`

	Batch   BatchConfig   `toml:"batch" comment:"How blocks become blobs and blobs become requests."`
	Metrics MetricsConfig `toml:"metrics"`

	StartHeights     map[string]uint64      `toml:"start_heights" comment:"First height of the sequencer chain to post, by rollup as named above; 1 where it is not given.\nIt counts until the first blob of the rollup is made."`
	RollupLayers     map[string]string      `toml:"rollup_layers" comment:"DA layer of single rollups, where it is not the one above."`
	RollupNamespaces map[string]string      `toml:"rollup_namespaces" comment:"Celestia namespace of single rollups, ten bytes in hexadecimal, where it is not made of the rollup's ID."`
	Layers           map[string]LayerConfig `toml:"layers" comment:"How to reach the DA layers."`
}

// BatchConfig bounds blobs and requests.
type BatchConfig struct {
	BlobBytes    int             `toml:"blob_bytes" comment:"A blob is cut when its blocks have this many bytes, before compression."`
	Age          config.Duration `toml:"age" comment:"A blob is cut when its first block has waited this long and its layer can take it."`
	SubmitBytes  int             `toml:"submit_bytes" comment:"Bytes of blobs that go out in one request, of all rollups of a layer."`
	MaxInFlight  int             `toml:"max_in_flight" comment:"Requests under way at once to one layer. Of each rollup there is one at a time."`
	BacklogBlobs int             `toml:"backlog_blobs" comment:"Blobs of a rollup that may wait for the DA layer; then its order is read no further."`
	BacklogBytes int             `toml:"backlog_bytes" comment:"The same in bytes. They wait on disk."`
}

// MetricsConfig is where Prometheus reads.
type MetricsConfig struct {
	Listen string `toml:"listen" comment:"Serves /metrics, /health and /status. Empty: off."`
}

// DefaultConfig returns what a new relayer starts from.
func DefaultConfig() Config {
	return Config{
		SequencerGenesis: genesisFile, TrustingPeriod: config.Duration(14 * 24 * time.Hour),
		Layer: "local", FallbackAfter: config.Duration(2 * time.Minute), ClaimInterval: config.Duration(5 * time.Second),
		Batch: BatchConfig{
			BlobBytes: 1 << 20, Age: config.Duration(500 * time.Millisecond), SubmitBytes: 8 << 20, MaxInFlight: 8,
			BacklogBlobs: 64, BacklogBytes: 64 << 20,
		},
		Metrics:      MetricsConfig{Listen: "127.0.0.1:26761"},
		StartHeights: map[string]uint64{}, RollupLayers: map[string]string{}, RollupNamespaces: map[string]string{},
		Layers: map[string]LayerConfig{
			"local": {Listen: "127.0.0.1:26760", Dir: "da", BlockTime: config.Duration(time.Second)},
		},
	}
}

// Init lays out the home of a relayer: the config, and a copy of the sequencer
// chain's genesis that cfg.SequencerGenesis names. It refuses a home that was laid
// out before.
func Init(home string, cfg Config) error {
	path := filepath.Join(home, configFile)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s exists: this home is a relayer already; start it, or choose another --home", path)
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	if _, err := follower.TrustGenesisFile(cfg.SequencerGenesis); err != nil {
		return err
	}
	raw, err := os.ReadFile(cfg.SequencerGenesis)
	if err != nil {
		return fmt.Errorf("read the sequencer chain's genesis: %w", err)
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	cfg.SequencerGenesis = genesisFile
	if err := os.WriteFile(filepath.Join(home, genesisFile), raw, 0o644); err != nil {
		return fmt.Errorf("write the sequencer chain's genesis: %w", err)
	}
	// The config comes last: a home without one is not laid out yet.
	return config.Write(path, cfg)
}

// LoadConfig reads config.toml from a home.
func LoadConfig(home string) (Config, error) {
	cfg := DefaultConfig()
	cfg.Layers = nil // those of the file alone: a default would mix with what the file says
	if err := config.Load(filepath.Join(home, configFile), &cfg); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return cfg, fmt.Errorf("%s is not the home of a relayer: make one with `ordo relayer init`, or name another with --home", home)
		}
		return cfg, err
	}
	return cfg, cfg.validate()
}

// ChainID is the ID of the sequencer chain, by the genesis in the home that the relayer trusts.
func (c Config) ChainID(home string) (string, error) {
	trust, err := follower.TrustGenesisFile(under(home, c.SequencerGenesis))
	return trust.ChainID(), err
}

func (c Config) validate() error {
	if len(c.Sequencers) == 0 {
		return errors.New("sequencers is empty: name the API of one sequencer node or more, such as http://127.0.0.1:26602")
	}
	for _, s := range c.Sequencers {
		if err := checkURL("sequencers", s, "http://127.0.0.1:26602"); err != nil {
			return err
		}
	}
	if _, err := c.rollups(); err != nil {
		return err
	}
	if _, err := c.namespaces(); err != nil {
		return err
	}
	if _, err := c.trusted(); err != nil {
		return err
	}
	if err := c.validateLayers(); err != nil {
		return err
	}
	if err := c.Batch.validate(); err != nil {
		return err
	}
	if c.Metrics.Listen != "" {
		return checkAddress("metrics.listen", c.Metrics.Listen)
	}
	return nil
}

// rollups returns what is to be relayed.
func (c Config) rollups() ([]Rollup, error) {
	if len(c.Rollups) == 0 {
		return nil, errors.New("rollups is empty: name at least one rollup to relay")
	}
	if len(c.Rollups) > follower.MaxGroup {
		return nil, fmt.Errorf("rollups: %d are named, a relayer takes %d at most: run several", len(c.Rollups), follower.MaxGroup)
	}
	seen := map[order.RollupID]string{}
	var out []Rollup
	for _, name := range c.Rollups {
		if name == "" {
			return nil, errors.New("rollups: a name is empty")
		}
		r := Rollup{Name: name, ID: rollupID(name), Start: 1, Layer: c.Layer}
		if l, ok := c.RollupLayers[name]; ok {
			r.Layer = l
		}
		if other, ok := seen[r.ID]; ok {
			return nil, fmt.Errorf("rollups: %q and %q are the same rollup", other, name)
		}
		seen[r.ID] = name
		if start, ok := c.StartHeights[name]; ok {
			if start == 0 {
				return nil, fmt.Errorf("start_heights: %q starts at 0: the first height of a chain is 1", name)
			}
			r.Start = start
		}
		out = append(out, r)
	}
	for _, table := range []struct {
		name    string
		rollups []string
	}{
		{"start_heights", slices.Collect(maps.Keys(c.StartHeights))},
		{"rollup_layers", slices.Collect(maps.Keys(c.RollupLayers))},
		{"rollup_namespaces", slices.Collect(maps.Keys(c.RollupNamespaces))},
	} {
		for _, name := range table.rollups {
			if !slices.Contains(c.Rollups, name) {
				return nil, fmt.Errorf("%s: %q is not among the rollups", table.name, name)
			}
		}
	}
	return out, nil
}

func (c Config) validateLayers() error {
	for _, name := range c.used() {
		l, ok := c.Layers[name]
		if _, known := habits[name]; known && !ok {
			return fmt.Errorf("[layers.%s] is missing: say there how to reach the DA layer", name)
		}
		if err := l.validate(name); err != nil {
			return err
		}
	}
	if c.Fallback == c.Layer && len(c.used()) == 1 {
		return fmt.Errorf("fallback: %q is the layer itself", c.Fallback)
	}
	for _, v := range []struct {
		name     string
		got      config.Duration
		min, max time.Duration
	}{
		{"fallback_after", c.FallbackAfter, time.Second, 24 * time.Hour},
		{"claim_interval", c.ClaimInterval, 100 * time.Millisecond, time.Hour},
	} {
		if got := time.Duration(v.got); got < v.min || got > v.max {
			return fmt.Errorf("%s is %s, want %s to %s", v.name, got, v.min, v.max)
		}
	}
	return nil
}

func (c BatchConfig) validate() error {
	for _, v := range []struct {
		name          string
		got, min, max int
	}{
		{"blob_bytes", c.BlobBytes, 1 << 10, 8 << 20},
		{"submit_bytes", c.SubmitBytes, 1 << 10, 32 << 20},
		{"max_in_flight", c.MaxInFlight, 1, 256},
		{"backlog_blobs", c.BacklogBlobs, 1, 1 << 16},
		{"backlog_bytes", c.BacklogBytes, 1 << 10, 1 << 40},
	} {
		if v.got < v.min || v.got > v.max {
			return fmt.Errorf("batch.%s is %d, want %d to %d", v.name, v.got, v.min, v.max)
		}
	}
	if age := time.Duration(c.Age); age <= 0 || age > time.Minute {
		return fmt.Errorf("batch.age is %s, want more than 0 and at most 1m", age)
	}
	return nil
}

func checkURL(name, s, example string) error {
	if u, err := url.Parse(s); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s: %q is not a URL such as %s", name, s, example)
	}
	return nil
}

func checkAddress(name, s string) error {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return fmt.Errorf("%s: %q is not an address such as 127.0.0.1:26760", name, s)
	}
	return nil
}
