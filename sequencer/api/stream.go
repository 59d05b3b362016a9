package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

const (
	// aheadBlocks is how many blocks a stream makes ahead of the one that it sends, and
	// aheadParts how many parts those have: a stream of many rollups makes fewer blocks.
	aheadBlocks = 8
	aheadParts  = 2048
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
	out := &blockStream{
		s: s, client: clientOf(req.Peer().Addr), rollups: []order.RollupID{id}, height: req.Msg.GetFromHeight(),
		hello: func() error { return stream.Send(nil) },
		wait:  func(latest uint64) error { return stream.Send(&v1.SubscribeRollupResponse{LatestHeight: latest}) },
	}
	out.put = func(ctx context.Context, b *coming) error {
		release, err := out.prove(ctx, b, 0)
		if err != nil {
			return err
		}
		defer release()
		block := b.parts[0].block
		block.Validators = out.newValidators(b.served)
		return sendBlock(block, s.chain.latest(), stream.Send)
	}
	return out.run(ctx)
}

// sendBlock sends a block, in several messages where it is large: who sends and who reads
// them then has a buffer for one that serves for all blocks, and not one for each block.
// Legs and void batches are not divided.
func sendBlock(block *orderv1.RollupBlock, latest uint64, send func(*v1.SubscribeRollupResponse) error) error {
	legs, voids := block.Legs, block.VoidBatches
	block.Legs, block.VoidBatches = nil, nil
	msg, size := &v1.SubscribeRollupResponse{Block: block, LatestHeight: latest}, 0
	// roomFor sends what there is where so much would not fit as well.
	roomFor := func(n int) error {
		if size += n; size == n || size <= messageBytes {
			return nil
		}
		msg.More = true
		err := send(msg)
		msg, size = &v1.SubscribeRollupResponse{Block: new(orderv1.RollupBlock), LatestHeight: latest}, n
		return err
	}
	for _, l := range legs {
		if err := roomFor(proto.Size(l)); err != nil {
			return err
		}
		msg.Block.Legs = append(msg.Block.Legs, l)
	}
	for _, v := range voids {
		if err := roomFor(proto.Size(v)); err != nil {
			return err
		}
		msg.Block.VoidBatches = append(msg.Block.VoidBatches, v)
	}
	return send(msg)
}

// blockStream is a stream of blocks to one client, of one rollup or of many.
type blockStream struct {
	s       *Server
	client  netip.Prefix
	rollups []order.RollupID
	height  uint64 // that is sent next
	// hello sends the headers, wait that the next block's data is on its way, and put a block.
	hello func() error
	wait  func(latest uint64) error
	put   func(context.Context, *coming) error

	cancel     context.CancelFunc
	validators string // hash of the set that the client has
	beat       *time.Ticker
}

// run sends block after block until the client is gone, or nothing more can be made.
func (r *blockStream) run(ctx context.Context) error {
	if r.height == 0 || r.height > math.MaxInt64 {
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("from_height is %d, want 1 or more", r.height))
	}
	r.s.metrics.streams.Inc()
	defer r.s.metrics.streams.Dec()
	// The client learns at once that the stream stands, however long its first block takes.
	if err := r.hello(); err != nil {
		return err
	}
	ctx, r.cancel = context.WithCancel(ctx)
	r.beat = time.NewTicker(r.s.opts.Limits.Heartbeat)
	defer r.beat.Stop()
	blocks := r.s.ahead(ctx, r.client, r.rollups, r.height)
	defer func() {
		r.cancel()
		for b := range blocks {
			<-b.made
			b.release()
		}
	}()
	for {
		b, err := await(r, blocks)
		if err == nil && b == nil {
			err = r.s.readError(ctx.Err())
		}
		if err == nil {
			err = r.send(ctx, b)
		}
		if err != nil {
			return err
		}
		r.s.metrics.sent.Inc()
	}
}

