package celestia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/ordo-network/ordo/da"
)

const (
	// smallAnswer bounds an answer that holds at most a header. The largest square
	// has 2048 roots of 90 bytes; validators and their signatures come on top.
	smallAnswer = 4 << 20
	// firstBackoff is how long the first repetition of a read waits, about.
	firstBackoff = 200 * time.Millisecond
	// maxMessage bounds what is kept of the node's words.
	maxMessage = 512
)

// request is one of JSON-RPC 2.0.
type request struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

// answer is what comes back. A result that is absent or null is the zero value.
type answer[T any] struct {
	Result T         `json:"result"`
	Error  *rpcError `json:"error"`
}

// rpcError is an error of the node itself.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string {
	return fmt.Sprintf("%s (code %d)", truncate(e.Message), e.Code)
}

// lostError says that a request brought no answer of the node: what it asked for
// may have been done or not.
type lostError struct{ err error }

func (e *lostError) Error() string   { return e.err.Error() }
func (e *lostError) Unwrap() []error { return []error{e.err, da.ErrUnavailable} }

// read calls a method that changes nothing, again if the request failed. The
// answer may have limit bytes.
func read[T any](ctx context.Context, c *Client, limit int64, method string, params ...any) (T, error) {
	for attempt := 0; ; attempt++ {
		result, err := readOnce[T](ctx, c, limit, method, params)
		var lost *lostError
		if err == nil || attempt >= c.opts.Retries || !errors.As(err, &lost) || ctx.Err() != nil {
			return result, err
		}
		wait := firstBackoff << min(attempt, 5)
		wait = wait/2 + rand.N(wait)
		c.log.Debug("a request to celestia-node failed, trying again", "method", method, "error", err, "retry_in", wait.Round(time.Millisecond))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return result, err
		}
	}
}

func readOnce[T any](ctx context.Context, c *Client, limit int64, method string, params []any) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	result, err := call[T](ctx, c, limit, method, params)
	if err != nil {
		return result, fmt.Errorf("%s: %w", method, classRead(err))
	}
	return result, nil
}

// call makes one request. Its error is an *rpcError, a *lostError, or one of
// package da.
func call[T any](ctx context.Context, c *Client, limit int64, method string, params []any) (T, error) {
	var zero T
	body, err := json.Marshal(request{Version: "2.0", ID: 1, Method: method, Params: params})
	if err != nil {
		return zero, fmt.Errorf("encode request: %w: %w", err, da.ErrRejected)
	}
	weight := min(limit, answerMemory)
	if err := c.answers.Acquire(ctx, weight); err != nil {
		return zero, fmt.Errorf("wait for other answers: %w: %w", err, da.ErrUnavailable)
	}
	defer c.answers.Release(weight)
	raw, status, err := c.post(ctx, body, limit)
	if err != nil {
		return zero, err
	}
	var a answer[T]
	if err := json.Unmarshal(raw, &a); err != nil {
		if status != http.StatusOK {
			return zero, classStatus(status, raw)
		}
		return zero, &lostError{fmt.Errorf("answer is not of JSON-RPC: %w", err)}
	}
	switch {
	case a.Error != nil:
		return zero, a.Error
	case status != http.StatusOK:
		return zero, classStatus(status, raw)
	}
	return a.Result, nil
}

// post sends the body and returns the answer with its HTTP status.
func (c *Client) post(ctx context.Context, body []byte, limit int64) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", err, da.ErrRejected)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, &lostError{err}
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, 0, &lostError{fmt.Errorf("read answer: %w", err)}
	}
	if int64(len(raw)) > limit {
		// Asking again would bring as much: this is not lost, but refused.
		return nil, 0, fmt.Errorf("answer is over %d bytes: %w", limit, da.ErrUnavailable)
	}
	return raw, resp.StatusCode, nil
}

func truncate(s string) string {
	if len(s) > maxMessage {
		return s[:maxMessage] + "..."
	}
	return s
}
