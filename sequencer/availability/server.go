package availability

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorsmod "cosmossdk.io/errors"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// CodeNoRoom and CodeClaim are the codes, of the module's codespace, of transactions that
// fail for ErrNoRoom, which may be tried again later, and for ErrClaim.
const (
	CodeNoRoom uint32 = 2
	CodeClaim  uint32 = 3
)

var (
	errNoRoom = errorsmod.Register(ModuleName, CodeNoRoom, "no room for the claim now")
	errClaim  = errorsmod.Register(ModuleName, CodeClaim, "claim cannot be taken")
)

// maxPage bounds the rows of an answer.
const maxPage = 1000

type server struct{ Keeper }

var (
	_ availabilityv1.MsgServer   = server{}
	_ availabilityv1.QueryServer = server{}
)

// UpdateParams replaces the rules on behalf of governance.
func (s server) UpdateParams(ctx context.Context, m *availabilityv1.MsgUpdateParams) (*availabilityv1.MsgUpdateParamsResponse, error) {
	if m.Authority != s.authority {
		return nil, errorsmod.Wrapf(sdkerrors.ErrUnauthorized, "%s may not change the availability params, only %s may", m.Authority, s.authority)
	}
	if m.Params == nil {
		return nil, errorsmod.Wrap(sdkerrors.ErrInvalidRequest, "params are missing")
	}
	if err := s.SetParams(ctx, *m.Params); err != nil {
		return nil, errorsmod.Wrap(sdkerrors.ErrInvalidRequest, err.Error())
	}
	return &availabilityv1.MsgUpdateParamsResponse{}, nil
}

// Claim records what a relayer has put on DA layers.
func (s server) Claim(ctx context.Context, m *availabilityv1.MsgClaim) (*availabilityv1.MsgClaimResponse, error) {
	relayer, err := sdk.AccAddressFromBech32(m.Relayer)
	if err != nil {
		return nil, errorsmod.Wrapf(sdkerrors.ErrInvalidAddress, "relayer: %v", err)
	}
	numbers, err := s.claim(sdk.UnwrapSDKContext(ctx), relayer, m.Claims)
	switch {
	case errors.Is(err, ErrNoRoom):
		return nil, errNoRoom.Wrap(err.Error())
	case errors.Is(err, ErrClaim):
		return nil, errClaim.Wrap(err.Error())
	case err != nil:
		return nil, err
	}
	return &availabilityv1.MsgClaimResponse{Numbers: numbers}, nil
}

// Params returns the rules in force.
func (s server) Params(ctx context.Context, _ *availabilityv1.QueryParamsRequest) (*availabilityv1.QueryParamsResponse, error) {
	p, err := s.Keeper.Params(ctx)
	if err != nil {
		return nil, err
	}
	return &availabilityv1.QueryParamsResponse{Params: &p}, nil
}

// Rollup returns what is confirmed of one rollup.
func (s server) Rollup(ctx context.Context, q *availabilityv1.QueryRollupRequest) (*availabilityv1.QueryRollupResponse, error) {
	if len(q.GetRollupId()) != rollupIDSize {
		return nil, status.Errorf(codes.InvalidArgument, "rollup ID has %d bytes, want %d", len(q.GetRollupId()), rollupIDSize)
	}
	r, err := s.Keeper.Rollup(ctx, q.RollupId)
	if err != nil {
		return nil, err
	}
	waiting, err := s.waiting(ctx, q.RollupId)
	if err != nil {
		return nil, err
	}
	return &availabilityv1.QueryRollupResponse{Rollup: r, Pending: uint32(len(waiting.Claims))}, nil
}

// Rollups returns what is confirmed of all rollups.
func (s server) Rollups(ctx context.Context, q *availabilityv1.QueryRollupsRequest) (*availabilityv1.QueryRollupsResponse, error) {
	start := rollupPrefix
	switch after := q.GetAfter(); len(after) {
	case 0:
	case rollupIDSize:
		start = append(rollupKey(after), 0)
	default:
		return nil, status.Errorf(codes.InvalidArgument, "after has %d bytes, want none or %d", len(after), rollupIDSize)
	}
	res := new(availabilityv1.QueryRollupsResponse)
	limit := page(q.GetLimit())
	err := s.scan(ctx, start, endOf(rollupPrefix), func(_, raw []byte) error {
		if len(res.Rollups) >= limit {
			return errEnough
		}
		r := new(availabilityv1.Rollup)
		res.Rollups = append(res.Rollups, r)
		return r.Unmarshal(raw)
	})
	return res, err
}

// Pending returns the claims that wait.
func (s server) Pending(ctx context.Context, q *availabilityv1.QueryPendingRequest) (*availabilityv1.QueryPendingResponse, error) {
	pending, err := s.Keeper.Pending(ctx, q.GetAfter(), page(q.GetLimit()))
	if err != nil {
		return nil, err
	}
	return &availabilityv1.QueryPendingResponse{Pending: pending}, nil
}

// Relayer returns what became of a relayer's claims.
func (s server) Relayer(ctx context.Context, q *availabilityv1.QueryRelayerRequest) (*availabilityv1.QueryRelayerResponse, error) {
	address, err := sdk.AccAddressFromBech32(q.GetAddress())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "address: %v", err)
	}
	r, err := s.Keeper.Relayer(ctx, address)
	if err != nil {
		return nil, err
	}
	return &availabilityv1.QueryRelayerResponse{Relayer: r}, nil
}

func page(limit uint32) int {
	if limit == 0 || limit > maxPage {
		return maxPage
	}
	return int(limit)
}
