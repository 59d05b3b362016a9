package follower

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	// requestTimeout bounds a request for one block.
	requestTimeout = 10 * time.Second
	// infoTimeout bounds a request for a node's height.
	infoTimeout = 2 * time.Second
	// maxMessageBytes is a block with its envelope.
	maxMessageBytes = MaxBlockBytes + 64
)

// errLie marks what no honest node sends.
var errLie = errors.New("endpoint lies")

// endpoint is one sequencer node and what came of it so far.
type endpoint struct {
	url    string
	http   connect.HTTPClient
	client sequencerv1connect.SequencerServiceClient

	// Guarded by endpoints.mu.
	failures int       // in a row
	until    time.Time // not used before
}

// block returns the block at the height, as the node has it.
func (e *endpoint) block(ctx context.Context, rollup order.RollupID, height uint64) (*orderv1.RollupBlock, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := e.client.GetRollupBlock(ctx, connect.NewRequest(&sequencerv1.GetRollupBlockRequest{RollupId: rollup[:], Height: height}))
	if err != nil {
		return nil, transportError(err)
	}
	return resp.Msg.GetBlock(), nil
}

// latest returns the height that the node claims, 0 where it does not answer.
func (e *endpoint) latest(ctx context.Context) uint64 {
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	resp, err := e.client.GetInfo(ctx, connect.NewRequest(&sequencerv1.GetInfoRequest{}))
	if err != nil {
		return 0
	}
	return resp.Msg.GetLatestHeight()
}

// transportError marks messages over a bound or that do not decode, which are
// found on this side, as lies. What a node reports itself is never one.
func transportError(err error) error {
	if connect.IsWireError(err) {
		return err
	}
	if errors.Is(err, ErrMalformed) {
		return fmt.Errorf("%w: %w", err, errLie)
	}
	if connect.CodeOf(err) == connect.CodeResourceExhausted {
		return fmt.Errorf("%w: %w: %w", err, ErrMalformed, errLie)
	}
	return err
}

// endpoints chooses among the nodes: it sticks to one, goes on to the next that
// is due, and keeps away from one that failed, the longer the more often.
type endpoints struct {
	avoid  time.Duration // for one that lied
	random func() float64

	mu      sync.Mutex
	list    []*endpoint
	current int
}

func newEndpoints(cfg Config) *endpoints {
	es := &endpoints{avoid: cfg.AvoidLiar, random: cfg.Random}
	for _, url := range cfg.Endpoints {
		e := &endpoint{url: url, http: cfg.HTTPClient}
		e.client = e.reading(blockCodec{})
		es.list = append(es.list, e)
	}
	return es
}

// reading returns a client of the endpoint that decodes with the codec.
func (e *endpoint) reading(codec connect.Codec) sequencerv1connect.SequencerServiceClient {
	return sequencerv1connect.NewSequencerServiceClient(e.http, e.url, connect.WithReadMaxBytes(maxMessageBytes), connect.WithCodec(codec))
}

// pick returns the endpoint to use and how long to wait before. Where all must be
// waited for it is the first that is due, and a liar then for no longer than any
// other: its lies cost little, and it may have been a fault on this side.
func (es *endpoints) pick(now time.Time) (*endpoint, time.Duration) {
	es.mu.Lock()
	defer es.mu.Unlock()
	best, bestWait := es.current, max(0, es.list[es.current].until.Sub(now))
	for i := range es.list {
		at := (es.current + i) % len(es.list)
		if wait := max(0, es.list[at].until.Sub(now)); wait < bestWait {
			best, bestWait = at, wait
		}
	}
	es.current = best
	return es.list[best], min(bestWait, maxBackoff)
}

// split returns the endpoints that are not waited for, and those that are, the
// current one first.
func (es *endpoints) split(now time.Time) (ready, waiting []*endpoint) {
	es.mu.Lock()
	defer es.mu.Unlock()
	for i := range es.list {
		if e := es.list[(es.current+i)%len(es.list)]; e.until.After(now) {
			waiting = append(waiting, e)
		} else {
			ready = append(ready, e)
		}
	}
	return ready, waiting
}

// works notes that the endpoint gave a block that verifies.
func (es *endpoints) works(e *endpoint) {
	es.mu.Lock()
	defer es.mu.Unlock()
	e.failures = 0
}

// failed notes that the endpoint is given up, and returns until when.
func (es *endpoints) failed(e *endpoint, err error, now time.Time) time.Duration {
	es.mu.Lock()
	defer es.mu.Unlock()
	wait := es.avoid
	if !errors.Is(err, errLie) {
		wait = min(maxBackoff, minBackoff<<min(e.failures, 10))
		wait = time.Duration(float64(wait) * (0.5 + es.random())) // spreads those that lost the same node
	}
	e.failures++
	e.until = now.Add(wait)
	return wait
}

// blockCodec is the protobuf codec with the bounds of DecodeBlock.
type blockCodec struct{}

func (blockCodec) Name() string { return "proto" }

func (blockCodec) Marshal(m any) ([]byte, error) {
	msg, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("marshal %T: not a protobuf message", m)
	}
	return proto.Marshal(msg)
}

func (blockCodec) Unmarshal(raw []byte, m any) error { return unmarshal(new(contentBounds), raw, m) }

// unmarshal decodes a message that is within the bounds, with what was counted before.
func unmarshal(c *contentBounds, raw []byte, m any) error {
	if err := c.message(raw, m); err != nil {
		return err
	}
	msg, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("unmarshal %T: not a protobuf message", m)
	}
	if err := proto.Unmarshal(raw, msg); err != nil {
		return fmt.Errorf("%w: %w", err, ErrMalformed)
	}
	return nil
}

// message counts what repeats in the answers that hold blocks: each has them in field 1.
func (c *contentBounds) message(raw []byte, m any) error {
	many := false
	switch m.(type) {
	case *sequencerv1.SubscribeRollupResponse, *sequencerv1.GetRollupBlockResponse:
	case *sequencerv1.SubscribeBlocksResponse:
		many = true
	default:
		return nil
	}
	return eachBytes(raw, func(num protowire.Number, b []byte) error {
		switch {
		case num == 1:
			return c.block(b)
		case many && num == fieldBlocksParts:
			return c.part(b)
		}
		return nil
	})
}
