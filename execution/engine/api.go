package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says where a client's Engine API is.
type Config struct {
	URL    string   // http://host:port
	Secret [32]byte // see LoadSecret
	// Timeout of one request; by default 30 s. A client that takes longer for a block is
	// asked again.
	Timeout    time.Duration
	Logger     *slog.Logger          // default: slog.Default()
	Registerer prometheus.Registerer // default: none
	// Now gives the time that requests are stamped with; default: time.Now.
	Now func() time.Time
}

const (
	defaultTimeout = 30 * time.Second
	// maxAnswer bounds an answer: a block of EIP-7934's 10 MiB in hex, and what is around.
	maxAnswer = 32 << 20
	maxText   = 300 // of what a client says, in errors
)

// API is a client's Engine API. All its methods may be called again: the API is made so
// that a call which came through although its answer was lost does no harm.
type API struct {
	config  Config
	http    *http.Client
	metrics *metrics
}

// Dial returns the Engine API at the URL once it answers; until then it waits, which it
// logs, as long as ctx lasts. Errors: ErrSecret.
func Dial(ctx context.Context, c Config) (*API, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("the Engine API's URL is %q: it must be like http://127.0.0.1:8551", c.URL)
	}
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, err
	}
	a := &API{config: c, metrics: m, http: &http.Client{
		Timeout:       c.Timeout,
		Transport:     &http.Transport{MaxIdleConns: 2, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var version string
	err = a.until(ctx, func() (err error) {
		version, err = a.version(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	c.Logger.Info("execution client answers", "url", c.URL, "client", version)
	return a, nil
}

// close gives up idle connections.
func (a *API) close() { a.http.CloseIdleConnections() }

// call asks the client; answer is what the result is decoded into.
func (a *API) call(ctx context.Context, answer any, method string, params ...any) error {
	began := a.config.Now()
	err := a.ask(ctx, answer, method, params)
	a.metrics.asked(method, a.config.Now().Sub(began), err)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

type request struct {
	Version string `json:"jsonrpc"`
	ID      int    `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

type response struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

func (a *API) ask(ctx context.Context, answer any, method string, params []any) error {
	if params == nil {
		params = []any{}
	}
	raw, err := a.post(ctx, request{Version: "2.0", ID: 1, Method: method, Params: params})
	if err != nil {
		return err
	}
	var r response
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return r.result(answer)
}

// result decodes the result, or the error that came in its place.
func (r response) result(answer any) error {
	if r.Error != nil {
		return &refusal{code: r.Error.Code, message: short(r.Error.Message), detail: detail(r.Error.Data)}
	}
	if err := json.Unmarshal(r.Result, answer); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return nil
}

// post sends a body and returns the answer's.
func (a *API) post(ctx context.Context, body any) ([]byte, error) {
	out, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.config.URL, bytes.NewReader(out))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token(a.config.Secret, a.config.Now()))
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unreachable(ctx, err)
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w: %s: give the file that the client has as its --authrpc.jwtsecret, and see that both clocks agree",
			ErrSecret, short(string(raw)))
	case resp.StatusCode >= 500:
		return nil, fmt.Errorf("%w: HTTP %d: %s", ErrUnreachable, resp.StatusCode, short(string(raw)))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: HTTP %d: %s: is this the Engine API's URL?", ErrAnswer, resp.StatusCode, short(string(raw)))
	case len(raw) > maxAnswer:
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrAnswer, maxAnswer)
	}
	return raw, nil
}

// unreachable is the error of a request that was not answered, unless we gave it up.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error // says method and URL, which the log says better
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// detail is what clients put beside an error's message: a text, or an object with one.
func detail(data json.RawMessage) string {
	var object struct {
		Err string `json:"err"`
	}
	var text string
	if json.Unmarshal(data, &object) == nil && object.Err != "" {
		return short(object.Err)
	}
	if json.Unmarshal(data, &text) == nil {
		return short(text)
	}
	return ""
}

func short(text string) string { return text[:min(len(text), maxText)] }
