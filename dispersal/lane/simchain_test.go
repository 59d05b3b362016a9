package lane

import (
	"errors"
	"slices"

	"github.com/ordo-network/ordo/order"
)

// simChainState is consensus, which the simulation takes for granted: one log, agreed by
// more than two thirds of the power. What goes into it follows the rules of package order.
type simChainState struct {
	views    []*View // by height
	log      []*order.Certificate
	ordered  map[order.Position]order.BatchID
	bundles  map[order.BundleID]uint64 // height
	effect   []order.BundleID
	required []order.Tip
}

func newSimChain(w *world) simChainState {
	return simChainState{
		views:   []*View{w.newView(0, map[order.Owner]order.LaneState{})},
		ordered: make(map[order.Position]order.BatchID), bundles: make(map[order.BundleID]uint64),
	}
}

func (c *simChainState) height() uint64 { return uint64(len(c.views) - 1) }

func (c *simChainState) tip() *View { return c.views[len(c.views)-1] }

func (c *simChainState) has(b *order.Bundle, height uint64) bool {
	at, ok := c.bundles[b.ID(simChain)]
	return ok && at <= height
}

func (w *world) committee(epoch uint64) *order.Committee {
	c, err := order.NewCommittee(epoch, w.cast.members[epoch%2])
	if err != nil {
		panic(err)
	}
	return c
}

func (w *world) newView(height uint64, lanes map[order.Owner]order.LaneState) *View {
	v := &View{ChainID: simChain, Height: height, Epoch: height / w.weather.epochBlocks, EpochAfter: (height + 1) / w.weather.epochBlocks, Lanes: lanes, Params: w.weather.params}
	if n := len(w.chain.views); n > 0 && w.chain.views[n-1].Epoch == v.Epoch {
		v.Committees = w.chain.views[n-1].Committees
		return v
	}
	v.Committees[0] = w.committee(v.Epoch)
	if v.Epoch > 0 {
		v.Committees[1] = w.committee(v.Epoch - 1)
	}
	return v
}

// power is what the node counts in the vote on the next block.
func power(v *View, n *simNode) uint64 {
	if i, ok := v.Committees[0].Index(n.owner); ok {
		return v.Committees[0].Members[i].Stake
	}
	return 0
}

// propose tries to agree on a block.
func (w *world) propose() {
	w.after(w.weather.interval/2+w.rng.Uint64N(w.weather.interval), w.propose)
	tip := w.chain.tip()
	var voters []*simNode
	for side := range 2 {
		var sum uint64
		var there []*simNode
		for _, n := range w.nodes {
			if n.up && w.side[n.index] == side && n.height == tip.Height && power(tip, n) > 0 {
				sum += power(tip, n)
				there = append(there, n)
			}
		}
		if tip.Committees[0].Quorum(sum) {
			voters = there
		}
	}
	if len(voters) == 0 {
		return
	}
	proposer := voters[w.rng.IntN(len(voters))]
	block := proposer.proposal()
	err := w.judge(block)
	if proposer.rogue == nil {
		w.excuse(proposer, err)
	}
	if err != nil {
		w.tracef("block %d of %d is refused: %v", tip.Height+1, proposer.index, err)
		w.count.Rejected++
		return
	}
	w.commit(proposer, voters, block)
}

// lane is where a lane stands before the next block.
func (w *world) lane(o order.Owner) order.LaneState { return w.chain.tip().Lanes[o] }

// proposal is what the node would have in the next block.
func (n *simNode) proposal() []*order.Certificate {
	w := n.w
	certs := order.Fill(w.weather.limits, n.height+1, n.book.Candidates(), w.chain.required)
	placed, _, err := order.Arrange(certs, w.lane, n.view().Committee)
	if err != nil {
		w.fail("the book of %d offers what can not be ordered: %v", n.index, err)
	}
	block := make([]*order.Certificate, len(placed))
	for i, p := range placed {
		block[i] = p.Certificate
	}
	if n.rogue != nil {
		return n.rogue.proposal(block)
	}
	return block
}

// judge is what each validator does with a proposal.
func (w *world) judge(block []*order.Certificate) error {
	tip := w.chain.tip()
	for _, c := range block {
		k := tip.Committee(c.Header.Epoch)
		if k == nil {
			return order.ErrEpoch
		}
		if err := w.verifier.Verify(k, c); err != nil {
			return err
		}
	}
	if err := order.CheckReach(w.weather.limits, tip.Height+1, block, w.lane, w.chain.required); err != nil {
		return err
	}
	mixed := slices.Clone(block)
	w.rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	placed, _, err := order.Arrange(mixed, w.lane, tip.Committee)
	if err != nil {
		return err
	}
	for i, p := range placed {
		if p.Certificate != block[i] {
			return errors.New("not in canonical order")
		}
	}
	return nil
}

