package follower

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// proven is a batch that was shown to be void: what it holds, nil where nothing, and
// what shows it.
type proven struct {
	batch *order.Batch
	shown *orderv1.VoidBatch
}

// openVoids marks the legs that are void, by batches that are shown not to hold
// them; here, or before for another rollup: those in known, which, where it is not nil,
// takes in what is shown here. It returns those batches in wire form, made of what was verified, and IDs. The legs
// stand in the block's commitment; what data they have matches their records.
//
// To say "void" must not be a way to hide data, so nobody's word is taken for it:
// the record names the batch ID, which is the hash of the batch's core, which has
// the erasure root. Any shards under that root, enough of them, rebuild the same
// batch or show that there is none.
func openVoids(rollup order.RollupID, batches []*orderv1.VoidBatch, legs []Leg, lacking map[order.BatchID]bool, known map[order.BatchID]proven) (out []*orderv1.VoidBatch, ids []order.BatchID, err error) {
	r := rebuilder{layouts: make(map[uint64]layout)}
	var fresh []proven
	for i, vb := range batches {
		core, err := openCore(vb.GetCore())
		if err != nil {
			return nil, nil, fmt.Errorf("void batch %d: %w", i, err)
		}
		id := core.ID()
		if _, before := known[id]; before || !lacking[id] {
			return nil, nil, fmt.Errorf("batch %s, shown to be void, stands there twice or every leg of it has its data: %w", id, ErrVoid)
		}
		delete(lacking, id)
		batch, shown, err := r.rebuild(core, vb)
		if err != nil {
			return nil, nil, fmt.Errorf("void batch %s: %w: %w", id, err, ErrVoid)
		}
		if err := markVoid(rollup, legs, id, batch); err != nil {
			return nil, nil, err
		}
		out, ids = append(out, shown), append(ids, id)
		if known != nil {
			fresh = append(fresh, proven{batch, shown})
		}
	}
	for j := range legs {
		id := legs[j].Batch
		if !lacking[id] {
			continue
		}
		before, ok := known[id]
		if !ok {
			return nil, nil, fmt.Errorf("leg %d lacks its data, and nothing shows that its batch %s is void: %w", j, id, ErrVoid)
		}
		delete(lacking, id)
		if err := markVoid(rollup, legs, id, before.batch); err != nil {
			return nil, nil, err
		}
		out, ids = append(out, before.shown), append(ids, id)
	}
	for i, p := range fresh {
		known[ids[i]] = p
	}
	return out, ids, nil
}

// markVoid marks the legs of a batch that the batch, rebuilt, does not hold.
func markVoid(rollup order.RollupID, legs []Leg, id order.BatchID, batch *order.Batch) error {
	for j := range legs {
		leg := &legs[j]
		if leg.Batch != id {
			continue
		}
		leg.Void = !holds(batch, rollup, leg.LegRecord)
		switch has := len(leg.Transactions) > 0; {
		case leg.Void && has:
			return fmt.Errorf("leg %d has data and its batch %s, rebuilt, does not hold it: %w", j, id, ErrVoid)
		case !leg.Void && !has:
			return fmt.Errorf("leg %d lacks its data, and its batch %s, rebuilt, holds it: %w", j, id, ErrNotVoid)
		}
	}
	return nil
}

// holds reports whether the batch has the leg at the place that its record names.
// No batch, where the shards give none, has no leg.
func holds(batch *order.Batch, rollup order.RollupID, r order.LegRecord) bool {
	if batch == nil || r.BatchIndex >= uint64(len(batch.Bundles)) {
		return false
	}
	bundle := batch.Bundles[r.BatchIndex]
	return r.LegIndex < uint64(len(bundle.Legs)) && bundle.Legs[r.LegIndex].Summary() == recorded(rollup, r)
}

func openCore(raw []byte) (order.BatchCore, error) {
	if err := atMost("core of a void batch", len(raw), maxBatchCoreBytes); err != nil {
		return order.BatchCore{}, err
	}
	core, err := order.DecodeBatchCore(raw)
	if err != nil {
		return core, fmt.Errorf("%w: %w", err, ErrVoid)
	}
	return core, nil
}

// rebuilder rebuilds the batches of one block.
type rebuilder struct {
	layouts map[uint64]layout // by epoch
	shards  shard.Rebuilder
}

// layout is made of holders once: it costs more than comparing them.
type layout struct {
	holders []*orderv1.Holder
	*shard.Layout
}

func (r *rebuilder) layout(epoch uint64, holders []*orderv1.Holder) (layout, error) {
	l, known := r.layouts[epoch]
	if known {
		if !slices.EqualFunc(l.holders, holders, func(a, b *orderv1.Holder) bool { return proto.Equal(a, b) }) {
			return layout{}, fmt.Errorf("epoch %d has other shard holders than in the batch before", epoch)
		}
		return l, nil
	}
	list := make([]shard.Holder, len(holders))
	l.holders = make([]*orderv1.Holder, len(holders))
	for i, h := range holders {
		owner, err := order.OwnerFromBytes(h.GetOwner())
		if err != nil {
			return layout{}, fmt.Errorf("shard holder %d: %w", i, err)
		}
		list[i] = shard.Holder{Key: owner[:], Stake: h.GetStake()}
		l.holders[i] = &orderv1.Holder{Owner: owner[:], Stake: h.GetStake()}
	}
	var err error
	if l.Layout, err = shard.NewLayout(list); err != nil {
		return layout{}, err
	}
	r.layouts[epoch] = l
	return l, nil
}

// rebuild returns the batch that the shares give, nil where they are the code of no
// batch, or of bytes that are none. An error says that they prove neither.
func (r *rebuilder) rebuild(core order.BatchCore, vb *orderv1.VoidBatch) (*order.Batch, *orderv1.VoidBatch, error) {
	if core.Length > shard.MaxBatchBytes {
		return nil, nil, fmt.Errorf("it has %d bytes, at most %d", core.Length, shard.MaxBatchBytes)
	}
	l, err := r.layout(core.Epoch, vb.GetHolders())
	if err != nil {
		return nil, nil, err
	}
	if err := r.shards.Reset(l.Layout, shard.Root(core.Root), int(core.Length)); err != nil {
		return nil, nil, err
	}
	shown := &orderv1.VoidBatch{Core: core.Encode(), Holders: l.holders}
	// What is handed on must not grow by what proves nothing.
	most, size := l.DataShards(), l.ShardSize(int(core.Length))
	for i, raw := range vb.GetShares() {
		share, err := shard.DecodeShare(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("share %d: %w", i, err)
		}
		if err := r.shards.Add(share); err != nil {
			return nil, nil, fmt.Errorf("share %d: %w", i, err)
		}
		if most -= len(share.Shards) / size; most < 0 {
			return nil, nil, fmt.Errorf("share %d: more shards than the %d that rebuild it", i, l.DataShards())
		}
		shown.Shares = append(shown.Shares, raw)
	}
	content, err := r.shards.Batch()
	switch {
	case errors.Is(err, shard.ErrVoid):
		return nil, shown, nil
	case err != nil:
		return nil, nil, err
	}
	if batch, err := order.DecodeBatch(content); err == nil {
		return batch, shown, nil
	}
	return nil, shown, nil
}
