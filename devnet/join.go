package devnet

import (
	"fmt"
	"path/filepath"

	"github.com/ordo-network/ordo/relayer"
)

// Relay has the relayer of the devnet in home post the data of a rollup that is not the
// devnet's own, too: from that height of the sequencer chain on, to one of the devnet's DA
// layers. It may be said again.
func Relay(home, rollup, layer string, from uint64) error {
	if err := relayer.AddRollup(relayerHome(home), relayer.Rollup{Name: rollup, Layer: layer, Start: from}); err != nil {
		return fmt.Errorf("have the devnet's relayer post the data of rollup %s, by its settings in %s: %w", rollup, filepath.Join(relayerHome(home), "config.toml"), err)
	}
	return nil
}
