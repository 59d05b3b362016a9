package node

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/spf13/viper"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// Config is Ordo's part of a node's settings, config/ordo.toml. CometBFT's part
// stands beside it in config/config.toml.
type Config struct {
	API struct {
		Listen         string `toml:"listen" comment:"Address that the sequencer API listens on: gRPC, gRPC-Web and HTTP/JSON on one port."`
		MaxConnections int    `toml:"max_connections" comment:"Connections at the same time."`
		MaxStreams     int    `toml:"max_streams" comment:"SubscribeRollup streams at the same time."`
		MaxSubmits     int    `toml:"max_submits" comment:"Bundles being handed in at the same time; those beyond are told to try again."`
		MaxReads       int    `toml:"max_reads" comment:"All other calls at the same time."`
		ClientShare    int    `toml:"client_share" comment:"One client address may use 1/client_share of the three above. Behind a proxy all clients are one: set 1."`
	} `toml:"api" comment:"Where rollups and gateways connect."`
	Dispersal struct {
		Operator     string          `toml:"operator" comment:"Account address of the operator whose validator this node is, such as ordo1... Empty: who bonded the key in priv_validator_key.json, found when the node starts; give it where a remote signer has that key."`
		Listen       string          `toml:"listen" comment:"Address that other validators connect to, to hand over batches and certificates."`
		Advertise    string          `toml:"advertise" comment:"Address, host:port, by which they reach it. The chain is told by 'ordo sequencer attester set'. Empty: listen."`
		AdvertiseAPI string          `toml:"advertise_api" comment:"URL by which other nodes reach the sequencer API, to read the shards that this validator keeps; the chain is told it, too. Empty: http:// and api.listen."`
		FlushAge     config.Duration `toml:"flush_age" comment:"How long a bundle may wait for others to share its batch. It waits for less, the less busy this node is, and not at all after a pause."`
		BatchBytes   int             `toml:"batch_bytes" comment:"Size from which a batch is sent without waiting; never more than the chain allows."`
		WindowBytes  uint64          `toml:"window_bytes" comment:"Bytes of batches that this validator may have on their way to a certificate. When it is full, bundles wait in the pool."`
		PeerBytes    int             `toml:"peer_bytes" comment:"Memory for what one other validator has sent and this one has not dealt with; beyond it, its connection is not read."`
		PeerRate     float64         `toml:"peer_rate" comment:"Bytes per second that are read from one other validator."`
		CacheBytes   int64           `toml:"cache_bytes" comment:"Memory for batches that readers asked for, or will when a block orders them."`
		SegmentBytes int64           `toml:"segment_bytes" comment:"Size of the files that shards and certificates are kept in. What is too old is removed file by file."`
		QueueBytes   int64           `toml:"queue_bytes" comment:"Bytes that may wait for the disk; validators that send more are told to try again."`
	} `toml:"dispersal" comment:"How validators hand each other batches."`
	Metrics struct {
		Listen string `toml:"listen" comment:"Address for Prometheus, which finds /metrics there: Ordo's and CometBFT's. Empty switches it off."`
	} `toml:"metrics"`
	Pacing struct {
		BlockTime    config.Duration `toml:"block_time" comment:"Time between blocks while there is something to order. All validators should agree."`
		IdleInterval config.Duration `toml:"idle_interval" comment:"Time between blocks while there is nothing to order."`
	} `toml:"pacing" comment:"How fast blocks come."`
	Pool struct {
		Bytes        int    `toml:"bytes" comment:"Bytes of bundles that wait to be ordered."`
		Bundles      int    `toml:"bundles" comment:"Number of bundles that wait to be ordered."`
		PayerShare   int    `toml:"payer_share" comment:"One payer may use 1/payer_share of both."`
		Txs          int    `toml:"txs" comment:"Ordinary transactions (staking, governance, ...) that wait."`
		TxBytes      int    `toml:"tx_bytes" comment:"Bytes of ordinary transactions that wait."`
		MinGasPrices string `toml:"min_gas_prices" comment:"The least that an ordinary transaction pays for this node to take it in, such as \"0.001uordo\"."`
	} `toml:"pool" comment:"What may wait at this node to be ordered."`
	Retention struct {
		BundleHeights        uint64 `toml:"bundle_heights" comment:"Blocks for which GetBundleStatus remembers what became of a bundle; 0 is for ever."`
		ShardHeights         uint64 `toml:"shard_heights" comment:"Blocks for which the shards of batches are kept, which is for how long the order can be read here; 0 is for ever. Those of the last three epochs of the chain are kept in any case."`
		UnpostedShardHeights uint64 `toml:"unposted_shard_heights" comment:"Shards are kept for longer than shard_heights while the chain does not confirm that all that was ordered is on DA layers, but for no more blocks than these, where they are more; 0 is for ever."`
		ClaimHeights         uint64 `toml:"claim_heights" comment:"Blocks for which the claims of relayers are kept; readers of EigenDA find its blobs by them. 0 is for ever."`
	} `toml:"retention" comment:"How long this node remembers."`
	DA struct {
		Workers        int                      `toml:"workers" comment:"Claims of relayers that are looked at at the same time, of each layer. Each may take some 150 MB."`
		BytesPerSecond int                      `toml:"bytes_per_second" comment:"Bytes that are fetched per second to look at them."`
		Layers         map[string]layers.Config `toml:"layers" comment:"A table for each layer that this validator has access to, such as [da.layers.celestia]. Of claims about other layers it says nothing."`
	} `toml:"da" comment:"The DA layers on which a validator looks whether relayers have published what they claim."`
	Runtime struct {
		MemoryTarget int `toml:"memory_target_mb" comment:"Memory in MB, beside the program itself (about 120), that the node tries to stay below by collecting garbage more often. GOMEMLIMIT and GOGC in the environment come first; 0 leaves it to them alone."`
	} `toml:"runtime"`
}

