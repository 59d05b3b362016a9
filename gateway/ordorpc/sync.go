package ordorpc

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// Error codes of EIP-7966.
const (
	CodeTimeout  = 4
	CodeNotReady = 5
	CodeNonceGap = 6
)

// SyncError is an error of eth_sendRawTransactionSync with its own code: the data
// is the transaction's hash, or the nonce expected.
type SyncError struct {
	Code      int
	Msg, Data string
}

// Error implements error.
func (e *SyncError) Error() string { return e.Msg }

// ErrorCode implements rpc.Error.
func (e *SyncError) ErrorCode() int { return e.Code }

// ErrorData implements rpc.DataError.
func (e *SyncError) ErrorData() any { return e.Data }

// TimedOut is the error for a receipt that did not come in time.
func TimedOut(hash [32]byte, wait time.Duration) error {
	return &SyncError{
		Code: CodeTimeout, Data: Hash(hash).String(),
		Msg: fmt.Sprintf("The transaction was added to the transaction pool but wasn't processed in %v", wait),
	}
}

// SyncTimeouts are how long eth_sendRawTransactionSync waits.
type SyncTimeouts struct{ Standard, Max time.Duration }

// For returns the timeouts of a rollup whose blocks are at least so far apart: who gives no
// timeout waits for two of them.
func (t SyncTimeouts) For(blockTime time.Duration) SyncTimeouts {
	t.Standard = min(max(t.Standard, 2*blockTime+time.Second), max(t.Max, t.Standard))
	return t
}

// Wait returns how long to wait for a caller who asks for that: a timeout that is not
// positive or above the bound counts as not given, as EIP-7966 says.
func (t SyncTimeouts) Wait(asked *Millis) time.Duration {
	if asked != nil && *asked > 0 && uint64(*asked) <= uint64(t.Max/time.Millisecond) {
		return time.Duration(*asked) * time.Millisecond
	}
	return t.Standard
}

// Millis is a number of milliseconds: a JSON number, or a hex quantity as other
// methods take. What is neither counts as not given.
type Millis uint64

// UnmarshalJSON implements json.Unmarshaler.
func (m *Millis) UnmarshalJSON(raw []byte) error {
	var q hexutil.Uint64
	if json.Unmarshal(raw, &q) == nil {
		*m = Millis(q)
	} else if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
		*m = Millis(n)
	}
	return nil
}
