package rollup

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
)

// again returns what became of a block that is not above the soft head: it was executed
// before a crash, and not noted. Where nobody knows that of the soft head any more, a node
// with an index takes all of it for applied that its client was given, for the index is
// what keeps a transaction from being sent again.
func (d *driver) again(ctx context.Context, b execution.Block) (execution.Result, bool, error) {
	res, ok, err := d.executor.recall(ctx, b)
	if err != nil || ok {
		return res, ok, err
	}
	res = execution.Result{Head: d.at.soft}
	if _, is := d.client.(noTerms); is {
		res = withhold(b).complete(res)
	}
	return res, d.hash != nil && b.Height == d.at.soft.Height, nil
}

// recall implements executor.
func (a alone) recall(ctx context.Context, b execution.Block) (res execution.Result, ok bool, err error) {
	if r, can := a.client.(execution.Recaller); can {
		return r.Recall(ctx, b)
	}
	return res, false, nil
}

// recall implements executor, with the verdicts that the domain reached.
func (s seated) recall(ctx context.Context, b execution.Block) (execution.Result, bool, error) {
	last, ok, err := s.journal.Last()
	if err != nil {
		return execution.Result{}, false, err
	}
	if ok && s.index < len(last.Blocks) {
		b.Legs = decided(b.Legs, last.Blocks[s.index].Legs)
	}
	return s.alone.recall(ctx, b)
}

// decided returns legs as verdicts were reached on them, where it is them.
func decided(legs, with []execution.Leg) []execution.Leg {
	same := slices.EqualFunc(legs, with, func(a, b execution.Leg) bool {
		return a.Height == b.Height && a.Bundle == b.Bundle && a.Index == b.Index && a.Transactions == b.Transactions
	})
	if !same {
		return legs
	}
	return with
}

// noted is a client over gRPC that can tell all again: the node notes what the service says
// of a block before that becomes the soft one.
type noted struct {
	*astria.Client
	store *store
}

// Recall implements execution.Recaller, for the soft head and the last block that skipped
// something. A block that was made while the answer was lost was noted by nobody: all that
// the service was given counts as applied.
func (c noted) Recall(_ context.Context, b execution.Block) (execution.Result, bool, error) {
	if res, ok, err := c.store.told(b); ok || err != nil {
		return res, ok, err
	}
	return c.Kept(b)
}

// told is what a client told of a block.
type told struct {
	Hash   execution.Hash // of the sequencer block
	Of     int            // how many transactions it was made from
	Result execution.Result
}

// putTold notes, on disk when it returns, what a client tells of a block that is to become
// the soft one. Where nothing was skipped there is nothing to be told again.
func (s *store) putTold(b execution.Block, res execution.Result) error {
	if len(res.Skipped) == 0 {
		return nil
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(told{b.Hash, len(b.Transactions), res}); err != nil {
		return fmt.Errorf("encode what was skipped of sequencer block %d: %w", b.Height, err)
	}
	return s.db.Set([]byte(keyTold), buf.Bytes(), pebble.Sync)
}

// told returns what putTold noted of a block, if it noted that last.
func (s *store) told(b execution.Block) (res execution.Result, ok bool, err error) {
	raw, ok, err := s.get([]byte(keyTold))
	if !ok || err != nil {
		return res, false, err
	}
	var t told
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(&t); err != nil {
		return res, false, fmt.Errorf("decode what the last block skipped: %w", err)
	}
	if t.Hash != b.Hash || t.Of != len(b.Transactions) {
		return res, false, nil
	}
	return t.Result, true, nil
}
