// Package shares fetches shares of batches from the APIs of the validators that hold
// them. A node that takes no part in dispersal reads batches this way.
//
// In come the URLs that validators registered and which batch is wanted; out come
// shares, unverified: whoever rebuilds the batch checks them against its erasure root.
// URLs and answers are anybody's: calls are bounded in bytes, follow no redirection, and
// last as long as their context.
package shares

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// maxResponseBytes is a share with its envelope.
const maxResponseBytes = shard.MaxShareBytes + 64

// Client is a dispersal.ShareSource over validators' APIs. It may be used by many
// goroutines.
type Client struct {
	api  func(order.Owner) string
	http *http.Client
}

var _ dispersal.ShareSource = (*Client)(nil)

// New returns a client, which opens no connection before it is used. The function
// returns the URL that a validator has registered, for example http://10.0.0.7:26680,
// and nothing for one that has not; it must not block.
func New(api func(order.Owner) string) *Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &Client{api, &http.Client{
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

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Share implements dispersal.ShareSource.
func (c *Client) Share(ctx context.Context, holder order.Owner, core order.BatchCore) ([]byte, func(), error) {
	api := c.api(holder)
	if api == "" {
		return nil, nil, fmt.Errorf("validator %s has registered no API: %w", holder, dispersal.ErrNoShare)
	}
	if u, err := url.Parse(api); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, nil, fmt.Errorf("validator %s has registered %q, which is no URL like http://10.0.0.7:26680", holder, api)
	}
	id := core.ID()
	client := sequencerv1connect.NewSequencerServiceClient(c.http, api, connect.WithReadMaxBytes(maxResponseBytes))
	resp, err := client.GetShare(ctx, connect.NewRequest(&v1.GetShareRequest{
		Owner: core.Owner[:], Session: core.Session, Sequence: core.Sequence, Epoch: core.Epoch, BatchId: id[:],
	}))
	switch {
	case connect.CodeOf(err) == connect.CodeNotFound:
		return nil, nil, fmt.Errorf("validator %s at %s: %w", holder, api, dispersal.ErrNoShare)
	case err != nil:
		return nil, nil, fmt.Errorf("ask validator %s at %s: %w", holder, api, err)
	}
	return resp.Msg.GetShare(), nil, nil
}
