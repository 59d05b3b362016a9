// Package celestia is the data availability layer over a celestia-node's JSON-RPC
// API. In go blobs of rollups, out come what stands on Celestia under a rollup's
// namespace and proofs that it does.
//
// A rollup's namespace is da.Namespace.V0, or one that Options name. A Ref's
// commitment is the namespace (29 bytes) and Celestia's share commitment (32), so
// that a blob under another namespace than the rollup's readers look into is not taken
// for one that they find.
//
// What is verified: that the share commitment of a blob is that of its data; that
// its shares are under the row roots of the block, and that nothing of the namespace
// was left out or added (by namespaced Merkle proofs); that the row roots hash to the data hash
// in the block's header. That nothing stands there is proven in the same way.
//
// What is believed of the node: the header with its data hash, that its height is
// final, and, until somebody reads it back, the height at which it says that a submission
// landed. A light node verifies headers by Celestia's validator signatures and samples
// that the data is available: run one of your own, and nobody else is trusted.
//
// With Options.Unproven, only the commitment is verified, and what the node leaves out
// goes unnoticed: it is meant for package da/local, which has no proofs to give.
package celestia

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/celestiaorg/go-square/v3/share"
	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

const (
	// DefaultMaxTxBytes is what Celestia allows a transaction with its blobs.
	DefaultMaxTxBytes = 8 << 20
	// maxSubmitBlobs bounds the blobs of a transaction. Celestia takes thousands; this
	// many cost less than one percent of the largest transaction.
	maxSubmitBlobs = 512
	// txOverhead and blobOverhead are the most that a transaction takes beside the data:
	// signature, fee, names; and for each blob its namespace twice, its commitment
	// and four lengths.
	txOverhead, blobOverhead = 500, 110
	// minTxBytes leaves the largest submission's data more room than its overhead.
	minTxBytes = 128 << 10
	// answerMemory bounds the answers of the node that are read at once.
	answerMemory = 256 << 20
)

// Options of a client. Zero values stand for the defaults.
type Options struct {
	// Token is sent as "Authorization: Bearer <token>" where it is set: one that may
	// write for Submit, and read for the rest, as "celestia <type> auth write" prints.
	Token string
	// Namespaces of rollups that have one of their own, in Celestia's form: version
	// 0, 18 zero bytes, 10 that are free. All others have Namespace or, where that is
	// zero, da.Namespace.V0.
	Namespaces map[da.Namespace][29]byte
	Namespace  [29]byte
	// GasPrice in utia is offered for each unit of gas; 0: what the node estimates.
	GasPrice float64
	// MaxTxBytes is the network's limit of a transaction; DefaultMaxTxBytes by default.
	MaxTxBytes int
	// ChainID is Celestia's, such as "celestia" or "mocha-4". Where it is empty, any
	// is taken, and the first that was seen must stay.
	ChainID string
	// Unproven takes the node's word for what is on Celestia.
	Unproven bool
	// Timeout bounds each read beside its context; 60 s by default.
	Timeout time.Duration
	// SubmitTimeout bounds a Submit beside its context; 4 minutes by default, a minute
	// before the node gives up.
	SubmitTimeout time.Duration
	// Retries says how often a read is repeated whose request failed; 2 by default,
	// never if negative. A submission is never repeated.
	Retries int
	// Transport carries the requests; the default keeps connections open.
	Transport http.RoundTripper
	// Logger; slog.Default by default.
	Logger *slog.Logger
}

// Client is a da.Layer over a celestia-node. Its methods may be called from many
// goroutines.
type Client struct {
	node       *remote.Endpoint
	opts       Options
	limits     da.Limits
	namespaces map[da.Namespace]namespace
	log        *slog.Logger

	answers  *semaphore.Weighted // bytes of answers that are being read
	squares  squares
	holdings holdings
	chainID  atomic.Pointer[string] // what headers must name; nil until the first
	head     atomic.Uint64          // the highest seen
}

var _ da.Layer = (*Client)(nil)

// New returns a client of the node at an http or https URL. It does not connect yet.
func New(endpoint string, o Options) (*Client, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	node, err := remote.New(endpoint, remote.Options{
		Token: o.Token, Timeout: max(o.Timeout, o.SubmitTimeout), Transport: o.Transport,
	})
	if err != nil {
		return nil, err
	}
	namespaces := make(map[da.Namespace]namespace, len(o.Namespaces))
	for rollup, ns := range o.Namespaces {
		if err := checkNamespace(ns); err != nil {
			return nil, fmt.Errorf("celestia namespace %x of rollup %x: %w", ns, rollup[:8], err)
		}
		namespaces[rollup] = ns
	}
	if o.Namespace != (namespace{}) {
		if err := checkNamespace(o.Namespace); err != nil {
			return nil, fmt.Errorf("celestia namespace %x: %w", o.Namespace, err)
		}
	}
	data := o.MaxTxBytes - txOverhead - maxSubmitBlobs*blobOverhead
	c := &Client{
		node: node, opts: o, namespaces: namespaces, log: o.Logger,
		limits:  da.Limits{MaxBlobBytes: data, MaxSubmitBytes: data, MaxSubmitBlobs: maxSubmitBlobs},
		answers: semaphore.NewWeighted(answerMemory),
	}
	if o.ChainID != "" {
		c.chainID.Store(&o.ChainID)
	}
	return c, nil
}

func (o *Options) complete() error {
	if !(o.GasPrice >= 0) || math.IsInf(o.GasPrice, 0) {
		return fmt.Errorf("celestia gas price is %v, want 0 for the node's estimate, or utia for a unit of gas such as 0.004", o.GasPrice)
	}
	if o.MaxTxBytes == 0 {
		o.MaxTxBytes = DefaultMaxTxBytes
	}
	if o.MaxTxBytes < minTxBytes || o.MaxTxBytes > DefaultMaxTxBytes {
		return fmt.Errorf("celestia's limit of a transaction is %d bytes, want %d to %d", o.MaxTxBytes, minTxBytes, DefaultMaxTxBytes)
	}
	if o.Timeout == 0 {
		o.Timeout = 60 * time.Second
	}
	if o.SubmitTimeout == 0 {
		o.SubmitTimeout = 4 * time.Minute
	}
	if o.Retries == 0 {
		o.Retries = 2
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Close closes idle connections.
func (c *Client) Close() error { return c.node.Close() }

// Name implements da.Layer.
func (c *Client) Name() string { return "celestia" }

// Limits implements da.Layer.
func (c *Client) Limits() da.Limits { return c.limits }

// namespace is Celestia's: a version byte and 28 bytes of ID.
type namespace [share.NamespaceSize]byte

// of returns the namespace of a rollup.
func (c *Client) of(rollup da.Namespace) namespace {
	if ns, ok := c.namespaces[rollup]; ok {
		return ns
	}
	if c.opts.Namespace != (namespace{}) {
		return c.opts.Namespace
	}
	return rollup.V0()
}

// checkNamespace refuses those that no user may write to.
func checkNamespace(ns namespace) error {
	parsed, err := share.NewNamespaceFromBytes(ns[:])
	if err == nil {
		err = parsed.ValidateForBlob()
	}
	if err != nil {
		return fmt.Errorf("want version 0, 18 zero bytes and 10 that are free and do not begin with nine zeros: %w", err)
	}
	return nil
}
