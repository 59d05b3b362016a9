package ethrpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/gateway"
)

// Error codes of EIP-7966.
const (
	codeTimeout  = 4
	codeNotReady = 5
	codeNonceGap = 6
)

// syncError is an error of eth_sendRawTransactionSync with its own code: the data
// is the transaction's hash, or the nonce expected.
type syncError struct {
	code      int
	msg, data string
}

func (e *syncError) Error() string  { return e.msg }
func (e *syncError) ErrorCode() int { return e.code }
func (e *syncError) ErrorData() any { return e.data }

type syncTimeouts struct{ standard, max time.Duration }

// millis is a number of milliseconds: a JSON number, or a hex quantity as other
// methods take. What is neither counts as not given.
type millis uint64

// UnmarshalJSON implements json.Unmarshaler.
func (m *millis) UnmarshalJSON(raw []byte) error {
	var q hexutil.Uint64
	if json.Unmarshal(raw, &q) == nil {
		*m = millis(q)
	} else if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		*m = millis(n)
	}
	return nil
}

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
func (a *ethAPI) SendRawTransactionSync(ctx context.Context, input hexutil.Bytes, timeout *millis, options *syncOptions) (map[string]any, error) {
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
	wait := a.sync.standard
	if timeout != nil && *timeout > 0 && uint64(*timeout) <= uint64(a.sync.max/time.Millisecond) {
		wait = time.Duration(*timeout) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	executed, stop, err := a.hub.await(tx.Hash())
	if err != nil {
		return nil, &syncError{code: codeNotReady, msg: err.Error(), data: tx.Hash().Hex()}
	}
	defer stop()
	hash, err := a.send(ctx, tx, true)
	switch {
	case errors.Is(err, gateway.ErrUnfunded), errors.Is(err, gateway.ErrStopped), errors.Is(err, gateway.ErrFull):
		return nil, &syncError{code: codeNotReady, msg: err.Error(), data: tx.Hash().Hex()}
	case errors.Is(err, context.DeadlineExceeded):
		return nil, timedOut(tx.Hash(), wait)
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
				return nil, &syncError{code: codeNotReady, msg: "the transaction was accepted and then dropped: " + st.Reason, data: hash.Hex()}
			}
		case <-ctx.Done():
			return nil, timedOut(hash, wait)
		}
	}
}

func timedOut(hash common.Hash, wait time.Duration) error {
	return &syncError{
		code: codeTimeout, data: hash.Hex(),
		msg: fmt.Sprintf("The transaction was added to the transaction pool but wasn't processed in %v", wait),
	}
}
