package app

import (
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// Lanes is what the chain needs of dispersal. Its methods are safe for concurrent use
// and do not block. When Committed has returned, Tips and Candidates stand on that
// view: a tip tells what the next block but one can take only if it goes on from
// where the lanes stood when the vote was made.
type Lanes interface {
	// Committed tells of the state after a block; once at the start, where there is one.
	Committed(*lane.View)
	// Candidates returns the certificates held, for each lane those in sequence from
	// where the last view has the lane.
	Candidates() [][]*order.Certificate
	// Tips returns where each lane of the candidates ends, by owner.
	Tips() []order.Tip
	// Heard tells what another validator says that it holds.
	Heard(from order.Owner, tips []order.Tip)
	// Waiting reports whether there are candidates.
	Waiting() bool
	// Arrived yields after a candidate has come in. It is meant for one reader.
	Arrived() <-chan struct{}
}

// noLanes are those of a node without dispersal: it follows the chain, and proposes
// what it does not have to carry certificates for.
type noLanes struct{}

func (noLanes) Committed(*lane.View)               {}
func (noLanes) Candidates() [][]*order.Certificate { return nil }
func (noLanes) Tips() []order.Tip                  { return nil }
func (noLanes) Heard(order.Owner, []order.Tip)     {}
func (noLanes) Waiting() bool                      { return false }
func (noLanes) Arrived() <-chan struct{}           { return nil }

// Afford tells why a batch of these bundles should not be attested, by the last committed
// state. It is what dispersal.Options have of that name.
func (a *App) Afford(bundles []order.BundleSummary) error {
	rules, err := a.state.Rules()
	if err != nil {
		return err
	}
	err = rules.Afford(bundles)
	if err == nil || errors.Is(err, ordering.ErrUnpaid) {
		return err
	}
	return fmt.Errorf("%w: %w", lane.ErrBundles, err)
}

// SetLanes gives the application the lanes of this node, whose construction needs the
// application. Call it once, before CometBFT calls the application and before Pace.
func (a *App) SetLanes(l Lanes) {
	a.lanes = l
	a.pacing.certificates = l
	if v := a.state.current.Load(); v != nil {
		l.Committed(v.lanes)
	}
}
