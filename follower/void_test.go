package follower

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"lukechampine.com/blake3"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// testBatch is a batch with its shards, one for each of four holders, of which any
// two rebuild it.
type testBatch struct {
	header  order.BatchHeader
	bundles []*order.Bundle // as the header tells
	void    bool            // the node shows that it is void and gives no data
	shares  []*shard.Share
}

func testHolders() (holders []shard.Holder, shown []*orderv1.Holder) {
	for i := range 4 {
		owner := bytes.Repeat([]byte{byte(i + 1)}, 20)
		holders = append(holders, shard.Holder{Key: owner, Stake: 10})
		shown = append(shown, &orderv1.Holder{Owner: owner, Stake: 10})
	}
	return holders, shown
}

// newTestBatch makes the batch in the n-th lane of a height.
func newTestBatch(height, n int, bundles []*order.Bundle) *testBatch {
	return (&testBatch{bundles: bundles}).code(height, n, (&order.Batch{Bundles: bundles}).Encode())
}

// code disperses the content under the header of the bundles, whatever it is.
func (b *testBatch) code(height, n int, content []byte) *testBatch {
	holders, _ := testHolders()
	layout, err := shard.NewLayout(holders)
	if err != nil {
		panic(err)
	}
	b.header = order.BatchHeader{
		Position: order.Position{Owner: order.Owner(holders[n].Key), Mark: order.Mark{Session: 1, Sequence: uint64(height)}}, Epoch: 7,
	}
	length := 0
	for _, bundle := range b.bundles {
		b.header.Bundles = append(b.header.Bundles, bundle.Summary())
		length += order.BundleSizeInBatch(bundle.Size())
	}
	b.header.Length = uint64(length)
	var coded shard.Coded
	if err := coded.Encode(layout, content); err != nil {
		panic(err)
	}
	b.header.Root = order.Digest(coded.Root())
	for i := range layout.TotalShards() {
		s, err := coded.Share(shard.Range{First: i, Count: 1})
		if err != nil {
			panic(err)
		}
		s.Shards = bytes.Clone(s.Shards) // coded lets go of its memory
		b.shares = append(b.shares, s)
	}
	return b
}

// garble makes the last shard another one and commits to it: the shards are the
// code of nothing then.
func (b *testBatch) garble() *testBatch {
	holders, _ := testHolders()
	layout, err := shard.NewLayout(holders)
	if err != nil {
		panic(err)
	}
	b.shares[3].Shards[0] ^= 1
	var leaves [4][]byte
	for i, s := range b.shares {
		leaf := blake3.Sum256(s.Shards)
		leaves[i] = leaf[:]
	}
	left, right := node(leaves[0], leaves[1]), node(leaves[2], leaves[3])
	for i, s := range b.shares {
		s.Proof = bytes.Join([][]byte{leaves[i^1], [][]byte{right, left}[i/2]}, nil)
	}
	// As docs/spec/shards.md has it.
	doc, digest := []byte("ordo/erasure-root/v2\x00"), layout.Digest()
	doc = append(doc, digest[:]...)
	for _, n := range []int{layout.N(), layout.DataShards(), layout.TotalShards(), layout.ShardSize(int(b.header.Length))} {
		doc = binary.BigEndian.AppendUint32(doc, uint32(n))
	}
	doc = binary.BigEndian.AppendUint64(doc, b.header.Length)
	b.header.Root = sha256.Sum256(append(doc, node(left, right)...))
	return b
}

func node(l, r []byte) []byte {
	sum := sha256.Sum256(bytes.Join([][]byte{{1}, l, r}, nil))
	return sum[:]
}

// proof shows the batch by some of its shards.
func (b *testBatch) proof(shards ...int) *orderv1.VoidBatch {
	_, holders := testHolders()
	vb := &orderv1.VoidBatch{Core: b.header.Core(testChainID).Encode(), Holders: holders}
	for _, i := range shards {
		vb.Shares = append(vb.Shares, b.shares[i].Append(nil))
	}
	return vb
}

