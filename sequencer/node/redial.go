package node

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cometbft/cometbft/p2p"
)

// redialEvery is how often the peers of the settings are dialed that are not connected.
//
// CometBFT dials one that went away for 100 seconds, then after pauses that grow up to 16
// hours, and after a day no more. A validator that starts dials the others, but one whose
// network was down for an hour is as far behind as they are, and would be away for hours.
const redialEvery = 2 * time.Minute

// redialing dials them again and again, by what their names stand for at the time.
// CometBFT passes over those that it is dialing.
func redialing(s p2p.Switcher, persistent string, every time.Duration) func(context.Context) error {
	peers := strings.FieldsFunc(persistent, func(c rune) bool { return c == ',' || c == ' ' })
	return func(ctx context.Context) error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				away := slices.DeleteFunc(slices.Clone(peers), func(peer string) bool {
					id, _, _ := strings.Cut(peer, "@")
					return s.Peers().Has(p2p.ID(id))
				})
				_ = s.DialPeersAsync(away) // it says what is wrong; what can never be right it did not start with
			case <-ctx.Done():
				return nil
			}
		}
	}
}
