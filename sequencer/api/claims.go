package api

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/availability"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// AvailableFunc tells what the last state says of the rollups' availability, in their
// order, or of all rollups where none is given; and that state's height. It must not block.
type AvailableFunc func(rollups []order.RollupID) (height uint64, found []*v1.RollupAvailability, err error)

// claimsOf returns the claims that a block recorded.
func claimsOf(height uint64, results []*abci.ExecTxResult) ([]*v1.RecordedClaim, error) {
	recorded, err := availability.RecordedBy(results)
	if err != nil {
		return nil, err
	}
	out := make([]*v1.RecordedClaim, len(recorded))
	for i, r := range recorded {
		out[i] = &v1.RecordedClaim{Height: height, Relayer: r.Relayer, Claim: new(v1.Claim)}
		if err := proto.Unmarshal(r.Claim, out[i].Claim); err != nil {
			return nil, fmt.Errorf("decode claim %d: %w", i, err)
		}
	}
	return out, nil
}

// ListClaims implements SequencerServiceHandler.
func (s *Server) ListClaims(_ context.Context, req *connect.Request[v1.ListClaimsRequest]) (*connect.Response[v1.ListClaimsResponse], error) {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	from := req.Msg.GetFromHeight()
	if from == 0 {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("from_height is 0, the first height is 1"))
	}
	claims, to, err := s.index.claims(id, req.Msg.GetLayer(), from, int(req.Msg.GetLimit()))
	if err != nil {
		return nil, s.readError(err)
	}
	return connect.NewResponse(&v1.ListClaimsResponse{Claims: claims, ToHeight: to}), nil
}

// GetAvailability implements SequencerServiceHandler.
func (s *Server) GetAvailability(_ context.Context, req *connect.Request[v1.GetAvailabilityRequest]) (*connect.Response[v1.GetAvailabilityResponse], error) {
	raw := req.Msg.GetRollupIds()
	if len(raw) > maxRollups {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%d rollups, at most %d", len(raw), maxRollups))
	}
	ids := make([]order.RollupID, len(raw))
	for i := range raw {
		var err error
		if ids[i], err = order.RollupIDFromBytes(raw[i]); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("rollup %d: %w", i, err))
		}
	}
	height, found, err := s.opts.Available(ids)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("read the chain's state: %w", err))
	}
	return connect.NewResponse(&v1.GetAvailabilityResponse{Rollups: found, Height: height}), nil
}
