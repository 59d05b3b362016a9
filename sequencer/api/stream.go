package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

const (
	// aheadBlocks is how many blocks a stream makes ahead of the one that it sends.
	aheadBlocks = 8
	// minRetry and maxRetry bound the wait between two tries to get a block's data.
	minRetry = 200 * time.Millisecond
	maxRetry = 5 * time.Second
	// warnAfter is how many tries fail before that is said aloud.
	warnAfter = 3
)

// SubscribeRollup implements SequencerServiceHandler.
func (s *Server) SubscribeRollup(ctx context.Context, req *connect.Request[v1.SubscribeRollupRequest], stream *connect.ServerStream[v1.SubscribeRollupResponse]) error {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	height := req.Msg.GetFromHeight()
	if height == 0 || height > math.MaxInt64 {
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("from_height is %d, want 1 or more", height))
	}
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	// The client learns at once that the stream stands, however long its first block takes.
	if err := stream.Send(nil); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	out := &rollupStream{
		s: s, stream: stream, cancel: cancel, client: clientOf(req.Peer().Addr), rollup: id, height: height,
		beat: time.NewTicker(s.opts.Limits.Heartbeat),
	}
	defer out.beat.Stop()
	coming := s.ahead(ctx, out.client, id, height)
	defer func() {
		cancel()
		for b := range coming {
			<-b.made
			b.release()
		}
	}()
	for {
		b, err := await(out, coming)
		if err == nil && b == nil {
			err = s.readError(ctx.Err())
		}
		if err == nil {
			err = out.send(ctx, b)
		}
		if err != nil {
			return err
		}
		s.metrics.sent.Inc()
	}
}

// rollupStream is a stream of blocks to one client.
type rollupStream struct {
	s          *Server
	stream     *connect.ServerStream[v1.SubscribeRollupResponse]
	cancel     context.CancelFunc
	client     netip.Prefix
	rollup     order.RollupID
	height     uint64 // that is sent next
	validators string // hash of the set that the client has
	beat       *time.Ticker
}

// send sends the next block once it is made, and releases it.
func (r *rollupStream) send(ctx context.Context, b *coming) error {
	defer func() {
		<-b.made
		b.release()
	}()
	if _, err := await(r, b.made); err != nil {
		return err
	}
	if b.err != nil {
		return r.s.readError(b.err)
	}
	proven := make(chan func(), 1)
	var err error
	go func() {
		var release func()
		release, err = insist(ctx, r.s, b.served, r.rollup, func() (func(), error) { return r.s.prove(ctx, r.client, b.served, b.unproven) })
		proven <- release
	}()
	release, gone := await(r, proven)
	if gone != nil {
		release = <-proven
	}
	if release != nil {
		defer release()
	}
	switch {
	case gone != nil:
		return gone
	case err != nil:
		return r.s.readError(err)
	}
	if b.served.validatorsHash != r.validators {
		b.block.Validators, r.validators = b.served.validators, b.served.validatorsHash
	}
	r.height++
	return r.stream.Send(&v1.SubscribeRollupResponse{Block: b.block, LatestHeight: r.s.chain.latest()})
}

// alive tells a client that waits for a block which is there already that its data is on
// its way: a stream that is silent then is one that clients leave.
func (r *rollupStream) alive() error {
	latest := r.s.chain.latest()
	if latest < r.height {
		return nil
	}
	return r.stream.Send(&v1.SubscribeRollupResponse{LatestHeight: latest})
}

// await receives, and says that the stream is alive until there is something. An error
// says that the client is gone: what is under way for it ends.
func await[T any](r *rollupStream, from <-chan T) (T, error) {
	for {
		select {
		case v := <-from:
			return v, nil
		case <-r.beat.C:
			if err := r.alive(); err != nil {
				r.cancel()
				var none T
				return none, err
			}
		}
	}
}

// coming is a block on its way to a stream. Its fields may be read once made is closed.
type coming struct {
	*unproven
	served  *served
	err     error // ends the stream
	made    chan struct{}
	release func()
}

// ahead makes the blocks from the height on, a few at the same time, and hands them
// over in order. It ends with the context, or after a block with an error. Who reads
// it waits for each to be made, and releases it.
func (s *Server) ahead(ctx context.Context, client netip.Prefix, id order.RollupID, height uint64) <-chan *coming {
	out := make(chan *coming, aheadBlocks)
	go func() {
		defer close(out)
		for ; ; height++ {
			b := s.begin(ctx, client, id, height)
			select {
			case out <- b:
			case <-ctx.Done():
				<-b.made
				b.release()
				return
			}
			if b.served == nil {
				return // the error is the last that the stream says
			}
		}
	}()
	return out
}

// begin starts to make one block, as soon as the height is there and there is memory
// for its data.
func (s *Server) begin(ctx context.Context, client netip.Prefix, id order.RollupID, height uint64) *coming {
	b := &coming{made: make(chan struct{}), release: func() {}}
	fail := func(err error) *coming {
		b.served, b.err = nil, err
		close(b.made)
		return b
	}
	if err := s.chain.head.wait(ctx, height); err != nil {
		return fail(err)
	}
	var err error
	if b.served, err = s.chain.at(ctx, height); err != nil {
		return fail(err)
	}
	records, _ := b.served.order.Rollup(id)
	if len(records) == 0 {
		b.unproven = new(unproven)
		b.block, _ = b.served.rollup(id)
		close(b.made)
		return b
	}
	if b.release, err = s.budget.take(ctx, client, dataBytes(records)); err != nil {
		b.release = func() {}
		return fail(err)
	}
	go func() {
		defer close(b.made)
		b.unproven, b.err = insist(ctx, s, b.served, id, func() (*unproven, error) { return s.chain.rollupBlock(ctx, b.served, id) })
	}()
	return b
}

// insist makes a part of a block however many tries its data takes: a stream waits
// rather than leave anything out.
func insist[T any](ctx context.Context, s *Server, at *served, id order.RollupID, part func() (T, error)) (T, error) {
	wait := minRetry
	for try := 1; ; try++ {
		out, err := part()
		if !errors.Is(err, errNoData) {
			return out, err
		}
		if try == warnAfter {
			s.log.Warn("a stream waits for data that cannot be had now", "rollup", id, "height", at.height, "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return out, ctx.Err()
		case <-timer.C:
		}
		wait = min(2*wait, maxRetry)
	}
}

// dataBytes is what the legs' data takes on its way to a client: as a message, and
// encoded.
func dataBytes(records []order.LegRecord) int64 {
	n := int64(0)
	for _, r := range records {
		n += 2 * int64(r.Length)
	}
	return n
}
