package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/ordo-network/ordo/da"
)

// RPCError is an error that the endpoint answered with: the request arrived and was
// not carried out as asked. Package da's error for it is the adapter's to choose.
type RPCError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Error implements error.
func (e *RPCError) Error() string {
	return fmt.Sprintf("%s (code %d)", Excerpt([]byte(e.Message)), e.Code)
}

// Call makes one JSON-RPC 2.0 request with positional params and decodes its result.
// Its errors are *RPCError, or wrap one of package da: da.ErrUnavailable where there is no
// whole answer that makes sense, and else what Answer.Err says.
func (e *Endpoint) Call(ctx context.Context, method string, maxAnswer int64, result any, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      uint64 `json:"id"`
		Method  string `json:"method"`
		Params  []any  `json:"params"`
	}{"2.0", e.lastID.Add(1), method, params})
	if err != nil {
		return fmt.Errorf("%s: %w: %w", method, err, da.ErrRejected)
	}
	answer, err := e.Do(ctx, Request{
		Method: http.MethodPost, Path: "/", ContentType: "application/json", Body: body, MaxAnswer: maxAnswer,
	})
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if err := decodeAnswer(answer, result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// decodeAnswer reads a JSON-RPC answer. Servers answer errors with statuses of their
// own, so a body that is one counts more than its status.
func decodeAnswer(a Answer, result any) error {
	var resp struct {
		Result json.RawMessage `json:"result"`
		Error  *RPCError       `json:"error"`
	}
	err := json.Unmarshal(a.Body, &resp)
	if err == nil && resp.Error != nil {
		return resp.Error
	}
	if err := a.Err(); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("the answer is not JSON-RPC: %w: %w", err, da.ErrUnavailable)
	}
	if resp.Result == nil { // null is a result
		return fmt.Errorf("the answer has neither result nor error: %w", da.ErrUnavailable)
	}
	if err := json.Unmarshal(resp.Result, result); err != nil {
		return fmt.Errorf("result: %w: %w", err, da.ErrUnavailable)
	}
	return nil
}
