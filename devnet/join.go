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
		return fmt.Errorf("nobody posts the data of rollup %s to a DA layer yet, though its node can be started: name it in rollups of %s (%w)",
			rollup, filepath.Join(relayerHome(home), "config.toml"), err)
	}
	return nil
}