// excuse fails a block of a correct proposer unless it lacked what others hold.
func (w *world) excuse(n *simNode, err error) {
	if err == nil {
		return
	}
	if !errors.Is(err, order.ErrCensored) {
		w.fail("block of the correct node %d: %v", n.index, err)
	}
	for _, t := range w.chain.required {
		reach := w.lane(t.Owner).Mark
		for _, c := range n.book.Range(t.Owner, reach, 1<<20, 1<<30) {
			reach = c.Header.Mark
		}
		if reach.Compare(t.Mark) < 0 {
			return
		}
	}
	w.fail("block of %d with all that is required: %v", n.index, err)
}

// commit appends the block to the log.
func (w *world) commit(proposer *simNode, voters []*simNode, block []*order.Certificate) {
	tip := w.chain.tip()
	w.truth.reaches(w, block)
	placed, ends, err := order.Arrange(block, w.lane, tip.Committee)
	if err != nil {
		w.fail("arrange: %v", err)
		return
	}
	w.truth.fair(w, placed)
	height := tip.Height + 1
	w.tracef("block %d of %d: %d certificates, required %v", height, proposer.index, len(block), w.chain.required)
	w.count.Blocks++
	w.count.Batches += len(block)
	if len(block) == w.weather.limits.Certificates {
		w.count.Short++
	}
	for _, c := range block {
		w.truth.certifies(c)
		if _, twice := w.chain.ordered[c.Header.Position]; twice {
			w.fail("batch %s is ordered twice", c.Header.Position)
		}
		w.chain.ordered[c.Header.Position] = c.Header.ID(simChain)
		for i := range c.Header.Bundles {
			id := c.Header.Bundles[i].ID(simChain)
			if _, twice := w.chain.bundles[id]; twice {
				w.count.Duplicates++ // dropped, as the chain does
				continue
			}
			w.chain.bundles[id] = height
			w.chain.effect = append(w.chain.effect, id)
		}
	}
	w.chain.log = append(w.chain.log, block...)
	lanes := make(map[order.Owner]order.LaneState, len(tip.Lanes))
	for o, s := range tip.Lanes {
		lanes[o] = s
	}
	for _, e := range ends {
		lanes[e.Owner] = e.LaneState
	}
	w.truth.reports = w.binding(w.report(voters), lanes)
	w.chain.required = order.Required(tip.Committees[0].Stake, w.truth.reports)
	w.chain.views = append(w.chain.views, w.newView(height, lanes))
	for _, n := range voters {
		life := n.life
		w.after(w.rng.Uint64N(20), func() {
			if n.life == life && n.height+1 == height {
				n.commit()
			}
		})
	}
}

// binding is what of the reports counts for the next block. They were made before this
// block was known: where it took a lane on in another session than the one reported,
// that session may fork off before, and then nobody can propose it any more. Voters that
// still hold something say so again.
func (w *world) binding(reports []order.Report, now map[order.Owner]order.LaneState) []order.Report {
	out := slices.Clone(reports)
	for i := range out {
		out[i].Tips = slices.DeleteFunc(slices.Clone(out[i].Tips), func(t order.Tip) bool {
			return now[t.Owner].Mark != w.lane(t.Owner).Mark && t.Session > now[t.Owner].Session
		})
	}
	return out
}

// report gathers what voters say that they hold, from more than two thirds of the power.
func (w *world) report(voters []*simNode) []order.Report {
	tip := w.chain.tip()
	voters = slices.Clone(voters)
	w.rng.Shuffle(len(voters), func(i, j int) { voters[i], voters[j] = voters[j], voters[i] })
	var sum uint64
	var reports []order.Report
	for _, n := range voters {
		if tip.Committees[0].Quorum(sum) && w.some(0.5) {
			break
		}
		sum += power(tip, n)
		tips := n.tips()
		for _, t := range tips {
			if n.rogue == nil && n.disk.certs[order.Position(t)] == nil {
				w.fail("correct node %d reports %v and does not have it on disk", n.index, t)
			}
		}
		reports = append(reports, order.Report{Power: power(tip, n), Tips: tips})
		for _, peer := range voters {
			w.send(n, peer, func() { peer.heard(n, tips) })
		}
	}
	return reports
}
