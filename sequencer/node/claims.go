package node

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	sm "github.com/cometbft/cometbft/state"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/app"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
	"github.com/ordo-network/ordo/sequencer/checker"
	"github.com/ordo-network/ordo/sequencer/claims"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// available tells readers what the chain confirms to be on DA layers.
func (n *Node) available(ids []order.RollupID) (uint64, []*v1.RollupAvailability, error) {
	height, found, err := n.app.Available(ids)
	if err != nil {
		return 0, nil, err
	}
	out := make([]*v1.RollupAvailability, len(found))
	for i, a := range found {
		out[i] = &v1.RollupAvailability{RollupId: a.Rollup[:], Pending: uint32(a.Waiting)}
		if len(a.Ranges) > 0 {
			first := a.Ranges[0]
			out[i].From, out[i].To, out[i].Layer = first.From, first.To, first.Layer
		}
	}
	return height, out, nil
}

// transactions implements api.Transactions.
type transactions struct{ *app.App }

// Account implements api.Transactions.
func (t transactions) Account(address string) (api.Account, error) {
	a, err := t.App.Account(address)
	if err == nil && !a.Known {
		err = api.ErrNoAccount
	}
	return api.Account{Number: a.Number, Sequence: a.Sequence, Balance: a.Balance}, err
}

// openChecker lets a validator look at what relayers claim, on the layers that it has
// access to.
func (n *Node) openChecker(blocks sm.BlockStore, registerer prometheus.Registerer) error {
	if n.dispersal == nil {
		return nil // no votes
	}
	if len(n.config.DA.Layers) == 0 {
		n.log.Info("no DA layer is set, in da.layers of ordo.toml: this validator does not vote on what relayers claim to have published")
		return nil
	}
	open := make(map[string]da.Layer)
	// EigenDA's blobs are fetched by what the claims say; the index is there for other ways.
	index := claims.NewIndex([]string{"http://" + n.apiLn.Addr().String()}, http.DefaultClient, nil)
	for _, name := range slices.Sorted(maps.Keys(n.config.DA.Layers)) {
		l, err := layers.Open(name, n.config.DA.Layers[name], layers.Options{Index: index, Logger: n.log, Registerer: registerer})
		if err != nil {
			return fmt.Errorf("open DA layer %s: %w", name, err)
		}
		n.closers = append(n.closers, l.Close)
		open[name] = l
	}
	c, err := checker.New(checker.Options{
		Layers: open, Chain: hashes{n.chainID, blocks}, Source: n.claims,
		Workers: n.config.DA.Workers, BytesPerSecond: n.config.DA.BytesPerSecond, Logger: n.log, Registerer: registerer,
	})
	if err != nil {
		return fmt.Errorf("open the checker of claims: %w", err)
	}
	n.app.SetVotes(c.Votes)
	n.background = append(n.background, c.Run)
	return nil
}

// claims implements checker.Source.
func (n *Node) claims(wanted func(uint64) bool) ([]uint64, []checker.Claim, error) {
	waiting, err := n.app.Claims(wanted)
	if err != nil {
		return nil, nil, err
	}
	out := make([]checker.Claim, len(waiting.Wanted))
	for i, p := range waiting.Wanted {
		if out[i], err = checkerClaim(p); err != nil {
			return nil, nil, err
		}
	}
	return waiting.Numbers, out, nil
}

func checkerClaim(p *availabilityv1.PendingClaim) (checker.Claim, error) {
	c := checker.Claim{Number: p.Number, Relayer: p.Relayer}
	raw, err := p.Claim.Marshal()
	if err != nil {
		return c, fmt.Errorf("encode claim %d: %w", p.Number, err)
	}
	c.Claim, err = claims.Decode(raw)
	if err != nil {
		return c, fmt.Errorf("claim %d: %w", p.Number, err)
	}
	return c, nil
}

// hashes is this node's chain, by which claims are verified.
type hashes struct {
	chainID string
	blocks  sm.BlockStore
}

// ChainID implements follower.Chain.
func (h hashes) ChainID() string { return h.chainID }

// Hash implements follower.Chain.
func (h hashes) Hash(height uint64) (hash [32]byte, known bool) {
	meta := h.blocks.LoadBlockMeta(int64(height))
	if meta == nil || len(meta.BlockID.Hash) != len(hash) {
		return hash, false
	}
	return [32]byte(meta.BlockID.Hash), true
}
