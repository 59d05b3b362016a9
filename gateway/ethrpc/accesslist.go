package ethrpc

import (
	"context"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/tracers/logger"
	"github.com/ethereum/go-ethereum/rpc"
)

// accessListed is the answer of eth_createAccessList.
type accessListed struct {
	AccessList types.AccessList `json:"accessList"`
	Error      string           `json:"error,omitempty"`
	GasUsed    hexutil.Uint64   `json:"gasUsed"`
}

// CreateAccessList returns what a message touches, and the gas that it uses with that as its
// access list.
func (c calls) CreateAccessList(ctx context.Context, args json.RawMessage, at *rpc.BlockNumberOrHash, overrides *json.RawMessage) (any, error) {
	if !isPending(at) {
		return c.accessList.call(ctx, args, at, given(overrides))
	}
	m, err := c.prepare(args, overrides, nil)
	if err != nil {
		return nil, err
	}
	return m.accessList(ctx)
}

// accessList executes the message again until what it touches is what it says that it does: a
// list changes the cost of what is on it, and so what a message does.
func (t *trial) accessList(ctx context.Context) (*accessListed, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	known := t.untold()
	for before := logger.NewAccessListTracer(t.args.AccessList, known); ; {
		t.args.AccessList = before.AccessList()
		touched := logger.NewAccessListTracer(t.args.AccessList, known)
		result, err := t.execute(ctx, t.state.Copy(), vm.Config{Tracer: touched.Hooks()})
		if err != nil {
			return nil, err
		}
		if touched.Equal(before) {
			out := &accessListed{AccessList: t.args.AccessList, GasUsed: hexutil.Uint64(result.UsedGas)}
			if result.Err != nil {
				out.Error = result.Err.Error()
			}
			return out, nil
		}
		before = touched
	}
}

// untold are the addresses that need not be on a list: they cost nothing more without it.
func (t *trial) untold() map[common.Address]struct{} {
	to := t.args.To
	if to == nil {
		nonce := t.state.GetNonce(t.args.From)
		if t.args.Nonce != nil {
			nonce = uint64(*t.args.Nonce)
		}
		made := crypto.CreateAddress(t.args.From, nonce)
		to = &made
	}
	known := map[common.Address]struct{}{t.args.From: {}, *to: {}}
	config := t.chain.Config()
	for _, addr := range vm.ActivePrecompiles(config.Rules(t.header.Number, true, t.header.Time)) {
		known[addr] = struct{}{}
	}
	for _, auth := range t.args.AuthorizationList {
		if !auth.ChainID.IsZero() && auth.ChainID.CmpBig(config.ChainID) != 0 || auth.Nonce+1 < auth.Nonce {
			continue // it is not taken
		}
		if authority, err := auth.Authority(); err == nil {
			known[authority] = struct{}{}
		}
	}
	return known
}
