// Package shares fetches shares of batches from the APIs of the validators that hold
// them. A node that takes no part in dispersal reads batches this way.
//
// In come the URL that a validator registered and which batch is wanted; out comes a
// share, well-formed and otherwise unverified: whoever rebuilds checks it against the
// erasure root. URLs and answers are anybody's: calls are bounded in bytes, follow no
// redirection, and last as long as their context.
package shares

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// ErrNone is returned where the validator answers that it has no share of the batch.
var ErrNone = errors.New("validator holds no share of the batch")

// maxResponseBytes is a share with its envelope.
const maxResponseBytes = shard.MaxShareBytes + 64

// Client fetches shares. It may be used by many goroutines.
type Client struct{ http *http.Client }

// New returns a client, which opens no connection before it is used.
func New() *Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Client{&http.Client{
		Transport: &http.Transport{
			Protocols:              protocols,
			DialContext:            (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS13},
			TLSHandshakeTimeout:    2 * time.Second,
			IdleConnTimeout:        time.Minute,
			MaxIdleConns:           2 * order.MaxMembers,
			MaxResponseHeaderBytes: 16 << 10,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Share asks the validator whose API is at the URL, for example http://10.0.0.7:26680,
// for its share of a batch. Errors: ErrNone; any other: no answer, or none of use.
func (c *Client) Share(ctx context.Context, api string, position order.Position, epoch uint64, id order.BatchID) (*shard.Share, error) {
	if u, err := url.Parse(api); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL like http://10.0.0.7:26680", api)
	}
	client := sequencerv1connect.NewSequencerServiceClient(c.http, api, connect.WithReadMaxBytes(maxResponseBytes))
	resp, err := client.GetShare(ctx, connect.NewRequest(&v1.GetShareRequest{
		Owner: position.Owner[:], Session: position.Session, Sequence: position.Sequence, Epoch: epoch, BatchId: id[:],
	}))
	switch {
	case connect.CodeOf(err) == connect.CodeNotFound:
		return nil, fmt.Errorf("%s: %w", api, ErrNone)
	case err != nil:
		return nil, fmt.Errorf("ask %s for its share of batch %s: %w", api, position, err)
	}
	share, err := shard.DecodeShare(resp.Msg.GetShare())
	if err != nil {
		return nil, fmt.Errorf("share of batch %s from %s: %w", position, api, err)
	}
	return share, nil
}
