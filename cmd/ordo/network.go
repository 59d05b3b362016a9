package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/devnet"
)

// networkFlags tell a command which network it is about.
type networkFlags struct{ home, endpoints string }

func (n *networkFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&n.home, "home", "", "data directory of a devnet (default ~/.ordo/devnet)")
	cmd.Flags().StringVar(&n.endpoints, "endpoints", "", "endpoints file of a network, instead of --home")
}

func (n *networkFlags) load() (*devnet.Endpoints, error) {
	path := n.endpoints
	if path == "" {
		home := n.home
		if home == "" {
			var err error
			if home, err = devnet.DefaultHome(); err != nil {
				return nil, err
			}
		}
		path = devnet.EndpointsFile(home)
	}
	e, err := devnet.LoadEndpoints(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no network is known at %s: start one with `ordo devnet`, or name its data directory with --home or its endpoints file with --endpoints", path)
	}
	return e, err
}
