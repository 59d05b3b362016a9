// Package remote asks the HTTP endpoint of a DA layer. In comes a request; out goes
// one whole answer of bounded size, or an error of package da. It is what adapters of
// remote layers share; what an answer means is theirs to say.
//
// What always holds: a request is sent at most once, so that a submission whose
// answer was lost is not stored twice by this package; redirects are not followed.
package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ordo-network/ordo/da"
)

// DefaultTimeout bounds a request beside its context.
const DefaultTimeout = 2 * time.Minute

// Options of an endpoint. Zero values stand for the defaults.
type Options struct {
	// Token is sent as "Authorization: Bearer <token>" where it is set.
	Token string
	// Timeout bounds each request, answer included; DefaultTimeout.
	Timeout time.Duration
	// Transport carries the requests; nil: one of its own, with timeouts.
	Transport http.RoundTripper
}

// Endpoint is an HTTP endpoint. Its methods are safe for concurrent use.
type Endpoint struct {
	url    string // without a slash at the end
	token  string
	http   http.Client
	lastID atomic.Uint64
}

// New returns the endpoint at an http or https URL. It does not connect yet.
func New(endpoint string, o Options) (*Endpoint, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("DA endpoint %q is not an http or https URL such as http://127.0.0.1:26658", endpoint)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			// Beyond these a burst of requests opens connections that end with it.
			MaxIdleConnsPerHost: 64, IdleConnTimeout: 60 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &Endpoint{
		url: strings.TrimRight(u.String(), "/"), token: o.Token,
		http: http.Client{
			Transport: o.Transport, Timeout: o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes idle connections.
func (e *Endpoint) Close() error {
	e.http.CloseIdleConnections()
	return nil
}

// Request is one request.
type Request struct {
	Method      string
	Path        string // behind the endpoint's URL, with its leading slash and its query
	ContentType string // of the body; empty: none is named
	Body        []byte
	MaxAnswer   int64 // bytes of the answer's body
}

// Answer is what came back, whatever its status.
type Answer struct {
	Status int
	Body   []byte
}

// Do makes the request. Its errors wrap da.ErrUnavailable: there is no whole answer,
// and the request may have been carried out.
func (e *Endpoint) Do(ctx context.Context, r Request) (Answer, error) {
	a, err := e.do(ctx, r)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", err, da.ErrUnavailable)
	}
	return a, nil
}

func (e *Endpoint) do(ctx context.Context, r Request) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, e.url+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return Answer{}, err
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+e.token)
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end, or is given up
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.MaxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: read answer: %w", r.Method, req.URL.Redacted(), err)
	}
	if int64(len(body)) > r.MaxAnswer {
		return Answer{}, fmt.Errorf("%s %s: the answer is over %d bytes", r.Method, req.URL.Redacted(), r.MaxAnswer)
	}
	return Answer{Status: resp.StatusCode, Body: body}, nil
}

// Err returns nil for a status of success, and otherwise an error with the status and the
// beginning of the body. It wraps da.ErrTooLarge for 413, da.ErrRejected for a wrong
// token, and da.ErrUnavailable for everything that the adapter must class itself.
func (a Answer) Err() error {
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	class := da.ErrUnavailable
	switch a.Status {
	case http.StatusRequestEntityTooLarge:
		class = da.ErrTooLarge
	case http.StatusUnauthorized, http.StatusForbidden:
		class = da.ErrRejected
	}
	return fmt.Errorf("%d %s: %s: %w", a.Status, http.StatusText(a.Status), Excerpt(a.Body), class)
}

// Excerpt returns the beginning of what a stranger sent, fit for a message.
func Excerpt(raw []byte) string {
	const limit = 256
	text := strings.ToValidUTF8(string(raw[:min(len(raw), limit)]), "")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(raw) > limit {
		text += "..."
	}
	return strings.TrimSpace(text)
}
