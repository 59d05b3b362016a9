package devnet

import (
	"fmt"

	"github.com/ordo-network/ordo/relayer"
)

// Relay has the relayer of the devnet in home post the data of a rollup that is not the
// devnet's own, too: from that height of the sequencer chain on, to one of the devnet's DA
// layers. It may be said again.
func Relay(home, rollup, layer string, from uint64) error {
	if err := relayer.AddRollup(relayerHome(home), relayer.Rollup{Name: rollup, Layer: layer, Start: from}); err != nil {
		return fmt.Errorf("add rollup %s to the devnet's relayer: %w", rollup, err)
	}
	return nil
}
