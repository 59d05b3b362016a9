package local

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ordo-network/ordo/da"
)

// The shapes of celestia-node's JSON-RPC API that server and client share. Byte
// strings are standard base64, hashes in headers are upper-case hex, and heights
// are numbers but for those in headers, which are strings as in CometBFT's JSON.
//
// What differs from a real node: a commitment is the SHA-256 of the data, not a
// share commitment; there are no proofs and no subscriptions; a header holds what this layer
// has, without validators; and a height above the head fails at once instead of
// being waited for.

type rpcRequest struct {
	Version string            `json:"jsonrpc"`
	ID      json.RawMessage   `json:"id,omitempty"`
	Method  string            `json:"method"`
	Params  []json.RawMessage `json:"params"`
}

type rpcResponse struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Codes of JSON-RPC 2.0, and those of this layer, one for each error of package da.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602

	codeNotFound    = 1001
	codeNotYet      = 1002
	codeTooLarge    = 1003
	codeRejected    = 1004
	codeUnavailable = 1005
)

var codes = []struct {
	code int
	err  error
}{
	{codeNotFound, da.ErrNotFound}, {codeNotYet, da.ErrNotYet}, {codeTooLarge, da.ErrTooLarge},
	{codeRejected, da.ErrRejected}, {codeUnavailable, da.ErrUnavailable}, {codeInvalidParams, da.ErrRejected},
}

// wireError gives an error its code.
func wireError(err error) *rpcError {
	var e *rpcError
	if errors.As(err, &e) {
		return e
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &rpcError{c.code, err.Error()}
		}
	}
	return &rpcError{codeUnavailable, err.Error()}
}

// sentinel gives the error of package da back. A code that is not known says
// nothing about what was stored: da.ErrUnavailable.
func (e *rpcError) sentinel() error {
	for _, c := range codes {
		if c.code == e.Code {
			return c.err
		}
	}
	return da.ErrUnavailable
}

// wireBlob is celestia-node's blob.Blob.
type wireBlob struct {
	Namespace    []byte `json:"namespace"`
	Data         []byte `json:"data"`
	ShareVersion uint32 `json:"share_version"`
	Commitment   []byte `json:"commitment,omitempty"`
	Index        int    `json:"index"`
}

// wireHeader is the part of celestia-node's header.ExtendedHeader that this layer has.
type wireHeader struct {
	Header struct {
		ChainID     string      `json:"chain_id"`
		Height      wireHeight  `json:"height"`
		Time        time.Time   `json:"time"`
		LastBlockID wireBlockID `json:"last_block_id"`
		DataHash    wireHash    `json:"data_hash"`
	} `json:"header"`
	Commit struct {
		Height  wireHeight  `json:"height"`
		BlockID wireBlockID `json:"block_id"`
	} `json:"commit"`
}

type wireBlockID struct {
	Hash wireHash `json:"hash"`
}

// chainID is what headers name.
const chainID = "ordo-local-da"

func (h header) wire() wireHeader {
	var w wireHeader
	w.Header.ChainID = chainID
	w.Header.Height = wireHeight(h.height)
	w.Header.Time = h.time
	w.Header.LastBlockID.Hash = h.previous[:]
	w.Header.DataHash = h.data[:]
	hash := h.hash()
	w.Commit.Height = wireHeight(h.height)
	w.Commit.BlockID.Hash = hash[:]
	return w
}

type wireHash []byte

func (h wireHash) MarshalText() ([]byte, error) {
	return []byte(strings.ToUpper(hex.EncodeToString(h))), nil
}

func (h *wireHash) UnmarshalText(b []byte) error {
	raw, err := hex.DecodeString(string(b))
	*h = raw
	return err
}

type wireHeight uint64

func (h wireHeight) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(h), 10), nil
}

func (h *wireHeight) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 10, 64)
	*h = wireHeight(v)
	return err
}

// parseNamespace takes the namespaces that users may write to and read: version 0,
// 18 zero bytes, 10 free ones.
func parseNamespace(raw []byte) (namespace, error) {
	var ns namespace
	if len(raw) != len(ns) {
		return ns, fmt.Errorf("namespace has %d bytes, want %d", len(raw), len(ns))
	}
	for _, b := range raw[:19] {
		if b != 0 {
			return ns, errors.New("namespace is not of version 0: want 19 zero bytes, then 10 free ones")
		}
	}
	copy(ns[:], raw)
	return ns, nil
}
