package ordorpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
)

// withheld is how methods of the namespace eth begin that are not passed on, whatever the operator says:
// what they hand to the client would get past the order, is signed with the client's keys,
// or is told on a connection that the door does not have.
var withheld = []string{"eth_send", "eth_sign", "eth_submit", "eth_cancel", "eth_resend", "eth_accounts", "eth_subscribe", "eth_unsubscribe"}

// neverPassed reports whether a method is one of those: by how it begins, for clients give
// such methods more names than can be listed.
func neverPassed(method string) bool {
	return slices.ContainsFunc(withheld, func(begin string) bool { return strings.HasPrefix(method, begin) })
}

// passer answers calls by the rollup's client.
type passer struct {
	client     *rpc.Client
	own        *rpc.Client // of the door itself, for batches with calls of both
	namespaces []string
	methods    []string // answered by the door
	count      func(err error)
}

const (
	// maxPassed bounds the connections to the client for what is passed on, and maxAsked those
	// for what the door asks by itself, which nobody can hold up by what he has passed on.
	maxPassed = 256
	maxAsked  = 64
)

// dialClient returns the client's JSON-RPC, which need not be there before it is called, over
// so many connections at most.
func dialClient(ctx context.Context, url string, most int) (*rpc.Client, error) {
	if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return nil, fmt.Errorf("client_rpc is %q: want the URL of the client's JSON-RPC over HTTP, such as http://127.0.0.1:8545", url)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: most, MaxIdleConnsPerHost: most, IdleConnTimeout: idleTimeout}
	c, err := rpc.DialOptions(ctx, url, rpc.WithHTTPClient(&http.Client{Timeout: writeTimeout, Transport: boundedAnswers{transport}}))
	if err != nil {
		return nil, fmt.Errorf("client_rpc, %s: %w", url, err)
	}
	return c, nil
}

// boundedAnswers breaks off answers of the rollup's client that are longer than those of
// the door may be.
type boundedAnswers struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, MaxBatchResponse}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, errTooLong{}
	}
	return n, err
}

// errTooLong is returned for an answer of the client's that is not passed on.
type errTooLong struct{}

func (errTooLong) Error() string {
	return fmt.Sprintf("the answer is longer than %d MiB: ask for less at once", MaxBatchResponse>>20)
}

// ErrorCode implements rpc.Error: what geth says of a batch whose answer is too long.
func (errTooLong) ErrorCode() int { return -32003 }

// passes reports whether a method is the client's to answer.
func (p *passer) passes(method string) bool {
	namespace, _, ok := strings.Cut(method, "_")
	return ok && slices.Contains(p.namespaces, namespace) && !neverPassed(method) && !slices.Contains(p.methods, method)
}

// call is one JSON-RPC request.
type call struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// answer is one JSON-RPC response.
type answer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *problem        `json:"error,omitempty"`
}

type problem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// parse reads a message; ours says that it is the door's own server's to answer, who
// also says what is wrong with one that does not parse.
func (p *passer) parse(raw []byte) (calls []call, batch, ours bool) {
	raw = bytes.TrimSpace(raw)
	if batch = len(raw) > 0 && raw[0] == '['; batch {
		if json.Unmarshal(raw, &calls) != nil {
			return nil, true, true
		}
	} else {
		calls = make([]call, 1)
		if json.Unmarshal(raw, &calls[0]) != nil {
			return nil, false, true
		}
	}
	foreign := slices.ContainsFunc(calls, func(c call) bool { return p.passes(c.Method) })
	return calls, batch, !foreign || len(calls) > MaxBatch
}

// answer answers a message with at least one call for the client; nil where nothing is
// to be said.
func (p *passer) answer(ctx context.Context, calls []call, batch bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout-time.Second)
	defer cancel()
	// Each server answers its part of a batch at once.
	elems := make([]rpc.BatchElem, len(calls))
	parts := make(map[*rpc.Client][]int)
	for i, c := range calls {
		args, err := arguments(c.Params)
		if at := len(args) - 1; c.Method == "eth_getProof" && at > 0 && string(args[at].(json.RawMessage)) == `"pending"` {
			args[at] = "latest" // a client keeps no proofs of what is not a block yet
		}
		if strings.HasSuffix(c.Method, "_subscribe") {
			// It would be told to the door itself, which does not listen and never ends it.
			err = errSubscribeAlone{}
		}
		elems[i] = rpc.BatchElem{Method: c.Method, Args: args, Result: new(json.RawMessage), Error: err}
		to := p.own
		if p.passes(c.Method) {
			to = p.client
		}
		if err == nil {
			parts[to] = append(parts[to], i)
		}
	}
	for to, indices := range parts {
		part := make([]rpc.BatchElem, len(indices))
		for i, k := range indices {
			part[i] = elems[k]
		}
		var err error
		if batch {
			err = to.BatchCallContext(ctx, part)
		} else {
			part[0].Error = to.CallContext(ctx, part[0].Result, part[0].Method, part[0].Args...)
		}
		if to == p.client {
			p.count(errors.Join(err, unreachable(part)))
		}
		for i, k := range indices {
			if elems[k] = part[i]; err != nil {
				elems[k].Error = err
			}
		}
	}
	answers := make([]answer, 0, len(calls))
	for i, c := range calls {
		if len(c.ID) > 0 { // else a notification
			answers = append(answers, c.answered(elems[i]))
		}
	}
	switch {
	case len(answers) == 0:
		return nil, nil
	case !batch:
		return json.Marshal(answers[0])
	}
	return json.Marshal(answers)
}

// errSubscribeAlone is returned for a subscription in a batch of which the client
// answers a part.
type errSubscribeAlone struct{}

func (errSubscribeAlone) Error() string {
	return "subscribe over WebSocket, in a message without calls for the rollup's client"
}

func (errSubscribeAlone) ErrorCode() int { return -32001 }

// arguments splits positional parameters.
func arguments(params json.RawMessage) ([]any, error) {
	if len(params) == 0 || string(params) == "null" {
		return nil, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(params, &list); err != nil {
		return nil, invalidParams{"parameters must be a list"}
	}
	args := make([]any, len(list))
	for i, p := range list {
		args[i] = p
	}
	return args, nil
}

func (c call) answered(e rpc.BatchElem) answer {
	a := answer{Version: "2.0", ID: c.ID}
	if e.Error == nil {
		if a.Result = *e.Result.(*json.RawMessage); len(a.Result) == 0 {
			a.Result = json.RawMessage("null")
		}
		return a
	}
	var coded rpc.Error
	var data rpc.DataError
	a.Error = &problem{Code: -32603, Message: "the rollup's client does not answer: try again, or tell the operator"}
	if errors.As(e.Error, &coded) {
		a.Error.Code, a.Error.Message = coded.ErrorCode(), coded.Error()
	}
	if errors.As(e.Error, &data) {
		a.Error.Data = data.ErrorData()
	}
	return a
}

// unreachable returns the error of a call that the client did not answer.
func unreachable(elems []rpc.BatchElem) error {
	for _, e := range elems {
		var coded rpc.Error
		if e.Error != nil && !errors.As(e.Error, &coded) {
			return e.Error
		}
	}
	return nil
}
