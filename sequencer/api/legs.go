package api

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// found is a batch's content without its proof, and what the proof takes.
type found struct {
	*content
	proof int64
}

// contents returns what the batches hold that the records name. They are fetched side
// by side.
func (c *chain) contents(ctx context.Context, s *served, ids []order.BatchID) (map[order.BatchID]found, error) {
	all := make([]found, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	for i, id := range ids {
		core, ok := s.batches[id]
		if !ok {
			return nil, fmt.Errorf("block %d orders bundles of batch %s, and has no certificate for it", s.height, id)
		}
		group.Go(func() error {
			b, err := c.batches.get(ctx, core, c.old(s))
			if err == nil {
				all[i].content, all[i].proof = b.bare()
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("block %d: %w", s.height, err)
	}
	out := make(map[order.BatchID]found, len(ids))
	for i, id := range ids {
		out[id] = all[i]
	}
	return out, nil
}

func (c *chain) old(s *served) bool { return s.height+latestHeights < c.latest() }

// unproven is a rollup block that lacks the proofs of the batches that are void, but for
// those that an earlier part of the same block has.
type unproven struct {
	rollup  order.RollupID
	records []order.LegRecord
	block   *orderv1.RollupBlock
	voids   []order.BatchCore
	bytes   int64 // what the proofs will take
}

// bare returns what the height holds for the rollups but for the legs' data, and what that
// takes on its way to a client. The blocks come without validators.
func (c *chain) bare(s *served, ids []order.RollupID) (parts []*unproven, data int64) {
	parts = make([]*unproven, len(ids))
	for i, id := range ids {
		parts[i] = &unproven{rollup: id}
		parts[i].block, parts[i].records = s.rollup(id)
		data += dataBytes(parts[i].records)
	}
	return parts, data
}

// fill adds the legs' data to what bare returned. Errors: errNoData.
func (c *chain) fill(ctx context.Context, s *served, parts []*unproven) error {
	var ids []order.BatchID
	seen := make(map[order.BatchID]bool)
	for _, p := range parts {
		for _, r := range p.records {
			if !seen[r.Batch] {
				seen[r.Batch] = true
				ids = append(ids, r.Batch)
			}
		}
	}
	contents, err := c.contents(ctx, s, ids)
	if err != nil {
		return err
	}
	listed := make(map[order.BatchID]bool) // once for all parts, which go out in this order
	for _, p := range parts {
		p.voids, p.bytes = nil, 0
		for i, r := range p.records {
			from := contents[r.Batch]
			if p.block.Legs[i].Transactions = from.transactions(p.rollup, r); p.block.Legs[i].Transactions == nil && !listed[r.Batch] {
				listed[r.Batch] = true
				p.voids, p.bytes = append(p.voids, s.batches[r.Batch]), p.bytes+from.proof
			}
		}
	}
	return nil
}

// prove adds the proofs. Errors: errNoData.
func (c *chain) prove(ctx context.Context, s *served, u *unproven) error {
	var proofs []*orderv1.VoidBatch
	for _, core := range u.voids {
		b, err := c.batches.get(ctx, core, c.old(s))
		if err != nil {
			return fmt.Errorf("block %d: %w", s.height, err)
		}
		if !b.void {
			return fmt.Errorf("block %d: batch %s was void, and is not", s.height, core.Position)
		}
		proofs = append(proofs, b.shown.Message())
	}
	u.block.VoidBatches = proofs
	return nil
}

// bundles returns the bundles of the block. A leg that is void has no transactions.
func (c *chain) bundles(ctx context.Context, s *served) ([]*v1.OrderedBundle, error) {
	var ids []order.BatchID
	seen := make(map[order.BatchID]bool)
	for _, o := range s.order.Bundles {
		if !seen[o.Batch] {
			seen[o.Batch] = true
			ids = append(ids, o.Batch)
		}
	}
	contents, err := c.contents(ctx, s, ids)
	if err != nil {
		return nil, err
	}
	out := make([]*v1.OrderedBundle, len(s.order.Bundles))
	for i, o := range s.order.Bundles {
		b := &orderv1.Bundle{Payer: o.Summary.Payer[:], Expiry: o.Summary.Expiry, FeeLimit: o.Summary.FeeLimit, Signature: o.Summary.Signature[:]}
		for j, l := range o.Summary.Legs {
			txs := contents[o.Batch].transactions(l.RollupID, order.LegRecord{
				BatchIndex: o.BatchIndex, LegIndex: uint64(j), Digest: l.Digest, Length: l.Length, Count: l.Count,
			})
			b.Legs = append(b.Legs, &orderv1.Leg{RollupId: l.RollupID[:], Transactions: txs})
		}
		out[i] = &v1.OrderedBundle{BundleId: o.ID[:], Bundle: b}
	}
	return out, nil
}
