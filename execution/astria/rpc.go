package astria

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2/executionv2connect"
)

// maxAnswerBytes bounds an answer: a few numbers and names, and why transactions were
// skipped.
const maxAnswerBytes = 16 << 20

// caller makes the calls, bounded in size and time, and counts them.
type caller struct {
	http    *http.Client
	client  executionv2connect.ExecutionServiceClient
	timeout time.Duration
	seconds *prometheus.HistogramVec
	reg     prometheus.Registerer
}

func newCaller(url string, timeout time.Duration, reg prometheus.Registerer) (*caller, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	// No HTTP/2 pings: gRPC servers take more than one in five minutes for an attack and
	// hang up. A dead machine is noticed by TCP, a stuck process by the timeout.
	c := &caller{timeout: timeout, reg: reg, http: &http.Client{Transport: &http.Transport{
		Protocols:           protocols,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		IdleConnTimeout:     5 * time.Minute,
	}}}
	c.client = executionv2connect.NewExecutionServiceClient(c.http, url, connect.WithGRPC(), connect.WithReadMaxBytes(maxAnswerBytes))
	c.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "ordo_astria_call_seconds",
		Help:    "How long calls of the execution service took, by method and gRPC status.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
	}, []string{"method", "code"})
	if reg != nil {
		if err := reg.Register(c.seconds); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return c, nil
}

func (c *caller) close() {
	c.http.CloseIdleConnections()
	if c.reg != nil {
		c.reg.Unregister(c.seconds)
	}
}

func (c *caller) create(ctx context.Context) (*executionv2.ExecutionSession, error) {
	return call(ctx, c, "CreateExecutionSession", c.client.CreateExecutionSession, &executionv2.CreateExecutionSessionRequest{})
}

func (c *caller) block(ctx context.Context, number uint64) (*executionv2.ExecutedBlockMetadata, error) {
	return call(ctx, c, "GetExecutedBlockMetadata", c.client.GetExecutedBlockMetadata, &executionv2.GetExecutedBlockMetadataRequest{
		Identifier: &executionv2.ExecutedBlockIdentifier{Identifier: &executionv2.ExecutedBlockIdentifier_Number{Number: number}},
	})
}

func (c *caller) execute(ctx context.Context, req *executionv2.ExecuteBlockRequest) (*executionv2.ExecuteBlockResponse, error) {
	return call(ctx, c, "ExecuteBlock", c.client.ExecuteBlock, req)
}

func (c *caller) commit(ctx context.Context, session string, state *executionv2.CommitmentState) (*executionv2.CommitmentState, error) {
	return call(ctx, c, "UpdateCommitmentState", c.client.UpdateCommitmentState, &executionv2.UpdateCommitmentStateRequest{
		SessionId: session, CommitmentState: state,
	})
}

func call[Q, A any](ctx context.Context, c *caller, method string, do func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), req *Q) (*A, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	start := time.Now()
	res, err := do(ctx, connect.NewRequest(req))
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	c.seconds.WithLabelValues(method, code).Observe(time.Since(start).Seconds())
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("no answer within %s: %w", c.timeout, err)
		}
		return nil, err
	}
	return res.Msg, nil
}
