package api_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// nodesOfShares bounds the nodes in the proofs of n shares of different shards: in each
// row below the top a share needs one, and a second one where it lies in two pairs of
// nodes that meet at its place. There are half as many such places in a row as nodes.
func nodesOfShares(n int) (nodes int) {
	for width := shard.MaxShards; width > 1; width /= 2 {
		nodes += n + min(n, max(width/2-1, 0))
	}
	return nodes
}

// voidOverhead bounds what a void batch takes in a block beside the batch's own bytes.
func voidOverhead() int {
	const most = shard.MaxHolders // no more shares than holders: each gives one
	core := order.BatchCore{
		ChainID:  strings.Repeat("x", order.MaxChainIDLen),
		Position: order.Position{Owner: order.Owner{1}, Mark: order.Mark{Session: math.MaxUint64, Sequence: math.MaxUint64}},
		After:    order.Mark{Session: math.MaxUint64, Sequence: math.MaxUint64}, Epoch: math.MaxUint64,
		Root: order.Digest{1}, Length: order.MaxBatchBytes, Count: order.MaxBatchBundles, Summaries: order.Digest{1},
	}
	holder := &orderv1.Holder{Owner: make([]byte, 20), Stake: math.MaxInt64}
	empty := &orderv1.VoidBatch{Core: core.Encode(), Holders: slices.Repeat([]*orderv1.Holder{holder}, most)}
	// A share's index, and tags and lengths: its own, and those of shards and proof.
	const share = 3 + (1 + 5) + (1 + 4) + (1 + 3)
	padding := (shard.MaxShards/3 + 1) * 64
	return 8 + proto.Size(empty) + padding + most*share + 32*nodesOfShares(most)
}

const (
	record, summary = 128, 179
	// sibling is the least that one more leg takes in a summary, and in the bundle's document.
	sibling = 74
	// document is the most that one takes beside its legs, with its own tag and length.
	document = 131
)

// tellingBytes bounds the records of a rollup's legs and the documents of their bundles, in a
// block of so many bytes of certificates.
func tellingBytes(certificates int) (most int) {
	for legs := 1; legs <= order.MaxLegs; legs++ {
		one := record
		if legs > 1 {
			one += document + sibling*legs // what is more in one is more in the other
		}
		most = max(most, certificates/(summary+sibling*(legs-1))*one)
	}
	return most
}

func TestTheLargestBlockIsTaken(t *testing.T) {
	t.Parallel()
	const (
		rest = 1 << 20
	)
	p := ordering.DefaultParams()
	valid := func(change func(p *ordering.Params)) bool {
		q := p
		change(&q)
		return ordering.ValidateParams(q) == nil
	}
	greatest := func(from uint64, set func(p *ordering.Params, v uint64)) int {
		step := uint64(1) << 40
		for ; step > 0; step /= 2 {
			if valid(func(p *ordering.Params) { set(p, from+step) }) {
				from += step
			}
		}
		return int(from)
	}
	batches := greatest(p.MaxBlockCertificates, func(p *ordering.Params, v uint64) { p.MaxBlockCertificates = v })
	data := greatest(p.MaxBlockBytes, func(p *ordering.Params, v uint64) { p.MaxBlockBytes = v })
	certificates := greatest(p.MaxBlockCertificateBytes, func(p *ordering.Params, v uint64) { p.MaxBlockCertificateBytes = v })
	size := 2*data + tellingBytes(certificates) + rest + batches*voidOverhead()
	t.Logf("%d batches of %d bytes beside their data, %d bytes in all", batches, voidOverhead(), size)
	if size > follower.MaxBlockBytes {
		t.Errorf("a block may have %d bytes, followers take %d", size, follower.MaxBlockBytes)
	}
}

// The bounds hold where one validator has most of the stake and only the others answer,
// which takes the most shares, and the most shards.
func TestVoidOverheadIsBounded(t *testing.T) {
	t.Parallel()
	for _, percent := range []int64{0, 30, 67, 75, 81, 90, 99} {
		stakes := slices.Repeat([]int64{1e9 * (100 - percent)}, shard.MaxHolders)
		stakes[77] = max(1e9*(100-percent), 1e9*percent*(shard.MaxHolders-1))
		var holders []shard.Holder
		v := &orderv1.VoidBatch{Core: make([]byte, 200)}
		for i, stake := range stakes {
			owner := append(make([]byte, 19), byte(i))
			holders = append(holders, shard.Holder{Key: owner, Stake: stake})
			v.Holders = append(v.Holders, &orderv1.Holder{Owner: owner, Stake: stake})
		}
		layout, err := shard.NewLayout(holders)
		if err != nil {
			t.Fatal(err)
		}
		batch := bytes.Repeat([]byte{1}, 100)
		var coded shard.Coded
		if err := coded.Encode(layout, batch); err != nil {
			t.Fatal(err)
		}
		left := layout.DataShards()
		for i, h := range holders {
			run := layout.Range(h.Key)
			if run.Count = min(run.Count, left); i == 77 && percent > 0 || run.Count == 0 {
				continue
			}
			s, err := coded.Share(run)
			if err != nil {
				t.Fatal(err)
			}
			left -= run.Count
			v.Shares = append(v.Shares, s.Append(nil))
		}
		if got := proto.Size(v) - len(batch); got > voidOverhead() {
			t.Errorf("with %d%%: %d shares of %d shards take %d bytes, want at most %d", percent, len(v.Shares), layout.DataShards()-left, got, voidOverhead())
		} else {
			t.Logf("with %d%%: %d shares, k %d, T %d: %d bytes", percent, len(v.Shares), layout.DataShards(), layout.TotalShards(), got)
		}
	}
}

// A record takes no more than the bound, and a summary no less.
func TestRecordsAreSmallerThanSummaries(t *testing.T) {
	t.Parallel()
	r := order.LegRecord{
		BundleID: order.BundleID{1}, BundleIndex: 1<<18 - 1, LegIndex: order.MaxLegs - 1, LegCount: order.MaxLegs, Digest: order.Digest{1},
		Length: order.MaxBundleBytes, Count: order.MaxLegTransactions, Batch: order.BatchID{1}, BatchIndex: order.MaxBatchBundles - 1,
	}
	leg := &orderv1.RollupBlock{Legs: []*orderv1.RollupLeg{{Record: r.Proto()}}}
	if got := proto.Size(leg) + 3; got > 128 { // the leg's length takes up to 4 bytes
		t.Errorf("a leg has %d bytes beside its data, want at most 128", got)
	}
	for legs := 1; legs <= order.MaxLegs; legs++ {
		b := &order.Bundle{Expiry: 1}
		for i := range legs {
			b.Legs = append(b.Legs, order.Leg{RollupID: order.RollupID{1, byte(i)}, Transactions: [][]byte{{1}}})
		}
		s := b.Summary()
		h := order.BatchHeader{Bundles: []order.BundleSummary{s}}
		if got := h.Size() - (&order.BatchHeader{}).Size(); got < summary+sibling*(legs-1) {
			t.Errorf("a summary of %d legs has %d bytes, want at least %d", legs, got, summary+sibling*(legs-1))
		}
		s.Expiry, s.FeeLimit = math.MaxUint64, math.MaxUint64
		leg := &orderv1.RollupLeg{Bundle: s.Doc(strings.Repeat("x", order.MaxChainIDLen))}
		if got := proto.Size(leg) - sibling*legs; got > document {
			t.Errorf("a document of %d legs has %d bytes beside them, want at most %d", legs, got, document)
		}
	}
}
