package relayer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
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
	Sequencers       []string          `toml:"sequencers" comment:"APIs of sequencer nodes. One is used at a time, the others stand by."`
	SequencerGenesis string            `toml:"sequencer_genesis" comment:"Genesis of the sequencer chain: what this relayer trusts."`
	Rollups          []string          `toml:"rollups" comment:"Rollups to relay, by name; 64 hexadecimal digits are a rollup ID."`
	StartHeights     map[string]uint64 `toml:"start_heights" comment:"First height of the sequencer chain to post, by rollup as named above; 1 where it is not given.\nIt counts until the first blob of the rollup is made."`
	DA               DAConfig          `toml:"da" comment:"Where the order is posted."`
	Batch            BatchConfig       `toml:"batch" comment:"How blocks become blobs and blobs become requests."`
	TrustingPeriod   config.Duration   `toml:"trusting_period" comment:"How long the validators of a block are believed after it: shorter than the sequencer chain's unbonding time.\nA relayer that was off for longer must be told a newer block to trust."`
	Metrics          MetricsConfig     `toml:"metrics"`
}

// DAConfig names the DA layer.
type DAConfig struct {
	Layer     string          `toml:"layer" comment:"local: blobs in one folder, served in the JSON-RPC shape of celestia-node."`
	Listen    string          `toml:"listen" comment:"Where this process serves the local layer. Empty: the layer runs elsewhere, at endpoint."`
	Dir       string          `toml:"dir" comment:"Folder of the local layer."`
	BlockTime config.Duration `toml:"block_time" comment:"Least time between two blocks of the local layer; without blobs there are none."`
	Endpoint  string          `toml:"endpoint" comment:"URL of a local layer that runs elsewhere."`
	Token     string          `toml:"token" comment:"Bearer token that the layer asks for, or that is sent to it. Empty: none."`
}

// BatchConfig bounds blobs and requests.
type BatchConfig struct {
	BlobBytes    int             `toml:"blob_bytes" comment:"A blob is cut when its blocks have this many bytes, before compression."`
	Age          config.Duration `toml:"age" comment:"A blob is cut when its first block has waited this long."`
	SubmitBytes  int             `toml:"submit_bytes" comment:"Bytes of waiting blobs of a rollup that go out in one request."`
	MaxInFlight  int             `toml:"max_in_flight" comment:"Requests under way at once, over all rollups."`
	BacklogBlobs int             `toml:"backlog_blobs" comment:"Blobs of a rollup that may wait for the DA layer; then its order is read no further."`
	BacklogBytes int             `toml:"backlog_bytes" comment:"The same in bytes. They wait on disk."`
}

// MetricsConfig is where Prometheus reads.
type MetricsConfig struct {
	Listen string `toml:"listen" comment:"Serves /metrics and /health. Empty: off."`
}

// DefaultConfig returns what a new relayer starts from.
func DefaultConfig() Config {
	return Config{
		SequencerGenesis: genesisFile, StartHeights: map[string]uint64{},
		DA: DAConfig{Layer: "local", Listen: "127.0.0.1:26760", Dir: "da", BlockTime: config.Duration(time.Second)},
		Batch: BatchConfig{
			BlobBytes: 256 << 10, Age: config.Duration(500 * time.Millisecond), SubmitBytes: 8 << 20, MaxInFlight: 1024,
			BacklogBlobs: 64, BacklogBytes: 64 << 20,
		},
		TrustingPeriod: config.Duration(14 * 24 * time.Hour),
		Metrics:        MetricsConfig{Listen: "127.0.0.1:26761"},
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
	if err := config.Load(filepath.Join(home, configFile), &cfg); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return cfg, fmt.Errorf("%s is not the home of a relayer: make one with `ordo relayer init`, or name another with --home", home)
		}
		return cfg, err
	}
	return cfg, cfg.validate()
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
	if err := c.DA.validate(); err != nil {
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
	seen := map[order.RollupID]string{}
	var out []Rollup
	for _, name := range c.Rollups {
		if name == "" {
			return nil, errors.New("rollups: a name is empty")
		}
		r := Rollup{Name: name, ID: order.NewRollupID(name), Start: 1}
		if raw, err := hex.DecodeString(name); err == nil && len(raw) == len(r.ID) {
			r.ID = order.RollupID(raw)
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
	for name := range c.StartHeights {
		if !slices.Contains(c.Rollups, name) {
			return nil, fmt.Errorf("start_heights: %q is not among the rollups", name)
		}
	}
	return out, nil
}

func (c DAConfig) validate() error {
	if c.Layer != "local" {
		return fmt.Errorf("da.layer %q is not known here: use \"local\"", c.Layer)
	}
	if c.Listen == "" {
		if c.Endpoint == "" {
			return errors.New("da.listen and da.endpoint are empty: give an address to serve the local layer at, or the URL where it runs")
		}
		return checkURL("da.endpoint", c.Endpoint, "http://127.0.0.1:26760")
	}
	if c.Endpoint != "" {
		return errors.New("da.listen and da.endpoint are both set: the layer runs either here or there")
	}
	if c.Dir == "" {
		return errors.New("da.dir is empty: the local layer needs a folder")
	}
	if c.BlockTime <= 0 {
		return fmt.Errorf("da.block_time is %s, want more than 0, such as 1s", time.Duration(c.BlockTime))
	}
	return checkAddress("da.listen", c.Listen)
}

func (c BatchConfig) validate() error {
	for _, v := range []struct {
		name          string
		got, min, max int
	}{
		{"blob_bytes", c.BlobBytes, 1 << 10, 8 << 20},
		{"submit_bytes", c.SubmitBytes, 1 << 10, 32 << 20},
		{"max_in_flight", c.MaxInFlight, 1, 4096},
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
