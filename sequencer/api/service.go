package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/pool"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// SubmitBundle implements SequencerServiceHandler.
func (s *Server) SubmitBundle(ctx context.Context, req *connect.Request[v1.SubmitBundleRequest]) (*connect.Response[v1.SubmitBundleResponse], error) {
	bundle, err := order.DecodeBundle(req.Msg.GetBundle())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	id, err := s.opts.Pool.Submit(ctx, req.Msg.GetBundle())
	switch {
	case errors.Is(err, pool.ErrAlreadyOrdered):
		// What the caller wanted is done, perhaps by its own first try.
		id = bundle.ID(s.opts.ChainID)
	case err != nil:
		return nil, submitError(err)
	default:
		if err := s.index.received(id, bundle.Expiry); err != nil {
			return nil, connect.NewError(connect.CodeInternal, err)
		}
	}
	return connect.NewResponse(&v1.SubmitBundleResponse{BundleId: id[:]}), nil
}

// GetBundleStatus implements SequencerServiceHandler.
func (s *Server) GetBundleStatus(_ context.Context, req *connect.Request[v1.GetBundleStatusRequest]) (*connect.Response[v1.GetBundleStatusResponse], error) {
	id, err := order.BundleIDFromBytes(req.Msg.GetBundleId())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	// Pool and lanes are asked first: a bundle that goes on between the questions is
	// then found by a later one.
	pooled := s.opts.Pool.Has(id)
	certified := s.isCertified(id)
	f, indexed, err := s.index.fate(id)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	res := &v1.GetBundleStatusResponse{State: v1.BundleState_BUNDLE_STATE_UNKNOWN}
	switch {
	case f.kind == fateOrdered:
		res.State, res.Height, res.Index = v1.BundleState_BUNDLE_STATE_ORDERED, f.height, f.index
	case certified:
		res.State = v1.BundleState_BUNDLE_STATE_CERTIFIED
	case f.kind == fateReceived && indexed >= f.height:
		// Every block that could have ordered it is indexed, and none did.
		res.State = v1.BundleState_BUNDLE_STATE_EXPIRED
	case pooled, f.kind == fateReceived:
		res.State = v1.BundleState_BUNDLE_STATE_RECEIVED
	case f.kind == fateDropped:
		res.State, res.Height, res.Reason = v1.BundleState_BUNDLE_STATE_DROPPED, f.height, f.reason
	}
	return connect.NewResponse(res), nil
}

// A bundle that was certified counts as that for a while: the certificate leaves the
// node's lanes with the block that orders it, a moment before the index has the block.
const (
	certainFor     = 10 * time.Second
	certainBundles = 1 << 14
)

// moment is when something was so.
type moment struct{ time.Time }

func (moment) bytes() int { return 1 }

// isCertified reports whether the chain will carry the bundle, or does in a block that is
// not indexed yet.
func (s *Server) isCertified(id order.BundleID) bool {
	if s.opts.Lanes == nil {
		return false
	}
	if s.opts.Lanes.Status(id) {
		s.certain.replace(id, moment{time.Now()})
		return true
	}
	last, ok := s.certain.get(id)
	return ok && time.Since(last.Time) < certainFor
}

// GetBlock implements SequencerServiceHandler.
func (s *Server) GetBlock(ctx context.Context, req *connect.Request[v1.GetBlockRequest]) (*connect.Response[v1.GetBlockResponse], error) {
	b, err := s.at(ctx, req.Msg.GetHeight())
	if err != nil {
		return nil, err
	}
	res := &v1.GetBlockResponse{
		Height: b.height, Hash: b.hash, SignedHeader: b.signedHeader,
		OrderingHeader: new(orderv1.OrderingHeader),
		Dropped:        make([]*v1.DroppedBundle, 0, len(b.dropped)),
	}
	if err := proto.Unmarshal(b.header, res.OrderingHeader); err != nil {
		return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("decode ordering header: %w", err))
	}
	release, err := s.budget.take(ctx, clientOf(req.Peer().Addr), 2*int64(b.order.Bytes))
	if err != nil {
		return nil, s.readError(err)
	}
	untilAnswered(ctx, release)
	ctx, cancel := s.withDataTimeout(ctx)
	defer cancel()
	if res.Bundles, err = s.chain.bundles(ctx, b); err != nil {
		return nil, s.readError(err)
	}
	for _, d := range b.dropped {
		res.Dropped = append(res.Dropped, &v1.DroppedBundle{BundleId: d.ID[:], Reason: d.Reason.String()})
	}
	return connect.NewResponse(res), nil
}

