// Package domain executes rollups in lockstep, so that a bundle over several of them that
// says "all or nothing" has all its legs applied or none. In come, for one stretch of the
// sequencer chain, a block for each rollup; out go their results.
//
// The members make their blocks together: legs are executed bundle by bundle in the
// order's own order, whichever rollup they are for, and a bundle of all or nothing is
// tried on each member before any keeps it. What always holds: the outcome depends on the
// members' chains and on their blocks alone, so every node that executes the domain comes
// to the same; and a crash at any point leaves members that Recover brings to one height,
// with the verdicts that were reached before it, for these are on disk before the first
// member's block is.
package domain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/execution"
)

var (
	// ErrApart is returned by Recover where members do not stand where a crash could have
	// left them: one was executed without the others, or its data was removed.
	ErrApart = errors.New("the rollups of the domain were not executed together: " +
		"remove the chains of all of them, and the domain's journal, and execute the order anew")
	// ErrRecover is returned by Execute before Recover has brought the members together.
	ErrRecover = errors.New("the domain must be recovered first")
)

// Client is what a member needs to be.
type Client interface {
	execution.Client
	execution.Lockstep
}

// Member is one rollup of a domain.
type Member struct {
	Rollup execution.Hash // its ID
	Client Client
}

// Domain is rollups that are executed together. Its calls come one at a time, and nobody
// else lets the members execute.
type Domain struct {
	start   uint64 // first sequencer height that is executed together
	members []Member
	journal Journal
	ready   bool
}

// New makes a domain of the members, which are executed together from the sequencer height
// start on. Their order is a setting of it: a bundle is tried on them in turn.
func New(start uint64, members []Member, journal Journal) (*Domain, error) {
	if len(members) == 0 || journal == nil {
		return nil, errors.New("domain: no members or no journal")
	}
	d := &Domain{start: start, journal: journal}
	for _, m := range members {
		if m.Client == nil {
			return nil, fmt.Errorf("domain: rollup %x has no execution client", m.Rollup)
		}
		if d.member(m.Rollup) {
			return nil, fmt.Errorf("domain: rollup %x is named twice", m.Rollup)
		}
		d.members = append(d.members, m)
	}
	return d, nil
}

// Due reports whether the members make their next blocks of what is ordered: where any of
// them is due, all do. soft and blocks are theirs, in order.
func Due(pace execution.Pace, soft []execution.Head, blocks []execution.Block) bool {
	for i, b := range blocks {
		// A member may have made its last block alone, or its genesis lie ahead of the
		// order: with a block time none makes two blocks of one second.
		if pace.BlockTime > 0 && b.Time.Unix() <= soft[i].Time.Unix() {
			return false
		}
	}
	for i, b := range blocks {
		if pace.Due(soft[i], b) {
			return true
		}
	}
	return false
}

// Recover ends what a crash, or an error of Execute, has left half done. It comes before
// the first Execute. Errors: ErrApart.
func (d *Domain) Recover(ctx context.Context) error {
	d.ready = false
	last, ok, err := d.journal.Last()
	if err != nil {
		return fmt.Errorf("recover the domain: %w", err)
	}
	if ok && len(last.Blocks) != len(d.members) {
		return fmt.Errorf("recover the domain: it has %d members, its last block was of %d: %w", len(d.members), len(last.Blocks), ErrApart)
	}
	soft := make([]execution.Head, len(d.members))
	done, early, parents := 0, 0, true // members behind the last block, before the domain began, and whether the rest is at its parents
	for i, m := range d.members {
		s, err := m.Client.Open(ctx)
		if err != nil {
			return fmt.Errorf("recover the domain: open rollup %x: %w", m.Rollup, err)
		}
		if soft[i] = s.Soft; s.Soft.Height < d.start || s.Soft.Number == 0 {
			early++
		}
		if !ok {
			continue
		}
		if s.Soft.Height == last.Blocks[i].Height {
			done++
		} else if s.Soft.Hash != last.Parents[i] {
			parents = false
		}
	}
	switch {
	case early == len(d.members):
		// Nothing was executed together yet, or it is executed anew.
	case done == 0 && !together(soft) || done > 0 && !parents:
		return fmt.Errorf("recover the domain: rollups stand at the sequencer heights %v: %w", heights(soft), ErrApart)
	case done > 0:
		for i, m := range d.members {
			if soft[i].Height == last.Blocks[i].Height {
				continue
			}
			if _, err := m.Client.Execute(ctx, soft[i].Hash, last.Blocks[i]); err != nil {
				return fmt.Errorf("recover the domain: execute rollup %x: %w", m.Rollup, err)
			}
		}
	}
	d.ready = true
	return nil
}

