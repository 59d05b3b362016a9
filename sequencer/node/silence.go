package node

import (
	"context"
	"fmt"
	"time"

	"github.com/cometbft/cometbft/p2p"
)

// A peer that takes part says something about each height, and one that catches up asks
// how high others are every ten seconds. So whoever says nothing for longer, while the
// chain goes on, is gone or of no use.
const (
	silentFor    = 20 * time.Second
	silentBlocks = 3
	silenceEvery = time.Second
)

// silence drops peers of which nothing is heard any more.
//
// CometBFT allows one connection for each peer, and refuses a second one. One that is
// dead it keeps until a ping has had no answer, up to 105 seconds, and for as long as
// TCP tries, which can be a quarter of an hour, where the ping does not get out because
// what was sent before it is not acknowledged. A process that ends closes its
// connections, but a machine that loses its power or its network does not, nor one that
// comes back at another address: for so long its validator would be refused by all.
type silence struct {
	peers  func() []p2p.Peer
	height func() int64
	drop   func(p2p.Peer, any)

	looked time.Time
	heard  map[p2p.ID]int64 // this node's height when something was last heard of a peer
}

func (n *Node) dropSilent(ctx context.Context) error {
	s := &silence{
		peers: n.comet.Switch().Peers().Copy, height: n.comet.BlockStore().Height,
		drop: n.comet.Switch().StopPeerForError, // dials it again, if it is to be kept
	}
	every := time.NewTicker(silenceEvery)
	defer every.Stop()
	for {
		select {
		case now := <-every.C:
			s.look(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// look drops those that have been silent for long and for several blocks. Blocks count,
// too, since all are silent where the chain stands still or this node is busy.
func (s *silence) look(now time.Time) {
	height, heard := s.height(), make(map[p2p.ID]int64)
	for _, p := range s.peers() {
		status := p.Status()
		quiet := min(status.RecvMonitor.Idle, status.Duration) // of one that never said anything, Idle is older than the connection
		last, known := s.heard[p.ID()]
		if !known || quiet <= now.Sub(s.looked) {
			last = height
		}
		if quiet >= silentFor && height-last >= silentBlocks {
			s.drop(p, fmt.Errorf("it said nothing for %v and %d blocks", quiet.Round(time.Second), height-last))
			continue
		}
		heard[p.ID()] = last
	}
	s.looked, s.heard = now, heard
}