// voidChain has a block of four batches, each with a leg of alpha: one as it should
// be, one whose shards are the code of nothing, one of bytes that are no batch, and
// one whose second bundle is not the one that its header tells of. The third block
// is like the first.
func voidChain() (*testChain, *testBlock) {
	c := newTestChain(testValidators(0, 4))
	c.grow(1)
	two := func(n int) []*order.Bundle {
		return []*order.Bundle{bundle(2, txs(100+n, 2), alpha, beta), bundle(2, txs(200+n, 3), gamma, alpha)}
	}
	good := newTestBatch(2, 0, two(0))
	garbled := newTestBatch(2, 1, two(1)).garble()
	noise := (&testBatch{bundles: two(2)}).code(2, 2, bytes.Repeat([]byte{0xff}, (&order.Batch{Bundles: two(2)}).Size()))
	other := two(3)
	other[1] = bundle(2, txs(903, 3), gamma, alpha)
	altered := (&testBatch{bundles: two(3)}).code(2, 3, (&order.Batch{Bundles: other}).Encode())
	garbled.void, noise.void = true, true
	b := c.appendBatches([]*testBatch{good, garbled, noise, altered})
	c.grow(1)
	return c, b
}

// honest is what a node serves of the block of voidChain.
func (b *testBlock) honest(rollup order.RollupID) *orderv1.RollupBlock {
	rb := b.rollupBlock(rollup)
	// The altered batch holds its first bundle as it should, and the second not.
	for i, l := range rb.Legs {
		if r, _ := order.LegRecordFromProto(l.Record); i == len(rb.Legs)-1 {
			l.Transactions = nil
			rb.VoidBatches = append(rb.VoidBatches, b.batches[r.Batch].proof(1, 3))
		}
	}
	return rb
}

