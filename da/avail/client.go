package avail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const (
	// maxTransactionBytes is the most data that Avail takes in one transaction.
	maxTransactionBytes = 1 << 20
	// maxSubmitBlobs go in one transaction.
	maxSubmitBlobs = 1024
	// maxDataBytes bounds the answer with a block's data: the largest block that Avail's
	// rules allow, 1024 rows of 1024 cells of 31 bytes, in base64.
	maxDataBytes = 48 << 20
	// maxAnswerBytes bounds all other answers.
	maxAnswerBytes = 1 << 20

	defaultPoll    = 2 * time.Second
	defaultTimeout = 5 * time.Minute
	defaultSettle  = 10 * time.Minute
)

// Options of a client. Zero values stand for the defaults, but for AppID.
type Options struct {
	// AppID is the application that the light client runs with. Needed.
	AppID uint32
	// Token is sent as "Authorization: Bearer <token>" where it is set. The light client
	// asks for none, but a proxy in front of it may.
	Token string
	// Poll is how often the head is looked at by those who wait for it; 2 s by default.
	Poll time.Duration
	// Timeout bounds each request beside its context; 5 min by default, as the light
	// client answers a submission when it is in a block.
	Timeout time.Duration
	// Settle bounds how long Submit waits for blocks to be final; 10 min by default.
	Settle time.Duration
	// Transport carries the requests; the default keeps connections open.
	Transport http.RoundTripper
	Logger    *slog.Logger
}

// Client is a da.Layer.
type Client struct {
	endpoint *remote.Endpoint
	o        Options
	log      *slog.Logger
	turn     chan struct{} // holds a token while nobody hands in
	cache    cache
	verified atomic.Uint64 // the highest head seen

	mu      sync.Mutex
	genesis string // of the light client's network, once it was seen to fit
}

// New returns a client of the light client at an http or https URL. It does not
// connect yet.
func New(endpoint string, o Options) (*Client, error) {
	if o.AppID == 0 {
		return nil, errors.New("the avail app_id is missing: give the number of the application that the light client runs with, such as 42")
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Settle <= 0 {
		o.Settle = defaultSettle
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	e, err := remote.New(endpoint, remote.Options{Token: o.Token, Timeout: o.Timeout, Transport: o.Transport})
	if err != nil {
		return nil, fmt.Errorf("avail: %w", err)
	}
	c := &Client{endpoint: e, o: o, log: o.Logger.With("da_layer", "avail"), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c, nil
}

// Close closes idle connections.
func (c *Client) Close() error { return c.endpoint.Close() }

// Name implements da.Layer.
func (c *Client) Name() string { return "avail" }

// Limits implements da.Layer.
func (c *Client) Limits() da.Limits {
	const room = maxTransactionBytes - maxSubmitBlobs*blobHeaderBytes
	return da.Limits{MaxBlobBytes: room, MaxSubmitBytes: room, MaxSubmitBlobs: maxSubmitBlobs}
}

// Price implements da.Layer. The API tells no fees, so there is none to return.
func (c *Client) Price(context.Context) (da.Price, error) {
	return da.Price{}, fmt.Errorf("the API of the Avail light client tells no fees: %w", da.ErrUnavailable)
}

// Head implements da.Layer.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	s, err := c.status(ctx)
	if err != nil {
		return 0, err
	}
	return s.head(), nil
}

// WaitHead implements da.Layer by polling: the light client offers no long poll.
func (c *Client) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	tick := time.NewTicker(c.o.Poll)
	defer tick.Stop()
	for {
		head, err := c.Head(ctx)
		if err != nil || head > above {
			return head, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for a block above %d: %w: %w", above, ctx.Err(), da.ErrUnavailable)
		case <-tick.C:
		}
	}
}

// status asks the light client and checks that it is one that fits.
func (c *Client) status(ctx context.Context) (*statusAnswer, error) {
	var s statusAnswer
	if err := c.get(ctx, "/v2/status", maxAnswerBytes, &s); err != nil {
		return nil, fmt.Errorf("avail status: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.check(c.o.AppID, c.genesis); err != nil {
		return nil, fmt.Errorf("avail status: %w", err)
	}
	if c.genesis == "" {
		c.genesis = s.GenesisHash
		c.log.Info("avail light client found", "network", s.Network, "app_id", c.o.AppID, "height", s.head())
	}
	for head := s.head(); ; {
		seen := c.verified.Load()
		if head <= seen || c.verified.CompareAndSwap(seen, head) {
			return &s, nil
		}
	}
}

// known says whether the light client was seen to fit.
func (c *Client) known() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.genesis != ""
}

// answerError is an answer with a status of no success.
type answerError struct {
	code int
	err  error // wraps one of package da
}

func (e *answerError) Error() string { return e.err.Error() }

func (e *answerError) Unwrap() error { return e.err }

func (c *Client) get(ctx context.Context, path string, limit int64, answer any) error {
	return c.ask(ctx, remote.Request{Method: http.MethodGet, Path: path, MaxAnswer: limit}, answer)
}

// ask makes a request. Its error wraps one of package da, and is an *answerError where
// the light client answered and did not do as asked.
func (c *Client) ask(ctx context.Context, r remote.Request, answer any) error {
	a, err := c.endpoint.Do(ctx, r)
	if err != nil {
		return err
	}
	if err := a.Err(); err != nil {
		return &answerError{a.Status, err}
	}
	if err := json.Unmarshal(a.Body, answer); err != nil {
		return fmt.Errorf("decode the answer to %s: %w: %w", r.Path, err, da.ErrUnavailable)
	}
	return nil
}
