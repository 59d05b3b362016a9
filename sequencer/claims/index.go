package claims

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/eigenda"
	"github.com/ordo-network/ordo/follower"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const (
	// maxListBytes bounds an answer of ListClaims: what one block can record, twice.
	maxListBytes = 16 << 20
	callTimeout  = 10 * time.Second
	// headInterval is how often WaitHead asks, about the time of a block.
	headInterval = 200 * time.Millisecond
)

// Index keeps the records of the layer "eigenda" on the sequencer chain. It asks one
// endpoint until that fails, then the next. Its methods are safe for concurrent use.
type Index struct {
	nodes   []sequencerv1connect.SequencerServiceClient
	names   []string
	current atomic.Int64
	claimer Claimer
}

var _ eigenda.Index = (*Index)(nil)

// NewIndex returns an index that reads from the API endpoints, such as
// http://127.0.0.1:26602, at least one, and records through the claimer. Readers have none.
func NewIndex(endpoints []string, client *http.Client, c Claimer) *Index {
	x := &Index{names: endpoints, claimer: c}
	for _, e := range endpoints {
		x.nodes = append(x.nodes, sequencerv1connect.NewSequencerServiceClient(client, e, connect.WithReadMaxBytes(maxListBytes)))
	}
	return x
}

// layer is the name under which claims of the index stand.
const layer = "eigenda"

// Record implements eigenda.Index. What is a blob of a rollup's blocks is claimed to be
// that, so that validators look at it; whatever else it is, it is recorded all the same.
func (x *Index) Record(ctx context.Context, entries []eigenda.Entry) (uint64, error) {
	if x.claimer == nil {
		return 0, fmt.Errorf("%w: this process has no account on the sequencer chain to record with", da.ErrRejected)
	}
	return x.claimer.Claim(ctx, claimsOf(entries))
}

// claimsOf returns the claims of the entries, in their order; parts of one blob that
// follow one another and are complete become one claim.
func claimsOf(entries []eigenda.Entry) []da.Claim {
	var out []da.Claim
	for i := 0; i < len(entries); {
		e := entries[i]
		c := da.Claim{Rollup: e.Namespace, Layer: layer}
		n := 1
		if r, err := follower.BlobRange(e.Data); err == nil {
			if whole := wholeSet(entries[i:], r); whole > 0 {
				n, c.From, c.To = whole, r.From, r.To
			}
		}
		for _, e := range entries[i : i+n] {
			c.Parts = append(c.Parts, da.Part{Ref: da.Ref{Commitment: e.Commitment}, ID: da.ID(e.Data)})
		}
		out = append(out, c)
		i += n
	}
	return out
}

// wholeSet returns how many of the next entries are all parts of the blob whose first
// part the range is of, in order; 0 where they are not.
func wholeSet(entries []eigenda.Entry, first follower.Range) int {
	if first.Part != 0 || first.Parts < 1 || first.Parts > min(len(entries), da.MaxClaimParts) {
		return 0
	}
	size := claimOverhead
	for i, e := range entries[:first.Parts] {
		r, err := follower.BlobRange(e.Data)
		want := first
		want.Part = i
		if err != nil || r != want || e.Namespace != entries[0].Namespace {
			return 0
		}
		if size += partOverhead + len(e.Commitment); size > maxClaimBytes {
			return 0
		}
	}
	return first.Parts
}

const (
	// maxClaimBytes is the chain's bound on the encoding of a claim.
	maxClaimBytes = 20 << 10
	// claimOverhead is what a claim takes without its parts, partOverhead a part without
	// its commitment, at most.
	claimOverhead = 34 + 2 + len(layer) + 2*11
	partOverhead  = 4 + 11 + 4 + 34
)

