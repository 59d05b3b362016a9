package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
)

// batchOf bounds the calls of one batch; geth takes 1,000.
const batchOf = 600

// accounts asks the client for the senders' accounts after a block.
func (a *API) accounts(ctx context.Context, at common.Hash, all []candidate) (map[common.Address]account, error) {
	accounts := map[common.Address]account{}
	var order []common.Address
	for _, c := range all {
		if _, ok := accounts[c.from]; !ok {
			accounts[c.from] = account{}
			order = append(order, c.from)
		}
	}
	for some := range slices.Chunk(order, batchOf/3) {
		if err := a.someAccounts(ctx, at, some, accounts); err != nil {
			return nil, fmt.Errorf("read the senders' accounts: %w", err)
		}
	}
	for _, c := range all {
		for _, auth := range c.tx.SetCodeAuthorizations() {
			who, err := auth.Authority()
			if account, ok := accounts[who]; err == nil && ok {
				account.tangled = true
				accounts[who] = account
			}
		}
	}
	return accounts, nil
}

func (a *API) someAccounts(ctx context.Context, at common.Hash, some []common.Address, accounts map[common.Address]account) error {
	block := struct {
		Hash common.Hash `json:"blockHash"`
	}{at}
	var requests []request
	for _, address := range some {
		for _, method := range []string{"eth_getTransactionCount", "eth_getBalance", "eth_getCode"} {
			requests = append(requests, request{Version: "2.0", ID: len(requests), Method: method, Params: []any{address, block}})
		}
	}
	results, err := a.batch(ctx, requests)
	if err != nil {
		return err
	}
	for i, address := range some {
		var nonce hexutil.Uint64
		var balance hexutil.U256
		var code hexutil.Bytes
		for j, into := range []any{&nonce, &balance, &code} {
			if err := results[3*i+j].result(into); err != nil {
				return err
			}
		}
		_, delegated := types.ParseDelegation(code)
		accounts[address] = account{
			nonce: uint64(nonce), balance: (*uint256.Int)(&balance),
			contract: len(code) > 0 && !delegated, tangled: delegated,
		}
	}
	return nil
}

// batch asks for several things at once; the answers come in the same order. The
// requests' IDs are their places.
func (a *API) batch(ctx context.Context, requests []request) ([]response, error) {
	began := a.config.Now()
	raw, err := a.post(ctx, requests)
	a.metrics.asked("batch", a.config.Now().Sub(began), err)
	if err != nil {
		return nil, err
	}
	var answers []response
	if err := json.Unmarshal(raw, &answers); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	inOrder := make([]response, len(requests))
	seen := 0
	for _, r := range answers {
		if r.ID < 0 || r.ID >= len(requests) {
			return nil, fmt.Errorf("%w: it answers what nobody asked", ErrAnswer)
		}
		if inOrder[r.ID].Result == nil && inOrder[r.ID].Error == nil {
			seen++
		}
		inOrder[r.ID] = r
	}
	if seen != len(requests) || len(answers) != len(requests) {
		return nil, fmt.Errorf("%w: %d answers to %d questions", ErrAnswer, seen, len(requests))
	}
	return inOrder, nil
}
