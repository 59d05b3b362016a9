// Package jsonrpc calls JSON-RPC 2.0 methods over HTTP. In go a method and its
// parameters, out comes the decoded result or the server's error. Answers are
// bounded; nothing in them is believed here.
package jsonrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxResponseBytes is above the largest honest answer: a block's data for one
// rollup, in hex.
const maxResponseBytes = 64 << 20

// ErrNull is returned where the server answers with null: what was asked for is
// not there.
var ErrNull = errors.New("not found")

// Error is an error object of the server.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// Client calls one server.
type Client struct {
	URL  string
	HTTP *http.Client
}

// New returns a client with a time limit for each call.
func New(url string, timeout time.Duration) *Client {
	return &Client{URL: url, HTTP: &http.Client{Timeout: timeout}}
}

// Call calls a method and decodes its result. Errors: ErrNull, *Error.
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return fmt.Errorf("encode %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("call %s: %w", method, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBytes+1))
	if err != nil {
		return fmt.Errorf("call %s at %s: read the answer: %w", method, c.URL, err)
	}
	if len(raw) > maxResponseBytes {
		return fmt.Errorf("call %s at %s: the answer has more than %d bytes", method, c.URL, maxResponseBytes)
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  *Error          `json:"error"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("call %s at %s: HTTP status %s and no JSON-RPC answer", method, c.URL, resp.Status)
	}
	switch {
	case answer.Error != nil:
		return fmt.Errorf("call %s at %s: %w", method, c.URL, answer.Error)
	case len(answer.Result) == 0 || bytes.Equal(answer.Result, []byte("null")):
		return fmt.Errorf("call %s at %s: %w", method, c.URL, ErrNull)
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fmt.Errorf("call %s at %s: decode the result: %w", method, c.URL, err)
	}
	return nil
}

// Quantity is a number in the encoding of Ethereum's JSON-RPC: "0x1f".
type Quantity uint64

// UnmarshalText implements encoding.TextUnmarshaler.
func (q *Quantity) UnmarshalText(b []byte) error {
	digits, ok := strings.CutPrefix(string(b), "0x")
	if !ok {
		return fmt.Errorf("%q is not a quantity such as 0x1f", b)
	}
	v, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return fmt.Errorf("%q is not a quantity such as 0x1f", b)
	}
	*q = Quantity(v)
	return nil
}