func TestVoidLegsAreAccepted(t *testing.T) {
	t.Parallel()
	c, b := voidChain()
	want := map[order.RollupID]string{alpha: "ddvvvvdv", gamma: "dvvv"}
	for rollup, want := range want {
		// Any shards will do.
		for _, choice := range [][]int{{0, 1}, {3, 2}, {1, 3}} {
			v := verifierAt(t, c, rollup, 2)
			rb := b.honest(rollup)
			for i, vb := range rb.VoidBatches {
				core, err := order.DecodeBatchCore(vb.Core)
				if err != nil {
					t.Fatal(err)
				}
				rb.VoidBatches[i] = b.batches[core.ID()].proof(choice...)
			}
			raw, err := proto.Marshal(rb)
			if err != nil {
				t.Fatal(err)
			}
			if rb, err = DecodeBlock(raw); err != nil {
				t.Fatal(err)
			}
			got, err := v.Next(rb, c.now())
			if err != nil {
				t.Fatal(err)
			}
			var kinds strings.Builder
			n := 0
			for _, leg := range got.Legs {
				n += len(leg.Transactions)
				kinds.WriteString(map[bool]string{true: "v", false: "d"}[leg.Void])
				if leg.Void != (len(leg.Transactions) == 0) {
					t.Errorf("leg %+v", leg)
				}
			}
			if kinds.String() != want || len(got.Transactions()) != n {
				t.Fatalf("legs %s with %d transactions, want %s with %d", kinds.String(), len(got.Transactions()), want, n)
			}
			// What was verified can be handed on, through a blob too, and the chain goes on.
			blob, err := EncodeBlob([]*orderv1.RollupBlock{got.Proto})
			if err != nil {
				t.Fatal(err)
			}
			if again, err := verifierAt(t, c, rollup, 2).NextBlob(blob, c.now()); err != nil || !sameBlock(again[0], got) {
				t.Fatalf("read back from a blob: %v", err)
			}
			next, _ := c.at(3)
			if _, err := v.Next(next.rollupBlock(rollup), c.now()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestVoidIsNotBelieved alters what a node says of void batches. For alpha the legs
// are those of bundles 0 and 1 of each batch: 0, 1 good, 2, 3 garbled, 4, 5 noise, 6
// good and 7 not, of the altered batch.
func TestVoidIsNotBelieved(t *testing.T) {
	t.Parallel()
	c, b := voidChain()
	batch := func(rb *orderv1.RollupBlock, leg int) *testBatch {
		r, err := order.LegRecordFromProto(rb.Legs[leg].Record)
		if err != nil {
			t.Fatal(err)
		}
		return b.batches[r.Batch]
	}
	hide := func(rb *orderv1.RollupBlock, legs ...int) {
		for _, i := range legs {
			rb.Legs[i].Transactions = nil
		}
	}
	for name, tc := range map[string]struct {
		alter func(rb *orderv1.RollupBlock)
		want  error
		text  string
	}{
		"data hidden":           {func(rb *orderv1.RollupBlock) { hide(rb, 0) }, ErrVoid, "leg 0 lacks its data"},
		"a batch's data hidden": {func(rb *orderv1.RollupBlock) { hide(rb, 0, 1) }, ErrVoid, "leg 0 lacks its data"},
		"good batch said void": {func(rb *orderv1.RollupBlock) {
			v := batch(rb, 0).proof(0, 1)
			hide(rb, 0, 1)
			rb.VoidBatches = append(rb.VoidBatches, v)
		}, ErrNotVoid, "leg 0"},
		"good leg of it said void": {func(rb *orderv1.RollupBlock) {
			v := batch(rb, 0).proof(2, 1)
			hide(rb, 1)
			rb.VoidBatches = append(rb.VoidBatches, v)
		}, ErrNotVoid, "leg 1"},
		"good leg beside a void": {func(rb *orderv1.RollupBlock) { hide(rb, 6) }, ErrNotVoid, "leg 6"},
		"shown without need":     {func(rb *orderv1.RollupBlock) { rb.VoidBatches = append(rb.VoidBatches, batch(rb, 0).proof(0, 1)) }, ErrVoid, "every leg of it has its data"},
		"shown twice":            {func(rb *orderv1.RollupBlock) { rb.VoidBatches = append(rb.VoidBatches, rb.VoidBatches[0]) }, ErrVoid, "twice"},
		"not shown":              {func(rb *orderv1.RollupBlock) { rb.VoidBatches = rb.VoidBatches[1:] }, ErrVoid, "leg 2 lacks its data"},
		"none shown":             {func(rb *orderv1.RollupBlock) { rb.VoidBatches = nil }, ErrVoid, "leg 2 lacks its data"},
		"another's shards":       {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Shares = batch(rb, 4).proof(0, 1).Shares }, ErrVoid, "erasure root"},
		"another batch for it": {func(rb *orderv1.RollupBlock) {
			hide(rb, 0, 1)
			v := batch(rb, 2).proof(0, 1)
			v.Core = batch(rb, 0).proof().Core
			rb.VoidBatches = append(rb.VoidBatches, v)
		}, ErrVoid, "erasure root"},
		"data of a void leg": {func(rb *orderv1.RollupBlock) {
			rb.Legs[2].Transactions = batch(rb, 2).bundles[0].Legs[0].Transactions
		}, ErrVoid, "leg 2 has data"},
		"more shards than are needed": {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0] = batch(rb, 2).proof(0, 1, 2) }, ErrVoid, "more shards than the 2"},
		"a shard twice":               {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0] = batch(rb, 2).proof(0, 0, 1) }, ErrVoid, "more shards than the 2"},
		"one shard":                   {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0] = batch(rb, 2).proof(0) }, ErrVoid, "too few"},
		"one shard, twice":            {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0] = batch(rb, 2).proof(0, 0) }, ErrVoid, "too few"},
		"no shards":                   {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Shares = nil }, ErrVoid, "too few"},
		"shard altered":               {func(rb *orderv1.RollupBlock) { s := rb.VoidBatches[0].Shares[0]; s[len(s)/2] ^= 1 }, ErrVoid, "share 0"},
		"shard of the good batch, altered": {func(rb *orderv1.RollupBlock) {
			hide(rb, 0, 1)
			v := batch(rb, 0).proof(0, 1)
			s := v.Shares[1]
			s[len(s)/2] ^= 1
			rb.VoidBatches = append(rb.VoidBatches, v)
		}, ErrVoid, "share 1"},
		"shard cut off":  {func(rb *orderv1.RollupBlock) { s := &rb.VoidBatches[0].Shares[0]; *s = (*s)[:len(*s)-1] }, ErrVoid, "share 0"},
		"shard empty":    {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Shares[0] = nil }, ErrVoid, "share 0"},
		"holder missing": {func(rb *orderv1.RollupBlock) { v := rb.VoidBatches[0]; v.Holders = v.Holders[1:] }, ErrVoid, "erasure root"},
		"stake altered":  {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Holders[1].Stake++ }, ErrVoid, "erasure root"},
		"owner altered":  {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Holders[1].Owner[3]++ }, ErrVoid, "erasure root"},
		"holders differ": {func(rb *orderv1.RollupBlock) { rb.VoidBatches[1].Holders[1].Stake++ }, ErrVoid, "other shard holders"},
		"no holders":     {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Holders = nil }, ErrVoid, "0 validators"},
		"short owner":    {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Holders[0].Owner = []byte{1} }, ErrVoid, "1 bytes, want 20"},
		"negative stake": {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Holders[0].Stake = -1 }, ErrVoid, "stake of -1"},
		"no core":        {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Core = nil }, ErrVoid, "core"},
		"core altered":   {func(rb *orderv1.RollupBlock) { s := rb.VoidBatches[0].Core; s[len(s)-1] ^= 1 }, ErrVoid, "every leg of it has its data"},
		"core too long":  {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0].Core = make([]byte, maxBatchCoreBytes+1) }, ErrMalformed, "1025, at most 1024"},
		"empty proof":    {func(rb *orderv1.RollupBlock) { rb.VoidBatches[0] = new(orderv1.VoidBatch) }, ErrVoid, "core"},
		"core of another length": {func(rb *orderv1.RollupBlock) {
			// Every core that a block can name by its ID is bound as a whole; this one is not.
			core, err := order.DecodeBatchCore(rb.VoidBatches[0].Core)
			if err != nil {
				t.Fatal(err)
			}
			core.Length++
			rb.VoidBatches[0].Core = core.Encode()
		}, ErrVoid, "every leg of it has its data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verifierAt(t, c, alpha, 2)
			rb := proto.CloneOf(b.honest(alpha))
			tc.alter(rb)
			got, err := v.Next(rb, c.now())
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("got %v and error %v; want %v that names %q", got, err, tc.want, tc.text)
			}
			if _, err := v.Next(b.honest(alpha), c.now()); err != nil {
				t.Fatalf("the honest block afterwards: %v", err)
			}
		})
	}
}

