package local

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/celestiaorg/go-square/v3/share"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// The shapes of celestia-node's JSON-RPC API. Byte strings are standard base64,
// hashes in headers are upper-case hex, and heights are numbers but for those in headers,
// which are strings as in CometBFT's JSON. Errors have the real node's codes and words, and
// beside them, as data, the name of one of package da's.
//
// What differs from a real node: there is no data square, so there are no proofs, a
// blob's index is its place in the block and not that of its first share, and a header
// holds what this layer has, without validators; a height above the head fails at once,
// but for header.WaitForHeight.

type rpcRequest struct {
	Version string                       `json:"jsonrpc"`
	ID      json.RawMessage              `json:"id,omitempty"`
	Method  string                       `json:"method"`
	Params  remote.List[json.RawMessage] `json:"params"`
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
	Data    string `json:"data,omitempty"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// status is the HTTP status that goes with the error.
func (e *rpcError) status() int {
	if e.Code == codeApplication {
		return http.StatusOK
	}
	return http.StatusInternalServerError
}

// Codes of JSON-RPC 2.0, and the one that celestia-node has for everything else.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeNoMethod       = -32601
	codeInvalidParams  = -32602
	codeApplication    = 1
)

// kinds are the names of package da's errors.
var kinds = []struct {
	name string
	err  error
}{
	{"not_found", da.ErrNotFound}, {"not_yet", da.ErrNotYet}, {"too_large", da.ErrTooLarge},
	{"rejected", da.ErrRejected}, {"unavailable", da.ErrUnavailable},
}

// wireError gives an error its form. Where celestia-node has words of its own for it, they
// come first.
func wireError(err error) *rpcError {
	var e *rpcError
	if errors.As(err, &e) {
		return e
	}
	e = &rpcError{Code: codeApplication, Message: err.Error(), Data: "unavailable"}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			e.Data = k.name
			break
		}
	}
	var future *futureError
	var pruned *prunedError
	switch {
	case errors.As(err, &future):
		e.Message = fmt.Sprintf("header: given height is from the future: networkHeight: %d, requestedHeight: %d", future.head, future.height)
	case errors.As(err, &pruned):
		e.Message = fmt.Sprintf("requested header (%d) is below Tail (%d)", pruned.height, pruned.kept)
	case errors.Is(err, errNoHeader):
		e.Message = "header: not found"
	case e.Data == "not_found":
		e.Message = "blob: not found"
	}
	return e
}

// classError gives the error of package da back. What has no name says nothing about what
// was stored: da.ErrUnavailable; but for the codes that say that nothing was even tried.
func classError(err error) error {
	var rpc *remote.RPCError
	if !errors.As(err, &rpc) {
		return err // classed already
	}
	var name string
	if json.Unmarshal(rpc.Data, &name) == nil {
		for _, k := range kinds {
			if k.name == name {
				return fmt.Errorf("%w: %w", err, k.err)
			}
		}
	}
	switch rpc.Code {
	case codeParse, codeInvalidRequest, codeNoMethod, codeInvalidParams:
		return fmt.Errorf("%w: %w", err, da.ErrRejected)
	}
	return fmt.Errorf("%w: %w", err, da.ErrUnavailable)
}

// wireBlob is celestia-node's blob.Blob.
type wireBlob struct {
	Namespace    []byte `json:"namespace"`
	Data         []byte `json:"data"`
	ShareVersion uint32 `json:"share_version"`
	Commitment   []byte `json:"commitment,omitempty"`
	Index        int    `json:"index"`
}

// wireStored is what local.Submit answers with.
type wireStored struct {
	Height      uint64              `json:"height"`
	Commitments remote.List[[]byte] `json:"commitments"`
}

// wireHeader is celestia-node's header.ExtendedHeader, as far as this layer has it.
type wireHeader struct {
	Header struct {
		Version struct {
			Block string `json:"block"`
			App   string `json:"app"`
		} `json:"version"`
		ChainID     string      `json:"chain_id"`
		Height      wireHeight  `json:"height"`
		Time        time.Time   `json:"time"`
		LastBlockID wireBlockID `json:"last_block_id"`
		DataHash    wireHash    `json:"data_hash"`
	} `json:"header"`
	Commit struct {
		Height     wireHeight  `json:"height"`
		Round      int         `json:"round"`
		BlockID    wireBlockID `json:"block_id"`
		Signatures []struct{}  `json:"signatures"`
	} `json:"commit"`
	DAH struct {
		RowRoots    [][]byte `json:"row_roots"`
		ColumnRoots [][]byte `json:"column_roots"`
	} `json:"dah"`
}

type wireBlockID struct {
	Hash wireHash `json:"hash"`
}

// wireSync is celestia-node's sync.State.
type wireSync struct {
	ID         uint64    `json:"id"`
	Height     uint64    `json:"height"`
	FromHeight uint64    `json:"from_height"`
	ToHeight   uint64    `json:"to_height"`
	FromHash   wireHash  `json:"from_hash"`
	ToHash     wireHash  `json:"to_hash"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
}

// chainID is what headers name.
const chainID = "ordo-local-da"

func (h header) wire() wireHeader {
	var w wireHeader
	w.Header.Version.Block, w.Header.Version.App = "11", "0"
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

// parseNamespace takes the namespaces that users may write to and read, as celestia-node does.
func parseNamespace(raw []byte) (namespace, error) {
	var out namespace
	ns, err := share.NewNamespaceFromBytes(raw)
	if err != nil {
		return out, err
	}
	copy(out[:], raw)
	return out, ns.ValidateForBlob()
}
