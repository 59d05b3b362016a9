package ordering

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorsmod "cosmossdk.io/errors"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

type server struct{ Keeper }

var (
	_ orderingv1.MsgServer   = server{}
	_ orderingv1.QueryServer = server{}
)

// UpdateParams replaces the rules on behalf of governance.
func (s server) UpdateParams(ctx context.Context, m *orderingv1.MsgUpdateParams) (*orderingv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, errorsmod.Wrapf(sdkerrors.ErrUnauthorized, "%s may not change the ordering params, only %s may", m.Authority, s.authority)
	}
	if m.Params == nil {
		return nil, errorsmod.Wrap(sdkerrors.ErrInvalidRequest, "params are missing")
	}
	if err := s.SetParams(ctx, *m.Params); err != nil {
		return nil, errorsmod.Wrap(sdkerrors.ErrInvalidRequest, err.Error())
	}
	return &orderingv1.MsgUpdateParamsResponse{}, nil
}

// Params returns the rules in force.
func (s server) Params(ctx context.Context, _ *orderingv1.QueryParamsRequest) (*orderingv1.QueryParamsResponse, error) {
	p, err := s.Keeper.Params(ctx)
	if err != nil {
		return nil, err
	}
	return &orderingv1.QueryParamsResponse{Params: &p}, nil
}

// Fee returns what a bundle of a given size costs.
func (s server) Fee(ctx context.Context, q *orderingv1.QueryFeeRequest) (*orderingv1.QueryFeeResponse, error) {
	if q.GetBytes() > order.MaxBundleBytes {
		return nil, status.Errorf(codes.InvalidArgument, "a bundle has at most %d bytes", order.MaxBundleBytes)
	}
	p, err := s.Keeper.Params(ctx)
	if err != nil {
		return nil, err
	}
	return &orderingv1.QueryFeeResponse{Fee: Fee(q.GetBytes(), p.FeePerKilobyte)}, nil
}