func TestFirmReaderReadsVoidLegs(t *testing.T) {
	t.Parallel()
	c, b := voidChain()
	first, _ := c.at(1)
	last, _ := c.at(3)
	blob := func(blocks ...*orderv1.RollupBlock) []byte {
		raw, err := EncodeBlob(blocks)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	hidden := proto.CloneOf(b.honest(alpha))
	hidden.Legs[0].Transactions, hidden.Legs[1].Transactions = nil, nil
	bare := proto.CloneOf(b.honest(alpha))
	bare.VoidBatches = nil
	layer := newTestLayer(
		[][]byte{blob(hidden), blob(bare)}, // dropped, and what comes next is still the block
		[][]byte{blob(first.rollupBlock(alpha), hidden)},
		[][]byte{blob(bare), blob(b.honest(alpha), last.rollupBlock(alpha))},
	)
	r := newFirmReader(t, c.firmConfig(t, layer))
	var void []bool
	done := errors.New("read all")
	err := r.Run(t.Context(), Cursor{}, func(_ context.Context, f FirmBlock) error {
		for _, leg := range f.Legs {
			if f.Height == 2 {
				void = append(void, leg.Void)
			}
		}
		if f.Height == 3 {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) || fmt.Sprint(void) != "[false false true true true true false true]" {
		t.Fatalf("void legs %v: %v", void, err)
	}
}

func TestVoidBatchesAreBounded(t *testing.T) {
	t.Parallel()
	many := func(n int, vb *orderv1.VoidBatch) *orderv1.RollupBlock {
		rb := new(orderv1.RollupBlock)
		for range n {
			rb.VoidBatches = append(rb.VoidBatches, vb)
		}
		return rb
	}
	for name, tc := range map[string]struct {
		block *orderv1.RollupBlock
		text  string
	}{
		"batches":     {many(maxVoidBatches+1, new(orderv1.VoidBatch)), "void batches: 16385"},
		"holders":     {many(1, &orderv1.VoidBatch{Holders: make([]*orderv1.Holder, shard.MaxHolders+1)}), "holders of a void batch: 201"},
		"shares":      {many(1, &orderv1.VoidBatch{Shares: make([][]byte, maxVoidShares+1)}), "shares of a void batch: 343"},
		"all holders": {many(1500, &orderv1.VoidBatch{Holders: make([]*orderv1.Holder, shard.MaxHolders)}), "holders of void batches: 26"},
		"all shares":  {many(1500, &orderv1.VoidBatch{Shares: make([][]byte, maxVoidShares)}), "shares of void batches: 26"},
		"core":        {many(1, &orderv1.VoidBatch{Core: make([]byte, maxBatchCoreBytes+1)}), "core of a void batch: 1025"},
	} {
		for i, h := range tc.block.GetVoidBatches()[0].GetHolders() {
			if h == nil {
				tc.block.VoidBatches[0].Holders[i] = new(orderv1.Holder)
			}
		}
		raw, err := proto.Marshal(tc.block)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeBlock(raw); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFirmReaderLooksForTheProof: a blob may bring data for a leg that is void, by whoever
// made the batch. Who knows better goes on to the blob with the proof, and who executed
// the data learns of it from a proof that comes later.
func TestFirmReaderLooksForTheProof(t *testing.T) {
	t.Parallel()
	c, b := voidChain()
	first, _ := c.at(1)
	last, _ := c.at(3)
	blob := func(blocks ...*orderv1.RollupBlock) []byte {
		raw, err := EncodeBlob(blocks)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	honest := b.honest(alpha)
	// All legs with the data that their records tell of.
	evil := proto.CloneOf(honest)
	evil.VoidBatches = nil
	var void []order.BatchID
	for _, l := range evil.Legs {
		r, err := order.LegRecordFromProto(l.Record)
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Transactions) == 0 {
			l.Transactions = b.batches[r.Batch].bundles[r.BatchIndex].Legs[r.LegIndex].Transactions
			if r.LegIndex == 1 && b.batches[r.Batch].bundles[r.BatchIndex].Legs[1].RollupID != alpha {
				t.Fatal("not alpha's leg")
			}
			void = append(void, r.Batch)
		}
	}
	read := func(known []order.BatchID, taken map[uint64]Taken, blobs ...[]byte) (legs int, r *FirmReader, err error) {
		cfg := c.firmConfig(t, newTestLayer(blobs))
		if taken != nil {
			cfg.Taken = func(h uint64) (Taken, bool, error) { v, ok := taken[h]; return v, ok, nil }
		}
		r = newFirmReader(t, cfg)
		err = r.Run(t.Context(), Cursor{}, func(_ context.Context, f FirmBlock) error {
			for _, leg := range f.Legs {
				if !leg.Void && slices.Contains(known, leg.Batch) && !slices.Contains(f.Void, leg.Batch) {
					return fmt.Errorf("block %d: %w", f.Height, ErrVoidData)
				}
			}
			if taken != nil {
				taken[f.Height] = Taken{Hash: f.Hash, Void: f.Void}
			}
			if f.Height == 2 {
				for _, leg := range f.Legs {
					if !leg.Void {
						legs++
					}
				}
			}
			if f.Height == 3 {
				return errEnough
			}
			return nil
		})
		return legs, r, err
	}
	one, two, three := first.rollupBlock(alpha), evil, last.rollupBlock(alpha)
	legs, r, err := read(void, nil, blob(one, two, three), blob(honest), blob(three))
	if !errors.Is(err, errEnough) || legs != 3 {
		t.Fatalf("%d legs with data, want 3: %v", legs, err)
	}
	if got := value(t, r.metrics.skipped.WithLabelValues("void_data")); got != 1 {
		t.Errorf("%v blobs counted", got)
	}
	if _, _, err := read(nil, nil, blob(one, two), blob(honest), blob(three)); !errors.Is(err, errEnough) {
		t.Fatalf("a reader that remembers nothing: %v", err)
	}
	for name, tc := range map[string][][]byte{
		"alone":                   {blob(one, two), blob(honest), blob(three)},
		"behind its own set":      {blob(one, two), blob(one, honest), blob(three)},
		"at the head of the next": {blob(one, two), blob(honest, three)},
	} {
		_, _, err := read(nil, map[uint64]Taken{}, tc...)
		var found *VoidError
		if !errors.As(err, &found) || found.Height != 2 || len(found.Batches) != 3 || !slices.Contains(void, found.Batches[0]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What proves nothing, and what is known, stops nobody.
	bad := proto.CloneOf(honest)
	s := bad.VoidBatches[0].Shares[0]
	s[len(s)/2] ^= 1
	if _, _, err := read(nil, map[uint64]Taken{}, blob(one, two), blob(bad), blob(one)[:40], blob(three)); !errors.Is(err, errEnough) {
		t.Errorf("a proof of nothing: %v", err)
	}
	if _, _, err := read(void, map[uint64]Taken{}, blob(one, honest), blob(one, honest), blob(evil), blob(three)); !errors.Is(err, errEnough) {
		t.Errorf("a proof of what is known: %v", err)
	}
}