// DefaultConfig returns the settings of a node that is alone on its machine.
func DefaultConfig() Config {
	var c Config
	limits, waiting := api.DefaultLimits, pool.DefaultLimits()
	c.API.Listen = "127.0.0.1:26602"
	c.API.MaxConnections, c.API.MaxStreams = limits.Connections, limits.Streams
	c.API.MaxSubmits, c.API.MaxReads, c.API.ClientShare = limits.Submits, limits.Reads, limits.ClientShare
	c.Dispersal.Listen = "127.0.0.1:26604"
	c.Dispersal.FlushAge = config.Duration(100 * time.Millisecond)
	c.Dispersal.BatchBytes, c.Dispersal.WindowBytes = shard.MaxBatchBytes, 32<<20
	c.Dispersal.PeerBytes, c.Dispersal.PeerRate = 32<<20, 256<<20
	c.Dispersal.CacheBytes = 40 << 20
	c.Dispersal.SegmentBytes, c.Dispersal.QueueBytes = 64<<20, 64<<20
	c.Metrics.Listen = "127.0.0.1:26603"
	c.Pacing.BlockTime = config.Duration(100 * time.Millisecond)
	c.Pacing.IdleInterval = config.Duration(time.Second)
	c.Pool.Bytes, c.Pool.Bundles, c.Pool.PayerShare = waiting.Bytes, waiting.Bundles, waiting.PayerShare
	c.Pool.Txs, c.Pool.TxBytes = waiting.Txs, waiting.TxBytes
	c.Pool.MinGasPrices = "0.001uordo"
	c.Retention.BundleHeights, c.Retention.ShardHeights = 864_000, 864_000
	c.Retention.UnpostedShardHeights, c.Retention.ClaimHeights = 1_728_000, 12_096_000
	c.DA.Workers, c.DA.BytesPerSecond = 1, 16<<20
	c.DA.Layers = map[string]layers.Config{}
	c.Runtime.MemoryTarget = 310
	return c
}

// minShardHeights is three epochs of ordering.DefaultParams.
const minShardHeights = 1800

