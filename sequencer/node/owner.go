package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/query"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
)

// owner returns whose lane this node has: the operator's that the settings name or, where
// they name none, that of the validator with this node's consensus key.
func (n *Node) owner(ctx context.Context, doc *cmttypes.GenesisDoc, consensus cmttypes.Address) (order.Owner, error) {
	if n.config.Dispersal.Operator == "" {
		return ownerOf(ctx, n.app, doc, consensus)
	}
	operator, err := sdk.AccAddressFromBech32(n.config.Dispersal.Operator)
	if err != nil {
		return order.Owner{}, fmt.Errorf("dispersal.operator: %w", err)
	}
	return order.OwnerFromBytes(operator)
}

// promotionInterval is how often a full node looks whether its key was bonded.
const promotionInterval = time.Minute

// awaitPromotion tells the operator of a full node once when it became a validator.
func (n *Node) awaitPromotion(ctx context.Context, doc *cmttypes.GenesisDoc, consensus cmttypes.Address) error {
	tick := time.NewTicker(promotionInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		owner, err := ownerOf(ctx, n.app, doc, consensus)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			n.log.Warn("this node cannot tell whether it is a validator", "err", err)
		case owner != order.Owner{}:
			n.log.Warn("this node's key was bonded, but the node runs as a full node: restart it, so that it attests and has a lane", "owner", owner.String())
			return nil
		}
	}
}

// ownerOf returns who operates the validator with that consensus address: the owner of
// this node's lane. It is the zero owner where there is no such validator, which makes
// the node a full node. Before the first block the genesis says who will be one.
func ownerOf(ctx context.Context, a *app.App, doc *cmttypes.GenesisDoc, consensus cmttypes.Address) (order.Owner, error) {
	if a.LastBlockHeight() == 0 {
		return foundingOwner(a.Encoding(), doc, consensus)
	}
	page := &query.PageRequest{Limit: 200}
	for {
		var res stakingtypes.QueryValidatorsResponse
		err := ask(ctx, a, "/cosmos.staking.v1beta1.Query/Validators", &stakingtypes.QueryValidatorsRequest{Pagination: page}, &res)
		if err != nil {
			return order.Owner{}, fmt.Errorf("find this node's validator: %w", err)
		}
		for _, v := range res.Validators {
			if err := v.UnpackInterfaces(a.Encoding().Registry); err != nil {
				return order.Owner{}, fmt.Errorf("find this node's validator: %w", err)
			}
			addr, err := v.GetConsAddr()
			if err != nil {
				return order.Owner{}, fmt.Errorf("find this node's validator: %w", err)
			}
			if !bytes.Equal(addr, consensus) {
				continue
			}
			operator, err := sdk.ValAddressFromBech32(v.OperatorAddress)
			if err != nil {
				return order.Owner{}, fmt.Errorf("operator of this node's validator: %w", err)
			}
			return order.OwnerFromBytes(operator)
		}
		if page.Key = res.GetPagination().GetNextKey(); len(page.Key) == 0 {
			return order.Owner{}, nil
		}
	}
}

func foundingOwner(enc *app.Encoding, doc *cmttypes.GenesisDoc, consensus cmttypes.Address) (order.Owner, error) {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(doc.AppState, &state); err != nil {
		return order.Owner{}, fmt.Errorf("decode genesis: %w", err)
	}
	founders, err := foundersOf(enc, state)
	if err != nil {
		return order.Owner{}, err
	}
	for _, f := range founders {
		if bytes.Equal(f.validator.Address, consensus) {
			return order.OwnerFromBytes(f.operator)
		}
	}
	return order.Owner{}, nil
}

// querier answers questions about the last committed state.
type querier interface {
	Query(context.Context, *abci.RequestQuery) (*abci.ResponseQuery, error)
}

type message interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

func ask(ctx context.Context, q querier, method string, req, res message) error {
	data, err := req.Marshal()
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	answer, err := q.Query(ctx, &abci.RequestQuery{Path: method, Data: data})
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if !answer.IsOK() {
		return fmt.Errorf("%s: %s", method, answer.Log)
	}
	if err := res.Unmarshal(answer.Value); err != nil {
		return fmt.Errorf("decode answer of %s: %w", method, err)
	}
	return nil
}
