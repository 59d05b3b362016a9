package node

import (
	"log/slog"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/availability"
)

// posted tells up to which height the shards of batches are needed by nobody: all that
// these blocks ordered is confirmed to be on DA layers, for each rollup that they were
// for. So that a rollup that nobody publishes does not fill disks, what is older than the
// settings say is given up.
//
// It is called by one goroutine.
type posted struct {
	log       *slog.Logger
	next      func(after uint64) (api.Presence, error) // api.Server.NextPresence
	forget    func(upTo uint64) error                  // api.Server.ForgetPresence
	available func([]order.RollupID) (uint64, []availability.Available, error)
	epoch     func() uint64 // blocks in one
	keep      uint64        // blocks after which what is not posted is given up; 0: never

	done  uint64 // up to this height all is posted or given up
	asked uint64 // height at which that was last looked at
	told  bool   // the operator, that it waits
}

// posted follows this node's chain and index, which are there when it is asked.
func (n *Node) posted() *posted {
	return &posted{
		log: n.log, available: n.app.Available, epoch: n.app.EpochBlocks, keep: n.config.Retention.UnpostedShardHeights, // pruning has the other bound itself
		next:   func(after uint64) (api.Presence, error) { return n.api.NextPresence(after) },
		forget: func(upTo uint64) error { return n.api.ForgetPresence(upTo) },
	}
}

// presenceHeights is for how many blocks the index keeps whom they were for: what is older
// than unposted shards is given up in any case. Where shards are never given up, but nobody
// asks, since no shards are removed or there are none, it is what it is by default.
func (n *Node) presenceHeights() uint64 {
	return presenceHeights(n.config, n.dispersal != nil)
}

func presenceHeights(c Config, shards bool) uint64 {
	asks := shards && c.Retention.ShardHeights > 0
	if keep := c.Retention.UnpostedShardHeights; keep > 0 || asks {
		return keep
	}
	return DefaultConfig().Retention.UnpostedShardHeights
}

// askEvery is how many blocks go by between two looks.
const askEvery = 64

// upTo implements dispersal.Options' Posted.
func (p *posted) upTo(height uint64) uint64 {
	if p.asked == 0 || height >= p.asked+askEvery {
		p.asked = height
		if err := p.look(height); err != nil {
			p.log.Warn("old shards are kept: what is on DA layers cannot be told", "err", err)
		}
	}
	// A batch is ordered in the epoch in which its shards came, or the next, or the one
	// after: later than the height that the store knows it by.
	slack := 3 * p.epoch()
	return max(p.done, slack) - slack
}

// look goes on from run to run of blocks as far as all is posted.
func (p *posted) look(height uint64) error {
	var givenUp uint64
	if p.keep > 0 && height > p.keep {
		givenUp = height - p.keep
	}
	for {
		run, err := p.next(p.done)
		if err != nil {
			return err
		}
		if run.Last <= p.done { // no other run is over
			return nil
		}
		if run.Last > givenUp {
			missing, err := p.missing(run)
			if err != nil {
				return err
			}
			if missing != nil {
				if !p.told {
					p.told = true
					p.log.Info("old shards are kept until the chain confirms that what they hold is on a DA layer",
						"rollup", missing.Rollup.String(), "from", missing.First, "to", missing.Last, "crowded", run.Crowded)
				}
				return nil
			}
		}
		p.done, p.told = run.Last, false
		if err := p.forget(p.done); err != nil {
			return err
		}
	}
}

// missing returns a rollup of the run whose legs are not all confirmed to be available,
// or nil.
func (p *posted) missing(run api.Presence) (*api.RollupPresence, error) {
	if run.Crowded {
		return &api.RollupPresence{First: run.First, Last: run.Last}, nil
	}
	if len(run.Rollups) == 0 {
		return nil, nil
	}
	ids := make([]order.RollupID, len(run.Rollups))
	for i, r := range run.Rollups {
		ids[i] = r.Rollup
	}
	_, found, err := p.available(ids)
	if err != nil {
		return nil, err
	}
	for i, r := range run.Rollups {
		if !availability.Covers(found[i].Ranges, r.First, r.Last) {
			return &run.Rollups[i], nil
		}
	}
	return nil, nil
}
