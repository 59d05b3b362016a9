package node

import (
	"slices"
	"testing"
	"time"

	"github.com/cometbft/cometbft/p2p"
	cmtconn "github.com/cometbft/cometbft/p2p/conn"
)

// talker is a peer as far as silence looks at it.
type talker struct {
	p2p.Peer
	id        p2p.ID
	connected time.Time
	spoke     time.Time // zero: never
	now       *time.Time
}

func (p *talker) ID() p2p.ID { return p.id }

func (p *talker) Status() (s cmtconn.ConnectionStatus) {
	s.Duration, s.RecvMonitor.Idle = p.now.Sub(p.connected), p.now.Sub(p.spoke)
	return s
}

// Who says nothing for long is dropped, where the chain goes on meanwhile.
func TestSilentPeersAreDropped(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name   string
		height func(second int) int64
		spoke  func(second int) time.Duration // after begin; less than 0: never
		want   int                            // the second in which it is dropped; 0: it is not
	}{
		{"talks", func(s int) int64 { return int64(s) }, func(s int) time.Duration { return time.Duration(s) * time.Second }, 0},
		{"never says anything", func(s int) int64 { return int64(s) }, func(int) time.Duration { return -1 }, 20},
		{"falls silent", func(s int) int64 { return int64(s) }, func(s int) time.Duration { return time.Duration(min(s, 7)) * time.Second }, 27},
		{"speaks now and then", func(s int) int64 { return int64(s) }, func(s int) time.Duration { return time.Duration(s/19*19) * time.Second }, 0},
		{"the chain stands still", func(int) int64 { return 5 }, func(int) time.Duration { return -1 }, 0},
		{"the chain stood still and goes on", func(s int) int64 { return int64(max(s, 40)) }, func(s int) time.Duration { return time.Duration(s/40*40) * time.Second }, 60},
		{"slow chain", func(s int) int64 { return int64(s / 15) }, func(int) time.Duration { return -1 }, 45},
	} {
		var now time.Time
		p := &talker{id: "a", connected: begin, now: &now}
		dropped, second := 0, 0
		s := &silence{
			peers:  func() []p2p.Peer { return []p2p.Peer{p} },
			height: func() int64 { return c.height(second) },
			drop:   func(p2p.Peer, any) { dropped = second },
		}
		for ; second < 100 && dropped == 0; second++ {
			now = begin.Add(time.Duration(second) * time.Second)
			if at := c.spoke(second); at >= 0 {
				p.spoke = begin.Add(at)
			}
			s.look(now)
		}
		if dropped != c.want {
			t.Errorf("%s: dropped in second %d, want %d", c.name, dropped, c.want)
		}
		if _, kept := s.heard["a"]; kept == (c.want > 0) {
			t.Errorf("%s: notes of a peer that is gone are kept, or those of another are not", c.name)
		}
	}
}

// One that was dropped and is back starts anew, and each peer is looked at by itself.
func TestSilenceOfOnePeer(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_700_000_000, 0)
	now := begin
	loud, quiet := &talker{id: "loud", connected: begin, now: &now}, &talker{id: "quiet", connected: begin, now: &now}
	peers := []p2p.Peer{loud, quiet}
	var dropped []int
	second := 0
	s := &silence{
		peers:  func() []p2p.Peer { return slices.Clone(peers) },
		height: func() int64 { return int64(second) },
		drop: func(p p2p.Peer, _ any) {
			if p != p2p.Peer(quiet) {
				t.Errorf("%s is dropped", p.ID())
			}
			dropped = append(dropped, second)
			quiet.connected = now // again, at once
		},
	}
	for ; second < 50; second++ {
		now = begin.Add(time.Duration(second) * time.Second)
		loud.spoke = now
		s.look(now)
	}
	if !slices.Equal(dropped, []int{20, 40}) {
		t.Errorf("dropped in seconds %v, want 20 and 40", dropped)
	}
}
