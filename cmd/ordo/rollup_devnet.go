package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/rollup"
)

// takeUntyped lets a command that lays out a node take what is not typed from a devnet, and
// from the home of another rollup of its domain. The devnet gives its payer funds, and has its
// data posted, unless its DA layer is another one.
func takeUntyped(cmd *cobra.Command, home *string, o *rollup.InitOptions) {
	var net string
	cmd.Flags().StringVar(&net, "devnet", "", "data directory of a devnet that runs: its sequencers, its genesis, funds for its payer, its DA layer and who posts to it; the rollup begins at its height")
	// Before the flags that must be given are looked for.
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		var height uint64
		if cmd.Flags().Changed("devnet") {
			var err error
			if height, err = joinDevnet(cmd, net, *home, o); err != nil {
				return err
			}
		}
		if len(o.Domain) > 0 && o.SequencerGenesis != "" {
			if err := joinDomain(cmd, *home, o); err != nil {
				return err
			}
		}
		if height == 0 || cmd.Flags().Changed("start-height") {
			return nil
		}
		return cmd.Flags().Set("start-height", strconv.FormatUint(height, 10))
	}
}

// joinDomain takes the heights from a home of the domain that was laid out before, beside
// this one: what is executed together begins at one height.
func joinDomain(cmd *cobra.Command, home string, o *rollup.InitOptions) error {
	beside, cfg, err := rollup.DomainBeside(home, *o)
	if err != nil || beside == "" {
		return err
	}
	for flag, height := range map[string]uint64{"start-height": cfg.StartHeight, "domain-start-height": cfg.Domain.StartHeight} {
		if cmd.Flags().Changed(flag) {
			continue
		}
		if err := cmd.Flags().Set(flag, strconv.FormatUint(height, 10)); err != nil {
			return fmt.Errorf("take --%s from %s: %w", flag, beside, err)
		}
	}
	return nil
}

// joinDevnet sets the flags that were not given, and what the devnet is told once the node's
// home is there. It returns the height that the devnet is at.
func joinDevnet(cmd *cobra.Command, net, home string, o *rollup.InitOptions) (height uint64, err error) {
	e, err := devnet.LoadEndpoints(devnet.EndpointsFile(net))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("no devnet is in %s: start one with `ordo devnet`, or name its data directory with --devnet", net)
	}
	if err != nil {
		return 0, err
	}
	if len(e.Rollups) == 0 {
		return 0, fmt.Errorf("the devnet in %s has no rollup, whose payer could pay for this one: start another with `ordo devnet --fresh`", net)
	}
	var status struct {
		SyncInfo struct {
			Height string `json:"latest_block_height"`
		} `json:"sync_info"`
	}
	if err := jsonrpc.New(e.CometRPC, rpcTimeout).Call(cmd.Context(), &status, "status"); err != nil {
		return 0, fmt.Errorf("the devnet in %s does not answer: start it with `ordo devnet --home %s` (%w)", net, net, err)
	}
	if height, err = strconv.ParseUint(status.SyncInfo.Height, 10, 63); err != nil {
		return 0, fmt.Errorf("read the height of the devnet in %s: %w", net, err)
	}
	for flag, values := range map[string][]string{"sequencer": e.Sequencers, "sequencer-genesis": {e.Genesis}} {
		if cmd.Flags().Changed(flag) {
			continue
		}
		for _, v := range values {
			if err := cmd.Flags().Set(flag, v); err != nil {
				return 0, fmt.Errorf("take --%s from the devnet in %s: %w", flag, net, err)
			}
		}
	}
	beside := filepath.Join(net, "rollup-"+e.Rollups[0].Name)
	given, err := rollup.LoadConfig(beside)
	if err != nil {
		return 0, fmt.Errorf("read the settings of the devnet's rollup: %w", err)
	}
	o.TrustingPeriod = time.Duration(given.TrustingPeriod)
	if !cmd.Flags().Changed("da") {
		o.DA, o.Fallback = given.DA, given.Fallback
		o.DA.Namespace, o.Fallback.Namespace = "", "" // that rollup's own
	}
	key, err := keys.Load(filepath.Join(beside, given.PayerKey))
	if err != nil {
		return 0, fmt.Errorf("take the devnet's payer: %w", err)
	}
	o.Announce = func() error {
		own, err := keys.Load(filepath.Join(home, rollup.DefaultConfig().PayerKey))
		if err != nil {
			return fmt.Errorf("read the node's payer: %w", err)
		}
		if err := devnet.Fund(cmd.Context(), e, key, keys.Address(own.Public().(ed25519.PublicKey))); err != nil {
			return err
		}
		if cmd.Flags().Changed("da") {
			return nil
		}
		return devnet.Relay(net, o.Name, o.DA.Layer, o.StartHeight)
	}
	return max(1, height), nil // the first block that there is
}
