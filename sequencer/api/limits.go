package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// Limits bound what the API does at the same time, and how long it waits for others.
type Limits struct {
	Connections int
	Streams     int // SubscribeRollup and SubscribeCertified
	ManyStreams int // SubscribeBlocks
	ManyRollups int // that all SubscribeBlocks name together
	Submits     int // SubmitBundle, from the first byte of the request on
	// Transactions bounds SubmitTransaction; each call waits for a block.
	Transactions int
	Shares       int // GetShare
	Reads        int // all other calls
	// ClientShare is the part of Streams, ManyStreams, ManyRollups, Submits, Shares and Reads that one client address
	// may use: 1/ClientShare.
	ClientShare int
	// ReadTimeout bounds the time in which a request must have arrived.
	ReadTimeout time.Duration
	// WriteTimeout bounds the time in which a reader must take what one write gives
	// it: a stream whose reader takes nothing for so long ends.
	WriteTimeout time.Duration
	// DataTimeout bounds how long a call waits for a block's data, but for streams, which
	// wait on. It is below what clients use to wait, so that they hear what is the matter.
	DataTimeout time.Duration
	// Heartbeat is how often a stream that waits for a block's data says that it does. It
	// is below the silence after which clients leave a stream.
	Heartbeat time.Duration
}

// DefaultLimits are for one node on an ordinary machine.
var DefaultLimits = Limits{
	Connections: 4096, Streams: 2048, ManyStreams: 256, ManyRollups: 32 * maxRollups, Submits: 256, Transactions: 256, Shares: 64, Reads: 128, ClientShare: 4,
	ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, DataTimeout: 8 * time.Second,
	Heartbeat: time.Second,
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct{ have, want *int }{
		{&l.Connections, &DefaultLimits.Connections}, {&l.Streams, &DefaultLimits.Streams},
		{&l.ManyStreams, &DefaultLimits.ManyStreams}, {&l.ManyRollups, &DefaultLimits.ManyRollups}, {&l.Transactions, &DefaultLimits.Transactions},
		{&l.Submits, &DefaultLimits.Submits}, {&l.Shares, &DefaultLimits.Shares},
		{&l.Reads, &DefaultLimits.Reads}, {&l.ClientShare, &DefaultLimits.ClientShare},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	if l.ReadTimeout <= 0 {
		l.ReadTimeout = DefaultLimits.ReadTimeout
	}
	if l.WriteTimeout <= 0 {
		l.WriteTimeout = DefaultLimits.WriteTimeout
	}
	if l.DataTimeout <= 0 {
		l.DataTimeout = DefaultLimits.DataTimeout
	}
	if l.Heartbeat <= 0 {
		l.Heartbeat = DefaultLimits.Heartbeat
	}
	return l
}

const (
	// smallRequestBytes bounds the requests that carry no bundle.
	smallRequestBytes = 4 << 10
	// manyRequestBytes bounds a request that names rollups, in JSON too.
	manyRequestBytes = maxRollups*48 + 4<<10
	// retryAfter is the hint for whom a limit refused.
	retryAfter = 200 * time.Millisecond
)

// class is a kind of call that has a limit of its own.
type class struct {
	name       string
	maxBytes   int64 // of a request
	limit      int
	clientMost int

	mu       sync.Mutex
	all      int
	byClient map[netip.Prefix]int // those with none are not in it
}

func newClass(name string, limit, share int, maxBytes int64) *class {
	return &class{
		name: name, maxBytes: maxBytes, limit: limit, clientMost: max(limit/share, 1),
		byClient: make(map[netip.Prefix]int),
	}
}

var (
	errBusy  = errors.New("as many calls of this kind are under way as this node allows")
	errShare = errors.New("as many calls of this kind are under way as this node allows from one address")
)

// enter counts a call, which may stand for several.
func (c *class) enter(client netip.Prefix, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.all+n > c.limit:
		return errBusy
	case c.byClient[client]+n > c.clientMost:
		return errShare
	}
	c.all += n
	c.byClient[client] += n
	return nil
}

func (c *class) leave(client netip.Prefix, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all -= n
	if c.byClient[client] -= n; c.byClient[client] == 0 {
		delete(c.byClient, client)
	}
}

// clientOf tells clients apart: by address, and where a client has addresses by
// the million, by the network that it has them from.
func clientOf(remote string) netip.Prefix {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 32
	ip := addr.Addr().Unmap()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits) // the length fits the kind of address
	return p
}

// admit bounds the calls that are under way. It stands before the request is
// read, so that requests that are refused take no memory.
func (s *Server) admit(next http.Handler) http.Handler {
	l := s.opts.Limits
	stream := newClass("stream", l.Streams, l.ClientShare, smallRequestBytes)
	many := newClass("many", l.ManyStreams, l.ClientShare, manyRequestBytes)
	submit := newClass("submit", l.Submits, l.ClientShare, maxRequestBytes)
	transact := newClass("transaction", l.Transactions, l.ClientShare, maxRequestBytes)
	share := newClass("share", l.Shares, l.ClientShare, smallRequestBytes)
	read := newClass("read", l.Reads, l.ClientShare, smallRequestBytes)
	rollups := newClass("rollups", max(l.Reads/4, 1), l.ClientShare, manyRequestBytes)
	errs := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := read
		switch r.URL.Path {
		case sequencerv1connect.SequencerServiceSubscribeRollupProcedure, sequencerv1connect.SequencerServiceSubscribeCertifiedProcedure:
			c = stream
		case sequencerv1connect.SequencerServiceSubscribeBlocksProcedure:
			c = many
		case sequencerv1connect.SequencerServiceGetAvailabilityProcedure:
			c = rollups
		case sequencerv1connect.SequencerServiceSubmitBundleProcedure:
			c = submit
		case sequencerv1connect.SequencerServiceSubmitTransactionProcedure:
			c = transact
		case sequencerv1connect.SequencerServiceGetShareProcedure:
			c = share
		}
		client := clientOf(r.RemoteAddr)
		if err := c.enter(client, 1); err != nil {
			s.metrics.refused.WithLabelValues(c.name).Inc()
			_ = errs.Write(w, r, retryable(err)) // the client is gone
			return
		}
		defer c.leave(client, 1)
		r.Body = http.MaxBytesReader(w, r.Body, c.maxBytes)
		next.ServeHTTP(w, r)
	})
}

// retryable is the error for what may well succeed a little later.
func retryable(cause error) *connect.Error {
	err := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w; try again in %v", cause, retryAfter))
	err.Meta().Set("Retry-After", "1") // whole seconds are all that HTTP has
	if d, derr := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); derr == nil {
		err.AddDetail(d)
	}
	return err
}
