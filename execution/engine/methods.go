package engine

import (
	"context"
	"errors"
	"fmt"

	geth "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/execution"
)

// version says which client this is.
func (a *API) version(ctx context.Context) (string, error) {
	var versions []geth.ClientVersionV1
	err := a.call(ctx, &versions, "engine_getClientVersionV1", geth.ClientVersionV1{Code: "OR", Name: "Ordo", Version: "1", Commit: "0x00000000"})
	if err != nil || len(versions) == 0 {
		return "unknown", err
	}
	return short(versions[0].Name + " " + versions[0].Version), nil
}

// header is what is read of a client's block.
type header struct {
	Number       hexutil.Uint64 `json:"number"`
	Hash         common.Hash    `json:"hash"`
	StateRoot    common.Hash    `json:"stateRoot"`
	Time         hexutil.Uint64 `json:"timestamp"`
	GasLimit     hexutil.Uint64 `json:"gasLimit"`
	FeeRecipient common.Address `json:"miner"`
}

// header returns the client's block of that number.
func (a *API) header(ctx context.Context, number uint64) (*header, error) {
	h, err := a.headerAt(ctx, hexutil.EncodeUint64(number))
	if err == nil && uint64(h.Number) != number {
		return nil, fmt.Errorf("%w: asked for block %d it gives block %d", ErrAnswer, number, h.Number)
	}
	return h, err
}

// head returns the client's head.
func (a *API) head(ctx context.Context) (*header, error) { return a.headerAt(ctx, "latest") }

func (a *API) headerAt(ctx context.Context, at string) (*header, error) {
	var h *header
	if err := a.call(ctx, &h, "eth_getBlockByNumber", at, false); err != nil {
		return nil, err
	}
	if h == nil {
		return nil, fmt.Errorf("%w: it has no block %s", ErrUnreachable, at) // not yet, or no longer
	}
	return h, nil
}

// A client's verdict on a block.
type verdict int

const (
	valid   verdict = iota
	unknown         // it lacks blocks before it
)

// judge reads a status. What a client holds for invalid is an error: a block comes here
// only when Ordo knows it to be right.
func judge(status geth.PayloadStatusV1, ours execution.Hash) (verdict, error) {
	switch status.Status {
	case geth.VALID:
		return valid, nil
	case geth.SYNCING, geth.ACCEPTED:
		return unknown, nil
	case geth.INVALID, "INVALID_BLOCK_HASH":
		reason, last := "no reason given", common.Hash{}
		if status.ValidationError != nil {
			reason = short(*status.ValidationError)
		}
		if status.LatestValidHash != nil {
			last = *status.LatestValidHash
		}
		return 0, fmt.Errorf("%w: block %x is not valid to the client, whose last valid one is %s: %s", execution.ErrDisagree, ours, last, reason)
	}
	return 0, fmt.Errorf("%w: status %q", ErrAnswer, short(status.Status))
}

// newPayload hands a block over. requests is nil before Prague.
func (a *API) newPayload(ctx context.Context, hash execution.Hash, payload any, beaconRoot common.Hash, requests []hexutil.Bytes) (verdict, error) {
	method, params := "engine_newPayloadV3", []any{payload, []common.Hash{}, beaconRoot}
	if requests != nil {
		method, params = "engine_newPayloadV4", append(params, requests)
	}
	var status geth.PayloadStatusV1
	if err := a.call(ctx, &status, method, params...); err != nil {
		return 0, err
	}
	return judge(status, hash)
}

// forkchoice moves the client's head. safe and finalized are firm, where it is not zero.
func (a *API) forkchoice(ctx context.Context, head, firm execution.Hash) (verdict, error) {
	var r geth.ForkChoiceResponse
	err := a.call(ctx, &r, "engine_forkchoiceUpdatedV3", choice(head, firm), nil)
	var refused *refusal
	if errors.As(err, &refused) && refused.code == codeInvalidState {
		return unknown, nil // it fell back below firm
	}
	if err != nil {
		return 0, err
	}
	return judge(r.PayloadStatus, head)
}

func choice(head, firm execution.Hash) geth.ForkchoiceStateV1 {
	return geth.ForkchoiceStateV1{HeadBlockHash: head, SafeBlockHash: firm, FinalizedBlockHash: firm}
}

func hexed(raw [][]byte) []hexutil.Bytes {
	if raw == nil {
		return nil
	}
	out := make([]hexutil.Bytes, len(raw))
	for i, b := range raw {
		out[i] = b
	}
	return out
}
