package local

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const (
	// maxAnswerBytes bounds an answer: what one height may hold, in base64, with what
	// stands around it.
	maxAnswerBytes = maxBlockBytes/3*4 + maxBlockBlobs*256
	// maxSmallAnswer bounds one that holds no blobs.
	maxSmallAnswer = maxBlockBlobs*64 + 64<<10
	// pollPause lies between two requests for a new head.
	pollPause = time.Second
)

// ClientOptions of a client. Zero values stand for the defaults.
type ClientOptions struct {
	// Token is sent as "Authorization: Bearer <token>" where it is set.
	Token string
	// MaxBlobBytes and MaxSubmitBytes are those of the layer behind the server.
	MaxBlobBytes, MaxSubmitBytes int
	// Timeout bounds each request beside its context; remote.DefaultTimeout.
	Timeout time.Duration
	// Transport carries the requests; nil: one with timeouts.
	Transport http.RoundTripper
}

// Client is a da.Layer over a server's JSON-RPC API. Its methods may be called
// from many goroutines.
type Client struct {
	endpoint *remote.Endpoint
	limits   da.Limits
}

// NewClient returns a client of the server at an http or https URL. It does not
// connect yet.
func NewClient(endpoint string, opts ClientOptions) (*Client, error) {
	limits, err := limits(opts.MaxBlobBytes, opts.MaxSubmitBytes)
	if err != nil {
		return nil, err
	}
	e, err := remote.New(endpoint, remote.Options{Token: opts.Token, Timeout: opts.Timeout, Transport: opts.Transport})
	if err != nil {
		return nil, err
	}
	return &Client{e, limits}, nil
}

// Close closes idle connections.
func (c *Client) Close() error { return c.endpoint.Close() }

// Name implements da.Layer.
func (c *Client) Name() string { return "local" }

// Limits implements da.Layer.
func (c *Client) Limits() da.Limits { return c.limits }

// Price implements da.Layer: there is none.
func (c *Client) Price(context.Context) (da.Price, error) { return da.Price{}, nil }

// Submit implements da.Layer.
func (c *Client) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	if err := check(c.limits, len(blobs), func(i int) int { return len(blobs[i].Data) }); err != nil {
		return nil, err
	}
	wire := make([]wireBlob, len(blobs))
	for i, b := range blobs {
		ns := b.Namespace.V0()
		wire[i] = wireBlob{Namespace: ns[:], Data: b.Data}
	}
	var stored wireStored
	if err := c.call(ctx, "local.Submit", maxSmallAnswer, &stored, wire); err != nil {
		return nil, err
	}
	if stored.Height == 0 || len(stored.Commitments) != len(blobs) {
		return nil, fmt.Errorf("local.Submit: answered with height %d and %d commitments for %d blobs: %w",
			stored.Height, len(stored.Commitments), len(blobs), da.ErrUnavailable)
	}
	refs := make([]da.Ref, len(blobs))
	for i, commitment := range stored.Commitments {
		refs[i] = da.Ref{Height: stored.Height, Commitment: commitment}
		if len(commitment) > da.MaxCommitmentBytes {
			return nil, fmt.Errorf("local.Submit: answered with a commitment of %d bytes: %w", len(commitment), da.ErrUnavailable)
		}
	}
	return refs, nil
}

// Get implements da.Layer.
func (c *Client) Get(ctx context.Context, ns da.Namespace, ref da.Ref) ([]byte, error) {
	if len(ref.Commitment) == 0 {
		blobs, err := c.Blobs(ctx, ref.Height, ns)
		if err != nil {
			return nil, err
		}
		if len(blobs) == 0 {
			return nil, fmt.Errorf("nothing at height %d: %w", ref.Height, da.ErrNotFound)
		}
		return blobs[0].Data, nil
	}
	namespace := ns.V0()
	var b wireBlob
	if err := c.call(ctx, "blob.Get", maxAnswerBytes, &b, ref.Height, namespace[:], ref.Commitment); err != nil {
		return nil, err
	}
	if !bytes.Equal(b.Namespace, namespace[:]) || !bytes.Equal(b.Commitment, ref.Commitment) || len(b.Data) == 0 {
		return nil, fmt.Errorf("blob.Get: answered with another blob: %w", da.ErrUnavailable)
	}
	return b.Data, nil
}

// Blobs implements da.Layer.
func (c *Client) Blobs(ctx context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	namespace := ns.V0()
	var wire remote.List[wireBlob]
	if err := c.call(ctx, "blob.GetAll", maxAnswerBytes, &wire, height, [][]byte{namespace[:]}); err != nil {
		return nil, err
	}
	out := make([]da.Stored, len(wire))
	for i, b := range wire {
		if !bytes.Equal(b.Namespace, namespace[:]) || len(b.Commitment) > da.MaxCommitmentBytes {
			return nil, fmt.Errorf("blob.GetAll: answered with a blob of namespace %x, want %x, and a commitment of %d bytes: %w",
				b.Namespace, namespace, len(b.Commitment), da.ErrUnavailable)
		}
		if len(b.Data) == 0 {
			return nil, fmt.Errorf("blob.GetAll: answered with a blob without data: %w", da.ErrUnavailable)
		}
		out[i] = da.Stored{Ref: da.Ref{Height: height, Commitment: b.Commitment}, Data: b.Data}
	}
	return out, nil
}

// Head implements da.Layer.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	var h wireHeader
	if err := c.call(ctx, "header.LocalHead", maxSmallAnswer, &h); err != nil {
		return 0, err
	}
	if h.Header.ChainID == "" { // an empty answer is no empty layer
		return 0, fmt.Errorf("header.LocalHead: the answer is no header: %w", da.ErrUnavailable)
	}
	return uint64(h.Header.Height), nil
}

// WaitHead implements da.Layer.
func (c *Client) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	for {
		var head uint64
		err := c.call(ctx, "local.WaitHead", maxSmallAnswer, &head, above)
		if err != nil || head > above {
			return head, err
		}
		// The server had nothing for a while. One that does not wait must not keep us busy.
		select {
		case <-time.After(pollPause):
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for height %d: %w: %w", above+1, ctx.Err(), da.ErrUnavailable)
		}
	}
}

// call makes one request. Its error wraps one of package da's.
func (c *Client) call(ctx context.Context, method string, maxAnswer int64, result any, params ...any) error {
	return classError(c.endpoint.Call(ctx, method, maxAnswer, result, params...))
}