// send sends the next block once it is made, and releases it.
func (r *blockStream) send(ctx context.Context, b *coming) error {
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
	if err := r.put(ctx, b); err != nil {
		return err
	}
	r.height++
	return nil
}

// prove adds the proofs of void batches to a part of the block, which is sent before they
// are released.
func (r *blockStream) prove(ctx context.Context, b *coming, part int) (release func(), err error) {
	if len(b.parts[part].voids) == 0 {
		return func() {}, nil
	}
	proven := make(chan func(), 1)
	go func() {
		var release func()
		release, err = insist(ctx, r.s, b.served, r.rollups[part], func() (func(), error) { return r.s.prove(ctx, r.client, b.served, b.parts[part]) })
		proven <- release
	}()
	release, gone := await(r, proven)
	if gone != nil {
		if release = <-proven; release != nil {
			release()
		}
		return nil, gone
	}
	if err != nil {
		return nil, r.s.readError(err)
	}
	return release, nil
}

// newValidators returns the block's validator set where the client does not have it yet.
func (r *blockStream) newValidators(at *served) []byte {
	if at.validatorsHash == r.validators {
		return nil
	}
	r.validators = at.validatorsHash
	return at.validators
}

// alive tells a client that waits for a block which is there already that its data is on
// its way: a stream that is silent then is one that clients leave.
func (r *blockStream) alive() error {
	latest := r.s.chain.latest()
	if latest < r.height {
		return nil
	}
	return r.wait(latest)
}

// await receives, and says that the stream is alive until there is something. An error
// says that the client is gone: what is under way for it ends.
func await[T any](r *blockStream, from <-chan T) (T, error) {
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
	parts   []*unproven // what it holds for each of the rollups
	served  *served
	err     error // ends the stream
	made    chan struct{}
	release func()
}

// ahead makes the blocks from the height on, a few at the same time, and hands them
// over in order. It ends with the context, or after a block with an error. Who reads
// it waits for each to be made, and releases it.
func (s *Server) ahead(ctx context.Context, client netip.Prefix, ids []order.RollupID, height uint64) <-chan *coming {
	out := make(chan *coming, max(min(aheadBlocks, aheadParts/len(ids)), 1))
	go func() {
		defer close(out)
		var leave func()
		defer func() {
			if leave != nil {
				leave()
			}
		}()
		for ; ; height++ {
			// At the head, and not where a client waits for blocks of another day.
			if latest := s.chain.latest(); leave == nil && height > latest && height <= latest+aheadBlocks {
				leave = s.early.follow(ids)
			}
			b := s.begin(ctx, client, ids, height)
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
// for it and its data.
func (s *Server) begin(ctx context.Context, client netip.Prefix, ids []order.RollupID, height uint64) *coming {
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
	if b.release, err = s.parts.take(ctx, client, int64(len(ids))*partBytes); err != nil {
		b.release = func() {}
		return fail(err)
	}
	var data int64
	if b.parts, data = s.chain.bare(b.served, ids); data == 0 {
		close(b.made)
		return b
	}
	release, err := s.budget.take(ctx, client, data)
	if err != nil {
		return fail(err)
	}
	parts := b.release
	b.release = func() { release(); parts() }
	go func() {
		defer close(b.made)
		_, b.err = insist(ctx, s, b.served, ids[0], func() (struct{}, error) { return struct{}{}, s.chain.fill(ctx, b.served, b.parts) })
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
// encoded. So does what is told of other legs of their bundles, but for the message, which
// the block has once.
func dataBytes(records []order.LegRecord) int64 {
	n := int64(0)
	for _, r := range records {
		n += 2 * int64(r.Length)
		if r.LegCount > 1 {
			n += docBytes + siblingBytes*int64(r.LegCount)
		}
	}
	return n
}

const (
	// docBytes is the most that a bundle's document takes beside its legs, and siblingBytes
	// what each of those does.
	docBytes     = 128
	siblingBytes = 88
)