func (c Config) validate() error {
	block, idle := time.Duration(c.Pacing.BlockTime), time.Duration(c.Pacing.IdleInterval)
	switch {
	case c.API.Listen == "":
		return errors.New("api.listen is empty: give an address such as 127.0.0.1:26602")
	case c.API.MaxConnections <= 0 || c.API.MaxStreams <= 0 || c.API.MaxSubmits <= 0 || c.API.MaxReads <= 0 || c.API.ClientShare <= 0:
		return errors.New("api.max_connections, max_streams, max_submits, max_reads and client_share must be 1 or more")
	case c.Dispersal.Listen == "":
		return errors.New("dispersal.listen is empty: give an address such as 127.0.0.1:26604")
	case c.Dispersal.Operator != "" && !isAccount(c.Dispersal.Operator):
		return fmt.Errorf("dispersal.operator is %q, want an account address that starts with %s1", c.Dispersal.Operator, app.Prefix)
	case c.Dispersal.FlushAge <= 0 || time.Duration(c.Dispersal.FlushAge) > time.Second:
		return fmt.Errorf("dispersal.flush_age is %v, want more than 0s, and up to 1s", time.Duration(c.Dispersal.FlushAge))
	case c.Dispersal.BatchBytes < 1 || c.Dispersal.BatchBytes > shard.MaxBatchBytes:
		return fmt.Errorf("dispersal.batch_bytes is %d, want 1 to %d", c.Dispersal.BatchBytes, shard.MaxBatchBytes)
	case c.Dispersal.WindowBytes < shard.MaxBatchBytes || c.Dispersal.PeerBytes < shard.MaxBatchBytes || c.Dispersal.PeerRate < 1<<20 || c.Dispersal.CacheBytes < 1:
		return fmt.Errorf("dispersal.window_bytes and peer_bytes must be %d or more, peer_rate %d or more, cache_bytes 1 or more", shard.MaxBatchBytes, 1<<20)
	case c.Dispersal.SegmentBytes < 1<<20 || c.Dispersal.SegmentBytes > 1<<30 || c.Dispersal.QueueBytes < 1<<20:
		return fmt.Errorf("dispersal.segment_bytes must be %d to %d, queue_bytes %d or more", 1<<20, 1<<30, 1<<20)
	case block < 20*time.Millisecond || block > time.Minute:
		return fmt.Errorf("pacing.block_time is %v, want 20ms to 1m", block)
	case idle < block || idle > time.Minute:
		return fmt.Errorf("pacing.idle_interval is %v, want block_time (%v) to 1m", idle, block)
	case c.Pool.Bytes <= 0 || c.Pool.Bundles <= 0 || c.Pool.PayerShare <= 0 || c.Pool.Txs <= 0 || c.Pool.TxBytes <= 0:
		return errors.New("pool.bytes, bundles, payer_share, txs and tx_bytes must be 1 or more")
	case c.Retention.ShardHeights > 0 && c.Retention.ShardHeights < minShardHeights:
		return fmt.Errorf("retention.shard_heights is %d, want 0, or %d and more: others read the order by these shards", c.Retention.ShardHeights, minShardHeights)
	case c.DA.Workers < 1 || c.DA.BytesPerSecond < 64<<10:
		return fmt.Errorf("da.workers must be 1 or more, da.bytes_per_second %d or more", 64<<10)
	case c.Runtime.MemoryTarget < 0:
		return fmt.Errorf("runtime.memory_target_mb is %d, want 0 or more", c.Runtime.MemoryTarget)
	}
	for _, name := range slices.Sorted(maps.Keys(c.DA.Layers)) {
		if err := c.DA.Layers[name].Validate(name, "da.layers."+name); err != nil {
			return err
		}
	}
	return nil
}

func isAccount(address string) bool {
	_, err := sdk.AccAddressFromBech32(address)
	return err == nil
}

func (c Config) poolLimits() pool.Limits {
	return pool.Limits{
		Bytes: c.Pool.Bytes, Bundles: c.Pool.Bundles, PayerShare: c.Pool.PayerShare,
		Txs: c.Pool.Txs, TxBytes: c.Pool.TxBytes,
	}
}

func (c Config) apiLimits() api.Limits {
	return api.Limits{
		Connections: c.API.MaxConnections, Streams: c.API.MaxStreams,
		Submits: c.API.MaxSubmits, Reads: c.API.MaxReads, ClientShare: c.API.ClientShare,
	}
}