// GetRollupBlock implements SequencerServiceHandler.
func (s *Server) GetRollupBlock(ctx context.Context, req *connect.Request[v1.GetRollupBlockRequest]) (*connect.Response[v1.GetRollupBlockResponse], error) {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	b, err := s.at(ctx, req.Msg.GetHeight())
	if err != nil {
		return nil, err
	}
	parts, data := s.chain.bare(b, []order.RollupID{id})
	release, err := s.budget.take(ctx, clientOf(req.Peer().Addr), data)
	if err != nil {
		return nil, s.readError(err)
	}
	untilAnswered(ctx, release)
	waiting, cancel := s.withDataTimeout(ctx)
	defer cancel()
	if err := s.chain.fill(waiting, b, parts); err != nil {
		return nil, s.readError(err)
	}
	release, err = s.prove(waiting, clientOf(req.Peer().Addr), b, parts[0])
	if err != nil {
		return nil, s.readError(err)
	}
	untilAnswered(ctx, release)
	parts[0].block.Validators = b.validators
	return connect.NewResponse(&v1.GetRollupBlockResponse{Block: parts[0].block}), nil
}

// untilAnswered releases once the call is over: what it holds is encoded and written
// after the handler has returned.
func untilAnswered(ctx context.Context, release func()) { context.AfterFunc(ctx, release) }

// prove adds the proofs of void batches to a block that is about to be sent, when there
// is memory for them.
func (s *Server) prove(ctx context.Context, client netip.Prefix, at *served, u *unproven) (release func(), err error) {
	if len(u.voids) == 0 {
		return func() {}, nil
	}
	if release, err = s.proofs.take(ctx, client, u.bytes); err != nil {
		return nil, err
	}
	if err := s.chain.prove(ctx, at, u); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// GetInfo implements SequencerServiceHandler.
func (s *Server) GetInfo(ctx context.Context, _ *connect.Request[v1.GetInfoRequest]) (*connect.Response[v1.GetInfoResponse], error) {
	p, err := s.opts.Params(ctx)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("read the chain's parameters: %w", err))
	}
	return connect.NewResponse(&v1.GetInfoResponse{
		ChainId: s.opts.ChainID, LatestHeight: s.chain.latest(), EarliestHeight: s.chain.earliest(),
		CatchingUp: s.opts.CatchingUp(), Version: s.opts.Version,
		FeePerKilobyte: p.FeePerKilobyte, MaxExpiryBlocks: p.MaxExpiryBlocks, MaxBundleBytes: p.MaxBundleBytes,
		Epoch: p.Epoch, LaneOwner: laneOwner(p.LaneOwner),
	}), nil
}

func laneOwner(o order.Owner) []byte {
	if o == (order.Owner{}) {
		return nil
	}
	return o[:]
}

// withDataTimeout bounds how long a call waits for a block's data.
func (s *Server) withDataTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	wait := s.opts.Limits.DataTimeout
	return context.WithTimeoutCause(ctx, wait, fmt.Errorf("%w: nothing came within %s", errNoData, wait))
}

// at returns what a height serves; 0 is the latest.
func (s *Server) at(ctx context.Context, height uint64) (*served, error) {
	if height == 0 {
		if height = s.chain.latest(); height == 0 {
			return nil, connect.NewError(connect.CodeOutOfRange, errors.New("there is no block yet"))
		}
	}
	b, err := s.chain.at(ctx, height)
	if err != nil {
		return nil, s.readError(err)
	}
	return b, nil
}

// readError gives an error of reading the chain its code.
func (s *Server) readError(err error) error {
	switch {
	case errors.Is(err, errNotYet), errors.Is(err, errPruned):
		return connect.NewError(connect.CodeOutOfRange, err)
	case s.stopping.Err() != nil, errors.Is(err, errClosed):
		return connect.NewError(connect.CodeUnavailable, errClosed)
	case errors.Is(err, errNoData):
		return connect.NewError(connect.CodeUnavailable, fmt.Errorf("%w; try again, or ask another node", err))
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	default:
		s.log.Error("reading a block failed", "err", err)
		return connect.NewError(connect.CodeInternal, err)
	}
}
