package ethrpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// syncOptions is the third parameter of eth_sendRawTransactionSync, which EIP-7966
// does not have.
type syncOptions struct {
	// Until is what to wait for: "ordered", the standard, or "certified".
	Until string `json:"until"`
}

// SendRawTransactionSync accepts a transaction that can be executed at once and
// waits for its receipt, as EIP-7966 says. A timeout that is not positive or above
// the node's bound counts as not given. Who asks for {"until": "certified"} gets the
// receipt as soon as the transaction is in the pending block: inclusion is certain
// then, the outcome nearly so, and the receipt's block has no hash yet.
func (a *ethAPI) SendRawTransactionSync(ctx context.Context, input hexutil.Bytes, timeout *ordorpc.Millis, options *syncOptions) (map[string]any, error) {
	certified := false
	if options != nil {
		switch options.Until {
		case "", "ordered":
		case "certified":
			certified = true
		default:
			return nil, invalidParams{fmt.Sprintf(`until is %q: want "ordered" or "certified"`, options.Until)}
		}
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(input); err != nil {
		return nil, err
	}
	wait := a.sync.Wait(timeout)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	executed, stop, err := a.hub.await(tx.Hash())
	if err != nil {
		return nil, &ordorpc.SyncError{Code: ordorpc.CodeNotReady, Msg: err.Error(), Data: tx.Hash().Hex()}
	}
	defer stop()
	hash, err := a.send(ctx, tx, true)
	switch {
	case errors.Is(err, gateway.ErrUnfunded), errors.Is(err, gateway.ErrStopped), errors.Is(err, gateway.ErrFull):
		return nil, &ordorpc.SyncError{Code: ordorpc.CodeNotReady, Msg: err.Error(), Data: tx.Hash().Hex()}
	case errors.Is(err, context.DeadlineExceeded):
		return nil, ordorpc.TimedOut(tx.Hash(), wait)
	case err != nil:
		return nil, err
	}
	// A transaction that is dropped makes no event: look now and then.
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		var changed <-chan struct{}
		if certified {
			pending, c, err := a.door.evm.Pending()
			if err != nil {
				return nil, err
			}
			if _, receipt, i, ok := pending.Transaction(hash); ok {
				return pendingReceipt(pending.Header(), tx, receipt, i)
			}
			changed = c
		}
		select {
		case <-executed:
			return a.GetTransactionReceipt(ctx, hash)
		case <-changed:
		case <-look.C:
			if _, st, ok := a.door.gateway.Get(hash); ok && st.Phase == gateway.PhaseDropped {
				return nil, &ordorpc.SyncError{Code: ordorpc.CodeNotReady, Msg: "the transaction was accepted and then dropped: " + st.Reason, Data: hash.Hex()}
			}
		case <-ctx.Done():
			return nil, ordorpc.TimedOut(hash, wait)
		}
	}
}
