package eigenda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const (
	// DefaultMaxBlobBytes is EigenDA's limit of an encoded blob, and no setting is above it.
	DefaultMaxBlobBytes = 16 << 20
	// DefaultPutTimeout is a little more than what the proxy itself grants EigenDA to
	// confirm a blob.
	DefaultPutTimeout = 20 * time.Minute
	// DefaultGetTimeout leaves the proxy time to ask EigenDA's validators after its relays.
	DefaultGetTimeout = 3 * time.Minute
	// DefaultPatience is how long a certificate is asked for that the proxy refuses.
	DefaultPatience = time.Minute

	maxSubmitBytes = 128 << 20
	maxSubmitBlobs = 128
	// parallel bounds the requests of each kind that are under way.
	parallel = 4
	// maxHeightBytes is what one call of Blobs holds in memory, and as much more as comes
	// at once. It is twice what one Submit holds.
	maxHeightBytes = 2 * maxSubmitBytes
)

// Options of a client. Zero values stand for the defaults, but the Index must be given.
type Options struct {
	// Index records certificates and finds them.
	Index Index
	// Token is sent as "Authorization: Bearer <token>" where it is set. The proxy asks for
	// none; what stands before it may.
	Token string
	// MaxBlobBytes is the proxy's limit of an encoded blob (its max-blob-length):
	// DefaultMaxBlobBytes.
	MaxBlobBytes int
	// PricePerMB is what the operator's contract with EigenDA says, in ETH; the proxy
	// does not tell.
	PricePerMB float64
	// PutTimeout and GetTimeout bound a request of each kind: DefaultPutTimeout and
	// DefaultGetTimeout.
	PutTimeout, GetTimeout time.Duration
	// Patience is DefaultPatience by default, see verdicts.
	Patience time.Duration
	// Transport carries the requests; nil: one with timeouts.
	Transport http.RoundTripper
	// Logger is told what was left out; nil: nobody is.
	Logger *slog.Logger
	// Registerer takes the metrics; nil: nobody does.
	Registerer prometheus.Registerer
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Client is the layer. It implements da.Layer.
type Client struct {
	proxy    *remote.Endpoint
	index    Index
	log      *slog.Logger
	maxBlob  int // of data, not encoded
	price    float64
	putLimit time.Duration
	getLimit time.Duration

	puts, gets chan struct{} // hold one token for each request under way
	unrecorded *unrecorded
	windows    *windows
	verdicts   *verdicts
	cache      *cache
	metrics    *metrics
}

var _ da.Layer = (*Client)(nil)

// New returns the layer behind the eigenda-proxy at an http or https URL. It does not
// connect yet.
func New(endpoint string, o Options) (*Client, error) {
	if o.Index == nil {
		return nil, errors.New("eigenda: certificates need an index that records them")
	}
	if o.MaxBlobBytes == 0 {
		o.MaxBlobBytes = DefaultMaxBlobBytes
	}
	maxBlob := maxDataBytes(o.MaxBlobBytes)
	if maxBlob <= 0 || o.MaxBlobBytes > DefaultMaxBlobBytes {
		return nil, fmt.Errorf("eigenda: at most %d bytes in an encoded blob: want 64 to %d", o.MaxBlobBytes, DefaultMaxBlobBytes)
	}
	setDefault(&o.PutTimeout, DefaultPutTimeout)
	setDefault(&o.GetTimeout, DefaultGetTimeout)
	setDefault(&o.Patience, DefaultPatience)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	proxy, err := remote.New(endpoint, remote.Options{Token: o.Token, Timeout: max(o.PutTimeout, o.GetTimeout), Transport: o.Transport})
	if err != nil {
		return nil, fmt.Errorf("eigenda: %w", err)
	}
	metrics, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("eigenda: %w", err)
	}
	return &Client{
		proxy: proxy, index: o.Index, log: o.Logger, maxBlob: maxBlob, price: o.PricePerMB,
		putLimit: o.PutTimeout, getLimit: o.GetTimeout,
		puts: make(chan struct{}, parallel), gets: make(chan struct{}, parallel),
		unrecorded: newUnrecorded(o.Now), windows: newWindows(), verdicts: newVerdicts(o.Patience, o.Now),
		cache: newCache(), metrics: metrics,
	}, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// maxDataBytes returns how much data an encoded blob holds: the proxy makes 31 bytes
// one field element of 32, puts one element before them, and fills up with zeros to a
// power of two.
func maxDataBytes(encoded int) int {
	if encoded < 64 {
		return 0
	}
	elements := 1 << (bits.Len(uint(encoded)/32) - 1)
	return (elements - 1) * 31
}

// Close closes idle connections.
func (c *Client) Close() error { return c.proxy.Close() }

// Name implements da.Layer.
func (c *Client) Name() string { return "eigenda" }

// Limits implements da.Layer.
func (c *Client) Limits() da.Limits {
	return da.Limits{MaxBlobBytes: c.maxBlob, MaxSubmitBytes: maxSubmitBytes, MaxSubmitBlobs: maxSubmitBlobs}
}

// Price implements da.Layer: what the operator set.
func (c *Client) Price(context.Context) (da.Price, error) {
	return da.Price{PerMB: c.price, Unit: "ETH"}, nil
}

// Head implements da.Layer: it is the sequencer chain's.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	height, err := c.index.Head(ctx)
	if err != nil {
		return 0, classed("ask for the sequencer chain's head", err)
	}
	return height, nil
}

// WaitHead implements da.Layer.
func (c *Client) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	height, err := c.index.WaitHead(ctx, above)
	if err != nil {
		return 0, classed("wait for the sequencer chain's head", err)
	}
	return height, nil
}

// classed makes sure that an error of the index is one of package da.
func classed(action string, err error) error {
	for _, known := range []error{da.ErrUnavailable, da.ErrRejected, da.ErrTooLarge, da.ErrNotYet, da.ErrNotFound} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", action, err)
		}
	}
	return fmt.Errorf("%s: %w: %w", action, err, da.ErrUnavailable)
}

// enter waits for one of the places of a kind of requests.
func enter(ctx context.Context, places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ctx.Err(), da.ErrUnavailable)
	}
}
