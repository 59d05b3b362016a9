package domain

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

// place is a leg of one member's block.
type place struct {
	member int
	index  int // in the block's legs
	leg    execution.Leg
	txs    [][]byte
}

// before orders legs as the order has their bundles.
func before(a, b execution.Leg) int {
	return cmp.Or(cmp.Compare(a.Height, b.Height), cmp.Compare(a.Position, b.Position))
}

// merge returns the legs of all blocks, bundle by bundle as they are ordered, those of one
// bundle by member.
func (d *Domain) merge(parents []execution.Hash, blocks []execution.Block) (groups [][]place, err error) {
	if len(parents) != len(d.members) || len(blocks) != len(d.members) {
		return nil, fmt.Errorf("%d parents and %d blocks for %d rollups", len(parents), len(blocks), len(d.members))
	}
	var all []place
	for i, b := range blocks {
		if b.Height != blocks[0].Height || b.Hash != blocks[0].Hash || !b.Time.Equal(blocks[0].Time) {
			return nil, fmt.Errorf("the block of rollup %x is of sequencer block %d %x, that of %x of %d %x",
				d.members[i].Rollup, b.Height, b.Hash, d.members[0].Rollup, blocks[0].Height, blocks[0].Hash)
		}
		legs, err := places(i, b)
		if err != nil {
			return nil, fmt.Errorf("rollup %x: %w", d.members[i].Rollup, err)
		}
		all = append(all, legs...)
	}
	slices.SortStableFunc(all, func(a, b place) int { return before(a.leg, b.leg) })
	for len(all) > 0 {
		n := 1
		for n < len(all) && before(all[0].leg, all[n].leg) == 0 {
			if all[n].leg.Bundle != all[0].leg.Bundle {
				return nil, fmt.Errorf("sequencer block %d has the bundles %x and %x in one place", all[0].leg.Height, all[0].leg.Bundle, all[n].leg.Bundle)
			}
			n++
		}
		groups, all = append(groups, all[:n:n]), all[n:]
	}
	return groups, nil
}

// places returns the legs of one member's block, which must rise: a bundle has one leg for
// a rollup.
func places(member int, b execution.Block) (out []place, err error) {
	rest := b.Transactions
	for i, leg := range b.Legs {
		if i > 0 && before(b.Legs[i-1], leg) >= 0 {
			return nil, fmt.Errorf("leg %d of sequencer block %d is not behind the one before it", i, b.Height)
		}
		if leg.Transactions < 0 || leg.Transactions > len(rest) {
			return nil, fmt.Errorf("leg %d of sequencer block %d has %d transactions, %d are left", i, b.Height, leg.Transactions, len(rest))
		}
		out = append(out, place{member: member, index: i, leg: leg, txs: rest[:leg.Transactions:leg.Transactions]})
		rest = rest[leg.Transactions:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d transactions of sequencer block %d are of no leg", len(rest), b.Height)
	}
	return out, nil
}

// allOrNothing reports whether a bundle's legs hang on each other and can be decided here:
// there are several, each of them is of a member, and each of them says so. Members refuse
// by themselves a leg that wants this where it is not so.
func (d *Domain) allOrNothing(group []place) bool {
	rollups := group[0].leg.Rollups
	if len(rollups) < 2 || len(group) != len(rollups) {
		return false
	}
	for _, p := range group {
		if !slices.Equal(p.leg.Rollups, rollups) || len(p.txs) == 0 {
			return false
		}
		if t, is, err := terms.Decode(p.txs[0]); !is || err != nil || !t.AllOrNothing {
			return false
		}
	}
	return !slices.ContainsFunc(rollups, func(r execution.Hash) bool { return !d.member(r) })
}

func (d *Domain) member(rollup execution.Hash) bool {
	return slices.ContainsFunc(d.members, func(m Member) bool { return m.Rollup == rollup })
}