// together reports whether heads are of blocks that were made together.
func together(soft []execution.Head) bool {
	return !slices.ContainsFunc(soft, func(h execution.Head) bool { return h.Height != soft[0].Height })
}

func heights(soft []execution.Head) (out []uint64) {
	for _, h := range soft {
		out = append(out, h.Height)
	}
	return out
}

// Execute makes the next block of each member, on parents, from blocks; both are in the
// members' order, and the blocks are of one sequencer height. When it returns, all are on
// disk. After an error Recover comes first, and tells what was done.
// Errors: ErrRecover, execution.ErrParent, execution.ErrHeight.
func (d *Domain) Execute(ctx context.Context, parents []execution.Hash, blocks []execution.Block) ([]execution.Result, error) {
	if !d.ready {
		return nil, ErrRecover
	}
	if len(blocks) > 0 && blocks[0].Height < d.start {
		return nil, fmt.Errorf("execute the domain: it begins with sequencer block %d, not %d", d.start, blocks[0].Height)
	}
	d.ready = false
	results, err := d.execute(ctx, parents, blocks)
	if err != nil {
		return nil, fmt.Errorf("execute the domain: %w", err)
	}
	d.ready = true
	return results, nil
}

func (d *Domain) execute(ctx context.Context, parents []execution.Hash, blocks []execution.Block) ([]execution.Result, error) {
	groups, err := d.merge(parents, blocks)
	if err != nil {
		return nil, err
	}
	decided := slices.Clone(blocks) // with verdicts
	making := make([]execution.Making, len(d.members))
	defer func() {
		for _, m := range making {
			if m != nil {
				m.Drop()
			}
		}
	}()
	for i, m := range d.members {
		decided[i].Legs = slices.Clone(blocks[i].Legs)
		if making[i], err = m.Client.Begin(ctx, parents[i], blocks[i]); err != nil {
			return nil, fmt.Errorf("begin rollup %x: %w", m.Rollup, err)
		}
	}
	for _, group := range groups {
		if err := d.decide(ctx, making, group, decided); err != nil {
			return nil, err
		}
	}
	// A crash before this line has changed nothing. One behind it, before the first
	// commit, has not either: the same blocks come again. Behind the first commit it
	// leaves members behind that Recover executes with the verdicts noted here; they could
	// not be found again, for the others have moved on.
	if err := d.journal.Put(Entry{Parents: parents, Blocks: decided}); err != nil {
		return nil, fmt.Errorf("note the verdicts of sequencer block %d: %w", blocks[0].Height, err)
	}
	results := make([]execution.Result, len(d.members))
	for i, m := range d.members {
		if results[i], err = making[i].Commit(ctx); err != nil {
			return nil, fmt.Errorf("commit rollup %x: %w", m.Rollup, err)
		}
	}
	return results, nil
}

// decide executes one bundle's legs, and notes the verdicts.
func (d *Domain) decide(ctx context.Context, making []execution.Making, group []place, decided []execution.Block) error {
	if !d.allOrNothing(group) {
		for _, p := range group {
			if err := making[p.member].Add(ctx, p.leg, p.txs); err != nil {
				return fmt.Errorf("rollup %x: %w", d.members[p.member].Rollup, err)
			}
		}
		return nil
	}
	// All are tried, also behind one that cannot be: so they are where a member executes
	// with the verdict, and what a trial costs counts in the rest of the block.
	reasons := make([]string, len(group))
	verdict, why := execution.Apply, ""
	for i, p := range group {
		rollup := d.members[p.member].Rollup
		ok, reason, err := making[p.member].Try(ctx, p.leg, p.txs)
		if err != nil {
			return fmt.Errorf("rollup %x: %w", rollup, err)
		}
		if !ok {
			if reasons[i] = reason; verdict == execution.Apply {
				verdict, why = execution.Refuse, fmt.Sprintf("the bundle's leg of rollup %x could not be: %s", rollup, reason)
			}
		}
	}
	for i, p := range group {
		leg := &decided[p.member].Legs[p.index]
		leg.Verdict = verdict
		if verdict == execution.Refuse {
			if leg.Reason = reasons[i]; leg.Reason == "" {
				leg.Reason = why
			}
		}
		if err := making[p.member].Keep(ctx, verdict == execution.Apply, leg.Reason); err != nil {
			return fmt.Errorf("rollup %x: %w", d.members[p.member].Rollup, err)
		}
	}
	return nil
}
