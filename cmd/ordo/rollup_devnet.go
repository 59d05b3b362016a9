package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/rollup"
)

// devnetFlag lets a command that lays out a node take from a devnet what is not typed.
func devnetFlag(cmd *cobra.Command, home *string, o *rollup.InitOptions) {
	var net string
	cmd.Flags().StringVar(&net, "devnet", "", "data directory of a devnet that runs: its sequencers, its genesis, an account that pays; the rollup begins at its height")
	// Before the flags that must be given are looked for.
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("devnet") {
			return nil
		}
		return joinDevnet(cmd, net, *home, o)
	}
}

// joinDevnet sets the flags that were not given, and puts the key of a payer with funds
// into the node's home, where none is.
func joinDevnet(cmd *cobra.Command, net, home string, o *rollup.InitOptions) error {
	e, err := devnet.LoadEndpoints(devnet.EndpointsFile(net))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no devnet is in %s: start one with `ordo devnet`, or name its data directory with --devnet", net)
	}
	if err != nil {
		return err
	}
	if len(e.Rollups) == 0 {
		return fmt.Errorf("the devnet in %s has no rollup, whose payer could pay for this one: start another with `ordo devnet --fresh`", net)
	}
	var status struct {
		SyncInfo struct {
			Height string `json:"latest_block_height"`
		} `json:"sync_info"`
	}
	if err := jsonrpc.New(e.CometRPC, rpcTimeout).Call(cmd.Context(), &status, "status"); err != nil {
		return fmt.Errorf("the devnet in %s does not answer: start it with `ordo devnet --home %s` (%w)", net, net, err)
	}
	// At least 1, which is the first block that there is.
	height, err := strconv.ParseUint(status.SyncInfo.Height, 10, 63)
	if err != nil {
		return fmt.Errorf("read the height of the devnet in %s: %w", net, err)
	}
	for flag, values := range map[string][]string{
		"sequencer": e.Sequencers, "sequencer-genesis": {e.Genesis}, "start-height": {strconv.FormatUint(max(1, height), 10)},
	} {
		if cmd.Flags().Changed(flag) {
			continue
		}
		for _, v := range values {
			if err := cmd.Flags().Set(flag, v); err != nil {
				return fmt.Errorf("take --%s from the devnet in %s: %w", flag, net, err)
			}
		}
	}
	beside := filepath.Join(net, "rollup-"+e.Rollups[0].Name)
	given, err := rollup.LoadConfig(beside)
	if err != nil {
		return fmt.Errorf("read the settings of the devnet's rollup: %w", err)
	}
	o.TrustingPeriod = time.Duration(given.TrustingPeriod)
	key, err := keys.Load(filepath.Join(beside, given.PayerKey))
	if err != nil {
		return fmt.Errorf("take the devnet's payer: %w", err)
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	err = keys.Save(filepath.Join(home, rollup.DefaultConfig().PayerKey), key)
	if err != nil && !errors.Is(err, keys.ErrExists) {
		return fmt.Errorf("keep the devnet's payer: %w", err)
	}
	return nil
}
