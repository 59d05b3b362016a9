package follower

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// MaxGroup bounds the rollups of a Group.
const MaxGroup = 4096

// GroupConfig configures a Group. Rollups, Endpoints and Trust are needed; the rest may
// be zero and is as in Config.
type GroupConfig struct {
	Rollups    []order.RollupID // at most MaxGroup, no two the same
	Endpoints  []string
	Trust      Trust
	Checkpoint Checkpoint
	Options    Options

	HTTPClient *http.Client
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	Random     func() float64

	StallAfter time.Duration
	AvoidLiar  time.Duration
}

// Group reads the soft order of many rollups over one stream: each header is verified
// once for all of them.
type Group struct {
	reader
	rollups []order.RollupID
}

// NewGroup checks the config and returns a Group. It opens no connection.
func NewGroup(cfg GroupConfig) (*Group, error) {
	if len(cfg.Rollups) == 0 || len(cfg.Rollups) > MaxGroup {
		return nil, fmt.Errorf("group: %d rollups are given, want 1 to %d", len(cfg.Rollups), MaxGroup)
	}
	seen := make(map[order.RollupID]bool, len(cfg.Rollups))
	for _, id := range cfg.Rollups {
		if seen[id] || id == (order.RollupID{}) {
			return nil, fmt.Errorf("group: rollup %s is given twice, or is none", id)
		}
		seen[id] = true
	}
	c := Config{
		Rollup: cfg.Rollups[0], Endpoints: cfg.Endpoints, Trust: cfg.Trust, Checkpoint: cfg.Checkpoint, Options: cfg.Options,
		Logger: cfg.Logger, Registerer: cfg.Registerer, Now: cfg.Now, Random: cfg.Random, StallAfter: cfg.StallAfter, AvoidLiar: cfg.AvoidLiar,
	}
	if cfg.HTTPClient != nil {
		c.HTTPClient = cfg.HTTPClient
	}
	g := &Group{rollups: cfg.Rollups}
	if err := g.init("group", c); err != nil {
		return nil, err
	}
	return g, nil
}

// Run reads from the height on and hands over what each block holds for the rollups,
// blocks[i] for Rollups[i], in order of heights, without gap or repeat, one height at a time.
// It returns as Follower.Run does.
func (g *Group) Run(ctx context.Context, from uint64, handle func(ctx context.Context, blocks []*Block) error) error {
	h, err := g.headersBelow(from)
	if err != nil {
		return err
	}
	return consume(ctx, handle, func(ctx context.Context, queue *queue[[]*Block]) error {
		return g.read(ctx, func(e *endpoint) error {
			s := &stream[sequencerv1.SubscribeBlocksResponse]{reader: &g.reader, endpoint: e, headers: &h}
			s.subscribe = func(ctx context.Context, from uint64) (subscription[sequencerv1.SubscribeBlocksResponse], error) {
				req := &sequencerv1.SubscribeBlocksRequest{FromHeight: from}
				for i := range g.rollups {
					req.RollupIds = append(req.RollupIds, g.rollups[i][:])
				}
				return e.client.SubscribeBlocks(ctx, connect.NewRequest(req))
			}
			var next *groupBlock // what has come of the next block
			s.accept = func(ctx context.Context, msg *sequencerv1.SubscribeBlocksResponse) (alive bool, err error) {
				switch {
				case msg.GetBlock() != nil:
					if next != nil {
						return false, fmt.Errorf("a block came before all of block %d had: %w: %w", h.Height(), ErrMalformed, errLie)
					}
					if next, err = g.open(&h, msg.GetBlock()); err != nil {
						return false, lieUnlessOurs(err)
					}
				case len(msg.GetParts()) == 0:
					return s.waits(msg.GetLatestHeight()), nil
				}
				if next == nil {
					return false, fmt.Errorf("parts of block %d came before it did: %w: %w", h.Height(), ErrMalformed, errLie)
				}
				s.waiting = time.Time{}
				for _, part := range msg.GetParts() {
					if err := next.take(g.rollups, part); err != nil {
						return false, lieUnlessOurs(fmt.Errorf("block %d: %w", h.Height(), err))
					}
				}
				if len(next.blocks) < len(g.rollups) {
					return true, nil
				}
				done := next
				next = nil
				h.accept(done.lb.checkpoint())
				s.verified(done.lb.checkpoint(), msg.GetLatestHeight())
				return true, queue.put(ctx, done.blocks, done.weight())
			}
			return s.run(ctx, from)
		})
	})
}

// groupBlock is a block whose header is verified, with as many of the rollups' parts as
// have come.
type groupBlock struct {
	lb     *lightBlock
	signed []byte
	rb     *orderv1.RollupBlock
	header order.Header
	blocks []*Block
	voids  map[order.BatchID]proven
}

func (g *Group) open(h *headers, rb *orderv1.RollupBlock) (*groupBlock, error) {
	lb, err := h.decode(rb, h.next)
	if err != nil {
		return nil, err
	}
	if err := h.extend(lb, g.cfg.Now()); err != nil {
		return nil, err
	}
	out := &groupBlock{lb: lb, rb: rb, voids: make(map[order.BatchID]proven), blocks: make([]*Block, 0, len(g.rollups))}
	if out.header, err = openHeader(rb, lb.signed.Header); err != nil {
		return nil, fmt.Errorf("block %d: %w", h.next, err)
	}
	if out.signed, err = lb.signed.ToProto().Marshal(); err != nil {
		return nil, fmt.Errorf("encode signed header: %w", err)
	}
	return out, nil
}

// take verifies what the block holds for the next rollup.
func (g *groupBlock) take(rollups []order.RollupID, part *sequencerv1.RollupPart) error {
	at := len(g.blocks)
	if at == len(rollups) || uint64(part.GetIndex()) != uint64(at) {
		return fmt.Errorf("part of rollup %d of %d came after %d: %w", part.GetIndex(), len(rollups), at, ErrMalformed)
	}
	// One proof that a batch is void does for every rollup that has a leg in it.
	b, err := openContent(rollups[at], g.header, part, g.voids)
	if err != nil {
		return fmt.Errorf("rollup %s: %w", rollups[at], err)
	}
	b.complete(g.rb, g.lb, g.signed)
	g.blocks = append(g.blocks, b)
	return nil
}

// weight is about what the blocks take in memory.
func (g *groupBlock) weight() int64 {
	n := int64(0)
	for _, b := range g.blocks {
		for i := range b.Legs {
			n += b.Legs[i].weight()
		}
	}
	for _, v := range g.voids {
		for _, s := range v.shown.GetShares() {
			n += int64(len(s))
		}
	}
	return min(n, MaxBlockBytes)
}
