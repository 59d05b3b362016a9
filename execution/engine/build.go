package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	geth "github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution"
)

// attributes are what the client makes a block by, in the OP Stack's form.
type attributes struct {
	Time          hexutil.Uint64  `json:"timestamp"`
	Random        common.Hash     `json:"prevRandao"`
	FeeRecipient  common.Address  `json:"suggestedFeeRecipient"`
	Withdrawals   []struct{}      `json:"withdrawals"` // none, and not null
	BeaconRoot    common.Hash     `json:"parentBeaconBlockRoot"`
	Transactions  []hexutil.Bytes `json:"transactions"`
	NoTxPool      bool            `json:"noTxPool"`
	GasLimit      hexutil.Uint64  `json:"gasLimit"`
	EIP1559Params hexutil.Bytes   `json:"eip1559Params,omitempty"`
}

// site is where a block is built.
type site struct {
	parent, firm execution.Hash
	number       uint64
	height       uint64     // of the sequencer block
	attributes   attributes // with the transactions that stand before those of the order
	reserved     uint64     // gas for those
}

// made is a block that the client has built and that is not part of its chain yet.
type made struct {
	record  record
	baseFee hexutil.Big
	gasUsed uint64
}

// envelope is what getPayload answers.
type envelope struct {
	Payload  json.RawMessage `json:"executionPayload"`
	Requests []hexutil.Bytes `json:"executionRequests"`
}

// refusedError is the client's refusal to build a block of certain transactions.
type refusedError struct{ because *refusal }

func (r *refusedError) Error() string { return r.because.Error() }

// build makes the client build a block of the transactions. A refusedError where one of
// them does not apply, or anything else is wrong with what was asked.
func (o *OP) build(ctx context.Context, s site, txs []candidate) (*made, error) {
	o.api.metrics.builds.Inc()
	want := s.attributes
	want.Transactions = slices.Clone(want.Transactions)
	for _, c := range txs {
		want.Transactions = append(want.Transactions, c.raw)
	}
	if want.Transactions == nil {
		want.Transactions = []hexutil.Bytes{} // null is something else
	}
	var r geth.ForkChoiceResponse
	err := o.api.call(ctx, &r, "engine_forkchoiceUpdatedV3", choice(s.parent, s.firm), want)
	var because *refusal
	switch {
	case errors.As(err, &because) && because.code == codeInvalidAttributes:
		return nil, &refusedError{because}
	case errors.As(err, &because) && because.code == codeInvalidState:
		return nil, fmt.Errorf("%w: it fell back below the firm head", ErrUnreachable)
	case err != nil:
		return nil, err
	}
	known, err := judge(r.PayloadStatus, s.parent)
	switch {
	case err != nil:
		return nil, err
	case known == unknown:
		return nil, fmt.Errorf("%w: it fell back behind block %d", ErrUnreachable, s.number-1)
	case r.PayloadID == nil:
		return nil, fmt.Errorf("%w: asked to build on block %x it says nothing: is its chain longer than this node's? then begin it anew", ErrAnswer, s.parent)
	}
	var e envelope
	err = o.api.call(ctx, &e, o.forks.getPayload(uint64(want.Time)), r.PayloadID)
	if errors.As(err, &because) && because.code == codeUnknownPayload {
		return nil, fmt.Errorf("%w: it forgot what it built: %w", ErrUnreachable, err)
	}
	if err != nil {
		return nil, err
	}
	return o.accept(s, want, e)
}

// accept checks that the block is the one that was asked for, and gives it its hash.
func (o *OP) accept(s site, want attributes, e envelope) (*made, error) {
	var data geth.ExecutableData
	if err := json.Unmarshal(e.Payload, &data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	same := slices.EqualFunc(data.Transactions, want.Transactions, func(a []byte, b hexutil.Bytes) bool { return bytes.Equal(a, b) })
	if !same || data.ParentHash != common.Hash(s.parent) || data.Number != s.number || data.Timestamp != uint64(want.Time) || data.Random != want.Random ||
		data.FeeRecipient != want.FeeRecipient || data.GasLimit != uint64(want.GasLimit) || len(data.Withdrawals) != 0 || data.BaseFeePerGas == nil {
		return nil, fmt.Errorf("%w: the block it built is not the one that was asked for", ErrAnswer)
	}
	requests := unhexed(e.Requests)
	if !o.forks.chain.IsPrague(common.Big0, data.Timestamp) {
		requests = nil
	} else if requests == nil {
		requests = [][]byte{}
	}
	payload, hash, err := o.settle(s, e.Payload, data, want.BeaconRoot, requests)
	if err != nil {
		return nil, err
	}
	return &made{
		record: record{
			Hash: hash, Height: s.height, Time: data.Timestamp, GasLimit: data.GasLimit,
			BeaconRoot: want.BeaconRoot, Payload: payload, Requests: hexed(requests),
		},
		baseFee: hexutil.Big(*data.BaseFeePerGas), gasUsed: data.GasUsed,
	}, nil
}

// settle gives the block its final form and its hash. On a chain without an optimism
// section the extra data is the sequencer height, as in the embedded EVM's blocks: the
// client would write there what its operator likes, and each node had other hashes.
// The OP Stack's own rules say what is there else.
func (o *OP) settle(s site, raw json.RawMessage, data geth.ExecutableData, beaconRoot common.Hash, requests [][]byte) (json.RawMessage, common.Hash, error) {
	own := data
	own.Transactions = nil // their types may be the OP Stack's own
	if !o.forks.optimism {
		own.ExtraData = binary.BigEndian.AppendUint64(nil, s.height)
	}
	block, err := geth.ExecutableDataToBlockNoHash(own, nil, &beaconRoot, requests)
	if err != nil {
		return nil, common.Hash{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	header := block.Header()
	header.TxHash = rawTransactions(data.Transactions).root()
	if o.forks.optimism {
		return raw, data.BlockHash, o.checkHash(header, data.BlockHash, raw)
	}
	data.ExtraData, data.BlockHash = own.ExtraData, header.Hash()
	if raw, err = json.Marshal(data); err != nil {
		return nil, common.Hash{}, fmt.Errorf("encode block %d: %w", data.Number, err)
	}
	return raw, data.BlockHash, nil
}

// checkHash checks that a block is what its hash says.
func (o *OP) checkHash(header *types.Header, hash common.Hash, raw json.RawMessage) error {
	if o.forks.isthmus {
		var isthmus struct {
			WithdrawalsRoot *common.Hash `json:"withdrawalsRoot"`
		}
		if err := json.Unmarshal(raw, &isthmus); err != nil {
			return fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		header.WithdrawalsHash = isthmus.WithdrawalsRoot
	}
	if got := header.Hash(); got != hash {
		return fmt.Errorf("%w: it calls the block that it built %s, by its content it is %s", ErrAnswer, hash, got)
	}
	return nil
}

func unhexed(raw []hexutil.Bytes) [][]byte {
	if raw == nil {
		return nil
	}
	out := make([][]byte, len(raw))
	for i, b := range raw {
		out[i] = b
	}
	return out
}
