package ordorpc

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway"
)

// ethMethods are what the door answers itself of an Ethereum client's methods, beside filters.
var ethMethods = []string{"eth_chainId", "eth_sendRawTransaction", "eth_sendRawTransactionSync", "eth_getTransactionCount", "eth_accounts"}

// ethereum holds the methods of an Ethereum client that concern the gateway, where such
// a client stands behind the door.
type ethereum struct {
	api     *api
	chainID uint64
	client  *rpc.Client // nil where none is named
	sync    SyncTimeouts

	accounts *accounts // nil without a client
}

// ChainId returns the chain ID, also while the client does not answer.
func (e *ethereum) ChainId() hexutil.Uint64 {
	return hexutil.Uint64(e.chainID)
}

// SendRawTransaction accepts a signed transaction: its hash is the promise that it
// is on disk and will be brought into the order.
func (e *ethereum) SendRawTransaction(ctx context.Context, raw hexutil.Bytes) (Hash, error) {
	hash, err := e.submit(ctx, raw)
	return hash, err
}

// SendRawTransactionSync accepts a transaction and waits for its receipt, as EIP-7966
// says.
func (e *ethereum) SendRawTransactionSync(ctx context.Context, raw hexutil.Bytes, timeout *Millis) (json.RawMessage, error) {
	if e.client == nil {
		return nil, errors.New("no client_rpc is set, which receipts are read from: use eth_sendRawTransaction")
	}
	wait := e.sync.Wait(timeout)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	hash, err := e.submit(ctx, raw)
	var ahead *gap
	switch {
	case errors.As(err, &ahead):
		return nil, &SyncError{Code: CodeNonceGap, Msg: err.Error(), Data: hexutil.EncodeUint64(ahead.next)}
	case errors.Is(err, gateway.ErrUnfunded), errors.Is(err, gateway.ErrStopped), errors.Is(err, gateway.ErrFull):
		return nil, &SyncError{Code: CodeNotReady, Msg: err.Error(), Data: Hash(hash).String()}
	case errors.Is(err, context.DeadlineExceeded):
		return nil, TimedOut(hash, wait)
	case err != nil:
		return nil, err
	}
	told, stop, err := e.api.Gateway.Watch(hash)
	if err != nil {
		return nil, &SyncError{Code: CodeNotReady, Msg: err.Error(), Data: Hash(hash).String()}
	}
	defer stop()
	look := time.NewTicker(pollInterval)
	defer look.Stop()
	for {
		_, executed, err := e.api.Chain.Locate(hash)
		if err != nil {
			return nil, err
		}
		if executed { // its index may come a moment after the block
			var receipt json.RawMessage
			if err := e.client.CallContext(ctx, &receipt, "eth_getTransactionReceipt", Hash(hash)); err == nil && len(receipt) > 0 && string(receipt) != "null" {
				return receipt, nil
			}
		} else if _, st, ok := e.api.Gateway.Get(hash); ok && st.Phase == gateway.PhaseDropped {
			return nil, &SyncError{Code: CodeNotReady, Msg: "the transaction was accepted and then dropped: " + st.Reason, Data: Hash(hash).String()}
		}
		select {
		case <-told:
		case <-look.C:
		case <-ctx.Done():
			return nil, TimedOut(hash, wait)
		}
	}
}
