package node

import (
	"context"
	"testing"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/p2p"

	"github.com/ordo-network/ordo/test/await"
)

// A peer that nobody dials any more is connected again.
func TestPeersAreDialedAgain(t *testing.T) {
	t.Parallel()
	cfg := cmtcfg.TestP2PConfig()
	switches := make([]*p2p.Switch, 2)
	for i := range switches {
		switches[i] = p2p.MakeSwitch(cfg, i, func(_ int, s *p2p.Switch) *p2p.Switch { return s })
		switches[i].SetLogger(log.NewNopLogger())
		if err := switches[i].Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = switches[i].Stop() })
	}
	away := switches[1].NetAddress()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- redialing(switches[0], " "+away.String()+" ,", 10*time.Millisecond)(ctx) }()
	connected := func() bool { return switches[0].Peers().Has(away.ID) }
	await.Until(t, "the peer is connected", connected)
	// It is not among the persistent ones: CometBFT leaves it at that.
	switches[0].StopPeerGracefully(switches[0].Peers().Get(away.ID))
	await.Until(t, "the peer is connected again", connected)
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
