package devnet

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"path/filepath"

	"github.com/ordo-network/ordo/relayer"
	"github.com/ordo-network/ordo/sequencer/transfer"
)

// joinedFunds is what a payer that joins gets of another's payerFunds.
const joinedFunds = payerFunds / 1000

// Fund gives an account what pays for ordering on a devnet, from a payer of it. It may be said
// again: then it gives as much again.
func Fund(ctx context.Context, e *Endpoints, payer ed25519.PrivateKey, to string) error {
	return transfer.Send(ctx, e.Sequencers, e.ChainID, payer, to, joinedFunds)
}

// Relay has the relayer of the devnet in home post the data of a rollup that is not the
// devnet's own, too: from that height of the sequencer chain on, to one of the devnet's DA
// layers. It may be said again.
func Relay(home, rollup, layer string, from uint64) error {
	if err := relayer.AddRollup(relayerHome(home), relayer.Rollup{Name: rollup, Layer: layer, Start: from}); err != nil {
		return fmt.Errorf("have the devnet's relayer post the data of rollup %s, by its settings in %s: %w", rollup, filepath.Join(relayerHome(home), "config.toml"), err)
	}
	return nil
}
