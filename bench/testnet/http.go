package testnet

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// HTTPClient keeps connections, and counts what comes in over them where received
// is given. Answers are not compressed: the payload of a benchmark may not shrink.
func HTTPClient(received *atomic.Int64) *http.Client {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	return &http.Client{Transport: plain{&http.Transport{
		MaxIdleConnsPerHost: 1024, DisableCompression: true,
		WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err == nil && received != nil {
				conn = countedConn{conn, received}
			}
			return conn, err
		},
	}}}
}

// plain does not offer to take compressed answers.
type plain struct{ http.RoundTripper }

func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Del("Accept-Encoding")
	r.Header.Del("Connect-Accept-Encoding")
	return p.RoundTripper.RoundTrip(r)
}

type countedConn struct {
	net.Conn
	received *atomic.Int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}
