package peers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	cmttypes "github.com/cometbft/cometbft/types"
)

// ChainID of the network.
const ChainID = "peer-1"

// Ports are those of one validator.
type Ports struct {
	P2P     int `json:"p2p"`
	Door    int `json:"door"`
	Metrics int `json:"metrics"`
	Profile int `json:"profile"` // 0: none
}

// Settings are what a network is tuned by.
type Settings struct {
	// BlockBytes is the size of the largest block.
	BlockBytes int64 `json:"block_bytes"`
	// CommitPause is the time between a block and the start of the next.
	CommitPause time.Duration `json:"commit_pause"`
	// Gossip hands transactions to all validators, so that whoever proposes next
	// has them. Without it a transaction waits for the turn of the validator that took
	// it in, and travels once, in its block.
	Gossip bool `json:"gossip"`
	// PacketBytes is the payload of one packet between validators.
	PacketBytes int `json:"packet_bytes"`
}

// DefaultSettings are those with which the peer orders the most; see docs/performance.md.
func DefaultSettings() Settings {
	return Settings{BlockBytes: 4 << 20, CommitPause: 10 * time.Millisecond, Gossip: true, PacketBytes: 16 << 10}
}

// home is the content of peer.json.
type home struct {
	Moniker  string   `json:"moniker"`
	Peers    []string `json:"peers"`
	Ports    Ports    `json:"ports"`
	Settings Settings `json:"settings"`
}

// Home is the directory of validator i of a network.
func Home(dir string, i int) string { return filepath.Join(dir, "peer-"+strconv.Itoa(i)) }

// GenesisFile is the network's genesis.
func GenesisFile(dir string) string { return filepath.Join(Home(dir, 0), "config", "genesis.json") }

// Init makes the homes of n validators of equal power.
func Init(dir string, n int, s Settings, ports func(i int) Ports) error {
	if n < 1 {
		return fmt.Errorf("%d validators, want 1 or more", n)
	}
	if s.BlockBytes < 1<<16 || s.BlockBytes > cmttypes.MaxBlockSizeBytes {
		return fmt.Errorf("blocks of %d bytes, want %d to %d", s.BlockBytes, 1<<16, int64(cmttypes.MaxBlockSizeBytes))
	}
	doc := cmttypes.GenesisDoc{ChainID: ChainID, GenesisTime: time.Now().UTC(), ConsensusParams: cmttypes.DefaultConsensusParams()}
	doc.ConsensusParams.Block.MaxBytes = s.BlockBytes
	doc.ConsensusParams.Evidence.MaxBytes = min(doc.ConsensusParams.Evidence.MaxBytes, s.BlockBytes/2)
	ids := make([]string, n)
	for i := range n {
		c := cometConfig(Home(dir, i), home{Settings: s, Ports: ports(i)})
		for _, sub := range []string{"config", "data"} {
			if err := os.MkdirAll(filepath.Join(c.RootDir, sub), 0o700); err != nil {
				return fmt.Errorf("make home: %w", err)
			}
		}
		key, err := p2p.LoadOrGenNodeKey(c.NodeKeyFile())
		if err != nil {
			return fmt.Errorf("make node key: %w", err)
		}
		pub, err := privval.LoadOrGenFilePV(c.PrivValidatorKeyFile(), c.PrivValidatorStateFile()).GetPubKey()
		if err != nil {
			return fmt.Errorf("make validator key: %w", err)
		}
		ids[i] = string(key.ID()) + "@" + loopback(ports(i).P2P)
		doc.Validators = append(doc.Validators, cmttypes.GenesisValidator{Address: pub.Address(), PubKey: pub, Power: 10, Name: moniker(i)})
	}
	if err := doc.ValidateAndComplete(); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	for i := range n {
		h := home{Moniker: moniker(i), Ports: ports(i), Settings: s}
		for j, id := range ids {
			if i != j {
				h.Peers = append(h.Peers, id)
			}
		}
		raw, err := json.MarshalIndent(h, "", "  ")
		if err != nil {
			return fmt.Errorf("encode settings: %w", err)
		}
		if err := os.WriteFile(filepath.Join(Home(dir, i), "peer.json"), raw, 0o600); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
		if err := doc.SaveAs(filepath.Join(Home(dir, i), "config", "genesis.json")); err != nil {
			return fmt.Errorf("write genesis: %w", err)
		}
	}
	return nil
}

func moniker(i int) string { return "peer-" + strconv.Itoa(i) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func loadHome(dir string) (h home, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "peer.json"))
	if errors.Is(err, os.ErrNotExist) {
		return h, fmt.Errorf("%s is not the home of a peer: `ordo bench order` makes them", dir)
	}
	if err != nil {
		return h, fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, fmt.Errorf("%s: %w", filepath.Join(dir, "peer.json"), err)
	}
	return h, nil
}

// blockTime is that of Ordo's validators, from which both derive how long they
// wait for a proposal and for votes.
const blockTime = 100 * time.Millisecond

// cometConfig is CometBFT's configuration: consensus as Ordo's validators have it,
// limits out of the way.
func cometConfig(dir string, h home) *cmtcfg.Config {
	c := cmtcfg.DefaultConfig()
	c.SetRoot(dir)
	c.Moniker = h.Moniker
	c.DBBackend = string(dbm.GoLevelDBBackend)
	c.LogLevel = "error"

	wait := 3 * blockTime
	c.Consensus.TimeoutPropose, c.Consensus.TimeoutProposeDelta = wait, wait/2
	c.Consensus.TimeoutPrevote, c.Consensus.TimeoutPrevoteDelta = wait/2, wait/2
	c.Consensus.TimeoutPrecommit, c.Consensus.TimeoutPrecommitDelta = wait/2, wait/2
	// A large block takes longer than Ordo's: without room for it rounds would fail.
	c.Consensus.TimeoutPropose += time.Duration(h.Settings.BlockBytes>>20) * 200 * time.Millisecond
	c.Consensus.TimeoutCommit = h.Settings.CommitPause
	c.Consensus.PeerGossipSleepDuration = 5 * time.Millisecond
	// Without gossip the others do not know that there is something to propose.
	c.Consensus.CreateEmptyBlocks = !h.Settings.Gossip

	c.Mempool.Type = cmtcfg.MempoolTypeFlood
	c.Mempool.Recheck = false
	c.Mempool.Broadcast = h.Settings.Gossip
	c.Mempool.Size, c.Mempool.MaxTxsBytes, c.Mempool.CacheSize = 200_000, 256<<20, 400_000
	c.Mempool.MaxTxBytes = 2 << 20

	c.P2P.ListenAddress = "tcp://" + loopback(h.Ports.P2P)
	c.P2P.PersistentPeers = strings.Join(h.Peers, ",")
	c.P2P.AddrBookStrict, c.P2P.AllowDuplicateIP, c.P2P.PexReactor = false, true, false
	c.P2P.FlushThrottleTimeout = 2 * time.Millisecond
	c.P2P.SendRate, c.P2P.RecvRate = 1<<30, 1<<30
	c.P2P.MaxPacketMsgPayloadSize = h.Settings.PacketBytes

	c.RPC.ListenAddress, c.RPC.PprofListenAddress = "", ""
	if h.Ports.Profile != 0 {
		c.RPC.PprofListenAddress = loopback(h.Ports.Profile)
	}
	c.TxIndex.Indexer = "null"
	c.Storage.DiscardABCIResponses = true
	c.Instrumentation.Prometheus = h.Ports.Metrics != 0
	c.Instrumentation.PrometheusListenAddr = loopback(h.Ports.Metrics)
	c.Instrumentation.Namespace = "cometbft"
	return c
}
