package ordering

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"
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
	have, err := s.Keeper.Params(ctx)
	if err != nil {
		return nil, err
	}
	if m.Params.EpochBlocks != have.EpochBlocks {
		return nil, errorsmod.Wrapf(sdkerrors.ErrInvalidRequest, "epoch_blocks is %d, and stays %d: epochs are numbered by it", m.Params.EpochBlocks, have.EpochBlocks)
	}
	if err := s.SetParams(ctx, *m.Params); err != nil {
		return nil, errorsmod.Wrap(sdkerrors.ErrInvalidRequest, err.Error())
	}
	return &orderingv1.MsgUpdateParamsResponse{}, nil
}

// SetAttester registers what a validator needs for dispersal.
func (s server) SetAttester(ctx context.Context, m *orderingv1.MsgSetAttester) (*orderingv1.MsgSetAttesterResponse, error) {
	if err := s.register(ctx, sdk.UnwrapSDKContext(ctx).ChainID(), m); err != nil {
		return nil, refusal(err, ErrAttester, ErrKeyTaken, ErrNoValidator)
	}
	return &orderingv1.MsgSetAttesterResponse{}, nil
}

// SubmitEquivocation punishes a validator that signed two batches for one position.
func (s server) SubmitEquivocation(ctx context.Context, m *orderingv1.MsgSubmitEquivocation) (*orderingv1.MsgSubmitEquivocationResponse, error) {
	if err := s.punish(sdk.UnwrapSDKContext(ctx), m.First, m.Second); err != nil {
		return nil, refusal(err, ErrEvidence, ErrNoCommittee, ErrPunished)
	}
	return &orderingv1.MsgSubmitEquivocationResponse{}, nil
}

// refusal gives an error that the sender is to blame for the code of a bad request.
func refusal(err error, blame ...error) error {
	for _, b := range blame {
		if errors.Is(err, b) {
			return errorsmod.Wrap(sdkerrors.ErrInvalidRequest, err.Error())
		}
	}
	return err
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

// Lanes returns how far each lane is ordered.
func (s server) Lanes(ctx context.Context, _ *orderingv1.QueryLanesRequest) (*orderingv1.QueryLanesResponse, error) {
	ends, err := s.Keeper.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	res := new(orderingv1.QueryLanesResponse)
	for _, e := range ends {
		res.Lanes = append(res.Lanes, laneRow(e))
	}
	return res, nil
}

// Committee returns who attests in an epoch.
func (s server) Committee(ctx context.Context, q *orderingv1.QueryCommitteeRequest) (*orderingv1.QueryCommitteeResponse, error) {
	epoch := q.GetEpoch()
	if q.GetCurrent() {
		var err error
		if epoch, _, err = s.epoch(ctx); err != nil {
			return nil, err
		}
	}
	c, err := s.Keeper.Committee(ctx, epoch)
	switch {
	case errors.Is(err, ErrNoCommittee):
		return nil, status.Error(codes.NotFound, err.Error())
	case err != nil:
		return nil, err
	}
	return &orderingv1.QueryCommitteeResponse{Committee: committeeRow(c)}, nil
}

// Attesters returns what validators have registered.
func (s server) Attesters(ctx context.Context, _ *orderingv1.QueryAttestersRequest) (*orderingv1.QueryAttestersResponse, error) {
	all, err := s.Keeper.Attesters(ctx)
	if err != nil {
		return nil, err
	}
	return &orderingv1.QueryAttestersResponse{Attesters: all}, nil
}