// contact is what the chain is to tell others of this node: where it takes batches,
// and its API.
func (c Config) contact() (address, apiURL string, err error) {
	address, apiURL = c.Dispersal.Advertise, c.Dispersal.AdvertiseAPI
	if address == "" {
		if address = c.Dispersal.Listen; !reachable(address) {
			return "", "", fmt.Errorf("dispersal.advertise is empty, and nobody else can connect to %s: set it to a host:port by which other validators reach this node", address)
		}
	}
	if apiURL == "" {
		if !reachable(c.API.Listen) {
			return "", "", fmt.Errorf("dispersal.advertise_api is empty, and nobody else can connect to %s: set it to a URL by which other nodes reach this one's API", c.API.Listen)
		}
		apiURL = "http://" + c.API.Listen
	}
	return address, apiURL, nil
}

// reachable tells whether an address names a host, and not all of this machine's.
func reachable(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && host != "" && (ip == nil || !ip.IsUnspecified())
}

// collectAt is the growth in percent since the last collection of garbage at which the
// next one starts. Collecting more often costs little, as most of what a validator holds under
// load has no pointers; later, it comes to the limit above, where each collection frees
// less and pages go back to the system and are taken again, until consensus is late. Where
// 90 MB/s were sent to a network of four, 86.7 and 87.3 were ordered with 50 and 70 below a
// limit of 340 MB, and 84.3 with 100 below 320.
const collectAt = 70

func (c Config) limitMemory() {
	target := c.Runtime.MemoryTarget
	if target == 0 {
		return
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(target) << 20)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
}

// home is the directory of one node.
type home string

func (h home) ordo() string    { return filepath.Join(string(h), "config", "ordo.toml") }
func (h home) comet() string   { return filepath.Join(string(h), "config", "config.toml") }
func (h home) genesis() string { return filepath.Join(string(h), "config", "genesis.json") }
func (h home) attestation() string {
	return filepath.Join(string(h), "config", "attestation_keys.json")
}
func (h home) data() string         { return filepath.Join(string(h), "data") }
func (h home) pool() string         { return filepath.Join(h.data(), "pool") }
func (h home) index() string        { return filepath.Join(h.data(), "bundles") }
func (h home) shards() string       { return filepath.Join(h.data(), "shards") }
func (h home) certificates() string { return filepath.Join(h.data(), "certificates") }
func (h home) evidence() string     { return filepath.Join(h.data(), "evidence") }

// load reads both files.
func (h home) load() (Config, *cmtcfg.Config, error) {
	c := DefaultConfig()
	if _, err := os.Stat(h.ordo()); errors.Is(err, fs.ErrNotExist) {
		return c, nil, fmt.Errorf("%s is not the home of a sequencer node: make one with `ordo sequencer init --home %s`", h, h)
	}
	if err := config.Load(h.ordo(), &c); err != nil {
		return c, nil, err
	}
	if err := c.validate(); err != nil {
		return c, nil, fmt.Errorf("%s: %w", h.ordo(), err)
	}
	v := viper.New()
	v.SetConfigFile(h.comet())
	if err := v.ReadInConfig(); err != nil {
		return c, nil, fmt.Errorf("read %s: %w", h.comet(), err)
	}
	comet := cmtcfg.DefaultConfig()
	if err := v.Unmarshal(comet); err != nil {
		return c, nil, fmt.Errorf("%s: %w", h.comet(), err)
	}
	comet.SetRoot(string(h))
	if err := comet.ValidateBasic(); err != nil {
		return c, nil, fmt.Errorf("%s: %w", h.comet(), err)
	}
	if err := checkComet(comet); err != nil {
		return c, nil, fmt.Errorf("%s: %w", h.comet(), err)
	}
	return c, comet, nil
}

// Local is what other commands on this machine need to reach a node.
type Local struct {
	RPC     string // of CometBFT, tcp://host:port
	ChainID string
	Comet   *cmtcfg.Config
}

// LoadLocal reads it from the node's home.
func LoadLocal(dir string) (Local, error) {
	h := home(dir)
	_, comet, err := h.load()
	if err != nil {
		return Local{}, err
	}
	doc, err := h.genesisDoc()
	if err != nil {
		return Local{}, err
	}
	return Local{RPC: comet.RPC.ListenAddress, ChainID: doc.ChainID, Comet: comet}, nil
}
