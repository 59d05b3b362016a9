package devnet

import (
	"crypto/ed25519"
	"path/filepath"
	"slices"
	"time"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/relayer"
	"github.com/ordo-network/ordo/rollup"
	"github.com/ordo-network/ordo/sequencer/node"
)

// genesisFile is the sequencer chain's genesis: the same file in each validator's home.
func genesisFile(home string) string {
	return filepath.Join(home, validatorName(0), "config", "genesis.json")
}

func rollupHome(home string, i int) string { return filepath.Join(home, "rollup-"+rollupNames[i]) }

func relayerHome(home string) string { return filepath.Join(home, "relayer") }

// children are the processes of a network, as an operator would start them.
func (o Options) children(s Shape) []child {
	var out []child
	add := func(name string, stage int, home string, args ...string) {
		args = append(args, "--home", home)
		if o.LogLevel != "" {
			args = append(args, "--log-level", o.LogLevel)
		}
		out = append(out, child{name: name, stage: stage, args: args, log: filepath.Join(o.Home, logsName, name+".log")})
	}
	for i := range s.Validators {
		add(validatorName(i), stageValidator, filepath.Join(o.Home, validatorName(i)), "sequencer", "start")
	}
	add("relayer", stageRelayer, relayerHome(o.Home), "relayer", "start")
	for i := range s.Rollups {
		add("rollup-"+rollupNames[i], stageRollup, rollupHome(o.Home, i), "rollup", "start")
	}
	return out
}

// claimKey is the file, in the relayer's home, of the account that records claims.
const claimKey = "claims.json"

// payerFunds lets a gateway send bundles, and a relayer claim, for years: 10^18 uordo.
const payerFunds = 1_000_000_000_000_000_000

// trustingPeriod lets a devnet resume after any rest: its validators are all of this
// machine and never change, so their old signatures are worth as much as new ones.
const trustingPeriod = 10 * 365 * 24 * time.Hour

// fallbackAfter is short: nobody pays for the blobs of a devnet, and whoever stops a
// layer wants to see what happens.
const fallbackAfter = 20 * time.Second

// relayerLayers are the layers as the relayer reaches them: the local one runs in it.
func (p plan) relayerLayers(local relayer.LayerConfig, s Shape) map[string]relayer.LayerConfig {
	out := map[string]relayer.LayerConfig{}
	for name, c := range p.layers(s) {
		out[name] = relayer.LayerConfig{Config: c}
	}
	if p.da.embedded() {
		local.Listen = loopback(p.Relayer.DA)
		out[localLayer] = local
	}
	return out
}

// build makes the data of a new network: keys of the gateways and of the relayer,
// validators whose genesis funds them, the relayer, the rollups.
func build(home string, s Shape) error {
	ports := newPlan(s)
	files := []string{filepath.Join(relayerHome(home), claimKey)}
	for i := range s.Rollups {
		files = append(files, filepath.Join(rollupHome(home, i), "payer.json"))
	}
	var accounts []node.Account
	for _, file := range files {
		key, err := keys.Generate(file)
		if err != nil {
			return err
		}
		accounts = append(accounts, node.Account{Address: keys.Address(key.Public().(ed25519.PublicKey)), Amount: payerFunds})
	}
	err := node.InitNetwork(node.NetworkOptions{
		Dir: home, ChainID: ChainID, Validators: s.Validators, BlockTime: s.BlockTime, Accounts: accounts,
		Ports: func(i int) node.Ports {
			v := ports.Validators[i]
			return node.Ports{P2P: v.P2P, RPC: v.RPC, API: v.API, Metrics: v.Metrics, Dispersal: v.Dispersal}
		},
		DALayers: ports.layers(s),
	})
	if err != nil {
		return err
	}
	e := ports.endpoints(home)
	cfg := relayer.DefaultConfig()
	cfg.Sequencers, cfg.SequencerGenesis, cfg.Rollups = e.Sequencers, e.Genesis, rollupNames[:s.Rollups]
	cfg.TrustingPeriod = config.Duration(trustingPeriod)
	cfg.ClaimKey = claimKey
	cfg.Layer, cfg.RollupLayers, cfg.Fallback = ports.da.main, ports.da.rollupLayers(), ports.da.fallback
	cfg.FallbackAfter, cfg.Layers = config.Duration(fallbackAfter), ports.relayerLayers(cfg.Layers[localLayer], s)
	cfg.Metrics.Listen = loopback(ports.Relayer.Metrics)
	if err := relayer.Init(relayerHome(home), cfg); err != nil {
		return err
	}
	reach := ports.layers(s)
	reader := func(name string) rollup.DAConfig { return rollup.DAConfig{Layer: name, Config: reach[name]} }
	for i, r := range e.Rollups {
		err := rollup.Init(rollupHome(home, i), rollup.InitOptions{
			Name: r.Name, ChainID: r.ChainID, SequencerGenesis: e.Genesis,
			// Each gateway has a validator of its own to begin with.
			Sequencers: append(slices.Clone(e.Sequencers[i%s.Validators:]), e.Sequencers[:i%s.Validators]...),
			DA:         reader(r.DA), Fallback: reader(r.DAFallback), Listen: loopback(ports.Rollups[i].RPC), MetricsListen: loopback(ports.Rollups[i].Metrics),
			TrustingPeriod: trustingPeriod,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