// Entries implements eigenda.Index.
func (x *Index) Entries(ctx context.Context, ns da.Namespace, from uint64) ([]eigenda.Recorded, uint64, error) {
	claims, to, err := x.Claims(ctx, ns, layer, from)
	if err != nil {
		return nil, 0, err
	}
	var out []eigenda.Recorded
	for _, r := range claims {
		for _, p := range r.Claim.Parts {
			out = append(out, eigenda.Recorded{Height: r.Height, Commitment: p.Commitment, ID: p.ID})
		}
	}
	return out, to, nil
}

// Claims returns all claims about the rollup that the blocks from..to recorded, for one
// layer or, where its name is empty, for all. To may be from-1, and is at most the head.
// Errors: da.ErrUnavailable.
func (x *Index) Claims(ctx context.Context, rollup da.Namespace, layer string, from uint64) ([]Recorded, uint64, error) {
	var out []Recorded
	var to uint64
	err := x.ask(ctx, func(ctx context.Context, node sequencerv1connect.SequencerServiceClient) error {
		res, err := node.ListClaims(ctx, connect.NewRequest(&v1.ListClaimsRequest{RollupId: rollup[:], Layer: layer, FromHeight: from}))
		if err != nil {
			return err
		}
		out, to, err = recorded(res.Msg, rollup, layer, from)
		return err
	})
	return out, to, err
}

var errLie = errors.New("the node's answer makes no sense")

// recorded checks an answer of ListClaims as far as one can.
func recorded(m *v1.ListClaimsResponse, rollup da.Namespace, layer string, from uint64) ([]Recorded, uint64, error) {
	if m.GetToHeight()+1 < from {
		return nil, 0, fmt.Errorf("claims from height %d up to %d: %w", from, m.GetToHeight(), errLie)
	}
	out := make([]Recorded, 0, len(m.GetClaims()))
	last := from
	for _, r := range m.GetClaims() {
		c, err := FromProto(r.GetClaim())
		switch {
		case err != nil:
			return nil, 0, fmt.Errorf("claim of height %d: %w: %w", r.GetHeight(), err, errLie)
		case r.Height < last || r.Height > m.ToHeight || c.Rollup != rollup || layer != "" && c.Layer != layer:
			return nil, 0, fmt.Errorf("claim of height %d, rollup %x, layer %s, which was not asked for: %w", r.Height, c.Rollup, c.Layer, errLie)
		}
		last = r.Height
		out = append(out, Recorded{Height: r.Height, Relayer: r.Relayer, Claim: c})
	}
	return out, m.ToHeight, nil
}

// Head implements eigenda.Index.
func (x *Index) Head(ctx context.Context) (height uint64, err error) {
	err = x.ask(ctx, func(ctx context.Context, node sequencerv1connect.SequencerServiceClient) error {
		res, err := node.GetInfo(ctx, connect.NewRequest(&v1.GetInfoRequest{}))
		if err == nil {
			height = res.Msg.GetLatestHeight()
		}
		return err
	})
	return height, err
}

// WaitHead implements eigenda.Index.
func (x *Index) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	tick := time.NewTicker(headInterval)
	defer tick.Stop()
	for {
		height, err := x.Head(ctx)
		if err != nil || height > above {
			return height, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: wait for a block above %d: %w", da.ErrUnavailable, above, ctx.Err())
		case <-tick.C:
		}
	}
}

// ask calls one endpoint after the other until one answers, beginning with that which
// answered last. Errors: da.ErrUnavailable.
func (x *Index) ask(ctx context.Context, call func(context.Context, sequencerv1connect.SequencerServiceClient) error) error {
	first := int(x.current.Load())
	errs := []error{da.ErrUnavailable}
	for i := range x.nodes {
		at := (first + i) % len(x.nodes)
		within, cancel := context.WithTimeout(ctx, callTimeout)
		err := call(within, x.nodes[at])
		cancel()
		if err == nil {
			x.current.Store(int64(at))
			return nil
		}
		errs = append(errs, fmt.Errorf("sequencer node %s: %w", x.names[at], err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}
