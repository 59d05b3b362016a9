package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/sequencer/claims"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const (
	// seenTimeout is for how long a node may take to have the block and show what is in it.
	seenTimeout = 10 * time.Second
	// seenInterval is how often one that is behind is asked.
	seenInterval = 50 * time.Millisecond
	// seenAtOnce is how many rollups a node is asked for at a time.
	seenAtOnce = 8
)

var errNotSeen = errors.New("the claims are not in the block of which the node told that has them")

// seen returns where the block of the height has the claims, by the word of another node than
// that which said so. One node alone could make the layers that are read by records lose
// blobs for ever. Only where no other answers, or there is none, it is asked itself.
// Errors: da.ErrUnavailable.
func (a *Account) seen(ctx context.Context, said int, height uint64, list []da.Claim) error {
	want := map[da.Namespace][]da.Claim{}
	for _, c := range list {
		want[c.Rollup] = append(want[c.Rollup], c)
	}
	var errs []error
	denied := false
	for i := range a.nodes {
		at := (said + 1 + i) % len(a.nodes)
		if at == said && denied {
			break
		}
		err := a.shows(ctx, a.nodes[at], height, want)
		if err == nil {
			return nil
		}
		denied = denied || errors.Is(err, errNotSeen)
		errs = append(errs, fmt.Errorf("sequencer node %s: %w", a.opts.Endpoints[at], err))
	}
	a.sequence = 0 // what was counted here may be of no use
	return fmt.Errorf("%w: look for claims in block %d: %w", da.ErrUnavailable, height, errors.Join(errs...))
}

// shows returns where a node shows all claims in the block, made by this account. Errors: errNotSeen.
func (a *Account) shows(ctx context.Context, node sequencerv1connect.SequencerServiceClient, height uint64, want map[da.Namespace][]da.Claim) error {
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(seenAtOnce)
	for rollup, list := range want {
		g.Go(func() error { return a.showsOf(ctx, node, height, rollup, list) })
	}
	return g.Wait()
}

func (a *Account) showsOf(ctx context.Context, node sequencerv1connect.SequencerServiceClient, height uint64, rollup da.Namespace, list []da.Claim) error {
	tick := time.NewTicker(seenInterval)
	defer tick.Stop()
	for {
		res, err := node.ListClaims(ctx, connect.NewRequest(&v1.ListClaimsRequest{RollupId: rollup[:], FromHeight: height, Limit: 1}))
		switch {
		case err != nil && connect.CodeOf(err) != connect.CodeOutOfRange:
			return err
		case err == nil && res.Msg.GetToHeight() >= height:
			for _, c := range list {
				if !slices.ContainsFunc(res.Msg.GetClaims(), func(r *v1.RecordedClaim) bool {
					got, err := claims.FromProto(r.GetClaim())
					return err == nil && r.GetHeight() == height && r.GetRelayer() == a.Address() && same(got, c)
				}) {
					return errNotSeen
				}
			}
			return nil
		}
		select { // it is behind
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for its block %d: %w", height, ctx.Err())
		}
	}
}

func same(a, b da.Claim) bool {
	return a.Rollup == b.Rollup && a.Layer == b.Layer && a.From == b.From && a.To == b.To && slices.EqualFunc(a.Parts, b.Parts, func(a, b da.Part) bool {
		return a.Height == b.Height && a.ID == b.ID && string(a.Commitment) == string(b.Commitment)
	})
}
