package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/ordo-network/ordo/da"
)

// maxAnswerBytes bounds an answer: what one height may hold, in base64.
const maxAnswerBytes = maxBlockBytes/3*4 + 4<<20

// ClientOptions of a client. Zero values stand for the defaults.
type ClientOptions struct {
	// Token is sent as "Authorization: Bearer <token>" where it is set.
	Token string
	// MaxBlobBytes is the limit of the layer behind the server.
	MaxBlobBytes int
	// Timeout bounds each request beside its context; 60 s by default.
	Timeout time.Duration
	// Transport carries the requests; the default keeps connections open.
	Transport http.RoundTripper
}

// Client is a da.Layer over a server's JSON-RPC API. Its methods may be called
// from many goroutines.
type Client struct {
	url     string
	token   string
	maxBlob int
	http    http.Client
	nextID  atomic.Uint64
}

// NewClient returns a client of the server at an http or https URL. It does not
// connect yet.
func NewClient(endpoint string, opts ClientOptions) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("DA endpoint %q is not an http or https URL such as http://127.0.0.1:26658", endpoint)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	if opts.MaxBlobBytes == 0 {
		opts.MaxBlobBytes = DefaultMaxBlobBytes
	}
	if opts.Timeout == 0 {
		opts.Timeout = 60 * time.Second
	}
	if opts.Transport == nil {
		opts.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 128, IdleConnTimeout: 90 * time.Second,
		}
	}
	return &Client{
		url: u.String(), token: opts.Token, maxBlob: opts.MaxBlobBytes,
		http: http.Client{Transport: opts.Transport, Timeout: opts.Timeout},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Name implements da.Layer.
func (c *Client) Name() string { return "local" }

// Limits implements da.Layer.
func (c *Client) Limits() da.Limits { return da.Limits{MaxBlobBytes: c.maxBlob} }

// Submit implements da.Layer.
func (c *Client) Submit(ctx context.Context, ns da.Namespace, blobs [][]byte) (uint64, error) {
	namespace := ns.V0()
	wire := make([]wireBlob, len(blobs))
	total := 0
	for i, data := range blobs {
		if len(data) == 0 {
			return 0, fmt.Errorf("blob %d is empty: %w", i, da.ErrRejected)
		}
		total += len(data)
		id := da.ID(data)
		wire[i] = wireBlob{Namespace: namespace[:], Data: data, Commitment: id[:], Index: -1}
	}
	if total > c.maxBlob {
		return 0, fmt.Errorf("%d bytes, at most %d: %w", total, c.maxBlob, da.ErrTooLarge)
	}
	var height uint64
	if err := c.call(ctx, "blob.Submit", &height, wire, struct{}{}); err != nil {
		return 0, err
	}
	if height == 0 {
		return 0, fmt.Errorf("blob.Submit: answered with height 0: %w", da.ErrUnavailable)
	}
	return height, nil
}

// Blobs implements da.Layer.
func (c *Client) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Blob, error) {
	namespace := ns.V0()
	var wire []wireBlob
	if err := c.call(ctx, "blob.GetAll", &wire, height, [][]byte{namespace[:]}); err != nil {
		return nil, err
	}
	var out []da.Blob
	for _, b := range wire {
		if !bytes.Equal(b.Namespace, namespace[:]) {
			return nil, fmt.Errorf("blob.GetAll: answered with namespace %x, want %x: %w", b.Namespace, namespace, da.ErrUnavailable)
		}
		out = append(out, da.Blob{Height: height, Data: b.Data})
	}
	return out, nil
}

// Head implements da.Layer.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	var h wireHeader
	if err := c.call(ctx, "header.LocalHead", &h); err != nil {
		return 0, err
	}
	return uint64(h.Header.Height), nil
}

// call makes one request. Its error wraps one of package da's.
func (c *Client) call(ctx context.Context, method string, result any, params ...any) error {
	body, err := c.encode(method, params)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", method, err, da.ErrRejected)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w: %w", method, err, da.ErrRejected)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", method, err, da.ErrUnavailable)
	}
	defer resp.Body.Close()
	if err := checkStatus(resp); err != nil {
		return fmt.Errorf("%s at %s: %w", method, c.url, err)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return fmt.Errorf("%s: read answer: %w: %w", method, err, da.ErrUnavailable)
	}
	if len(raw) > maxAnswerBytes {
		return fmt.Errorf("%s: answer is over %d bytes: %w", method, maxAnswerBytes, da.ErrUnavailable)
	}
	return decodeAnswer(method, raw, result)
}

func (c *Client) encode(method string, params []any) ([]byte, error) {
	req := rpcRequest{Version: "2.0", Method: method, Params: make([]json.RawMessage, len(params))}
	var err error
	if req.ID, err = json.Marshal(c.nextID.Add(1)); err != nil {
		return nil, err
	}
	for i, p := range params {
		if req.Params[i], err = json.Marshal(p); err != nil {
			return nil, err
		}
	}
	return json.Marshal(req)
}

// checkStatus maps what is not an answer in JSON-RPC.
func checkStatus(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 256)) // for the message alone
	err := fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	switch resp.StatusCode {
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", err, da.ErrTooLarge)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", err, da.ErrRejected)
	}
	return fmt.Errorf("%w: %w", err, da.ErrUnavailable)
}

// decodeAnswer reads a JSON-RPC answer; raw comes from the network.
func decodeAnswer(method string, raw []byte, result any) error {
	var resp rpcResponse
	if err := json.Unmarshal(raw, &resp); err != nil {
		return fmt.Errorf("%s: answer is not JSON-RPC: %w: %w", method, err, da.ErrUnavailable)
	}
	if resp.Error != nil {
		return fmt.Errorf("%s: %w: %w", method, resp.Error, resp.Error.sentinel())
	}
	if resp.Result == nil {
		return fmt.Errorf("%s: %w: %w", method, errors.New("answer has neither result nor error"), da.ErrUnavailable)
	}
	if err := json.Unmarshal(resp.Result, result); err != nil {
		return fmt.Errorf("%s: result: %w: %w", method, err, da.ErrUnavailable)
	}
	return nil
}
