package rollup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

var (
	_ execution.Recaller = noTerms{}
	_ execution.Recaller = (*engine.OP)(nil)
)

// unnoted kills the node behind the n-th rollup block, before it has noted anything.
type unnoted struct {
	executor
	left int
}

func (u *unnoted) offer(ctx context.Context, soft execution.Head, b execution.Block) (execution.Result, bool, error) {
	res, made, err := u.executor.offer(ctx, soft, b)
	if err == nil && made {
		if u.left--; u.left == 0 {
			return res, made, errKilled
		}
	}
	return res, made, err
}

// skippingOrder is 40 blocks of the order: transfers, one too early, garbage, and legs with
// terms, some of which do not hold.
func skippingOrder(t *testing.T) (blocks []*follower.Block) {
	t.Helper()
	nonce := uint64(0)
	next := func() []byte { nonce++; return transferTx(t, nonce-1) }
	for h := uint64(1); h <= 40; h++ {
		b := testBlock(h)
		add := func(txs ...[]byte) {
			i := len(b.Legs)
			id := order.BundleID(order.LegDigest([][]byte{fmt.Append(nil, h, i)}))
			b.Legs = append(b.Legs, follower.Leg{LegRecord: order.LegRecord{BundleID: id, BundleIndex: uint64(i), LegCount: 1}, Transactions: txs})
		}
		switch h % 5 {
		case 0:
			add(next(), []byte("garbage"), next())
		case 1:
			add(transferTx(t, nonce+7), next())
		case 2:
			add(terms.Terms{AllOrNothing: true}.Encode(), transferTx(t, nonce), []byte("garbage"))
			add(terms.Terms{AllOrNothing: true}.Encode(), next(), next())
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// A node that is killed between the EVM's block and its note of it finds out what the
// block was made from, and what was skipped and why, as a node that was not killed.
func TestRecordsAfterACrashBeforeTheNote(t *testing.T) {
	t.Parallel()
	blocks := skippingOrder(t)
	feed := func(n *testNode) {
		_, height, _ := n.state()
		for _, b := range blocks[height:] {
			if err := n.onSoft(t.Context(), b); err != nil && !errors.Is(err, errKilled) {
				t.Fatal(err)
			} else if err != nil {
				return
			}
		}
	}
	for _, pace := range []execution.Pace{{}, {BlockTime: time.Second}} {
		t.Run(pace.BlockTime.String(), func(t *testing.T) {
			t.Parallel()
			open := func(dir string) *testNode {
				n, err := reopenWith(t, dir, pace)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			whole := open(t.TempDir())
			defer whole.close(t)
			feed(whole)
			soft, _, _ := whole.state()
			want := madeUpTo(t, whole.store, soft.Number)
			if soft.Number < 3 || len(want[1].Skipped) == 0 {
				t.Fatalf("%d blocks, the second of %+v", soft.Number, want[1])
			}
			dir := t.TempDir()
			for range 4 {
				n := open(dir)
				n.executor = &unnoted{n.executor, 2}
				feed(n)
				n.close(t)
			}
			n := open(dir)
			defer n.close(t)
			feed(n)
			sameMade(t, "after crashes", madeUpTo(t, n.store, soft.Number), want)
		})
	}
}

// Where the disk lost the notes of several blocks, each is told again.
func TestRecordsOfSeveralBlocksLost(t *testing.T) {
	t.Parallel()
	blocks := skippingOrder(t)
	dir := t.TempDir()
	n := openNode(t, dir)
	for _, b := range blocks {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	soft, _, _ := n.state()
	want := madeUpTo(t, n.store, soft.Number)
	lost := n.store.db.NewBatch()
	err := errors.Join(
		lost.DeleteRange(heightKey(keyRecord, 30), heightKey(keyRecord, 41), nil),
		lost.DeleteRange(heightKey(keyMade, want[len(want)-9].From), heightKey(keyMade, soft.Number+1), nil), lost.Commit(nil))
	if err != nil {
		t.Fatal(err)
	}
	n.close(t)

	n = openNode(t, dir)
	defer n.close(t)
	_, height, _ := n.state()
	if height != 29 {
		t.Fatalf("goes on from height %d", height)
	}
	for _, b := range blocks[height:] {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if now, _, _ := n.state(); now != soft {
		t.Fatalf("the soft head moved to %+v from %+v", now, soft)
	}
	sameMade(t, "after the loss", madeUpTo(t, n.store, soft.Number), want)
}

// A node that lost all notes goes on, and says nothing of what it cannot know.
func TestNothingIsMadeUp(t *testing.T) {
	t.Parallel()
	blocks := skippingOrder(t)
	dir := t.TempDir()
	n, err := reopenWith(t, dir, execution.Pace{BlockTime: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blocks[:30] {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	soft, _, _ := n.state()
	n.close(t)
	if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	if n, err = reopenWith(t, dir, execution.Pace{BlockTime: time.Second}); err != nil {
		t.Fatal(err)
	}
	defer n.close(t)
	var forgotten []uint64
	n.observe = func(_ context.Context, o outcome) error {
		if o.Forgotten {
			forgotten = append(forgotten, o.Blocks[len(o.Blocks)-1].Height)
		}
		return nil
	}
	_, height, _ := n.state()
	for _, b := range blocks[height:] {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if _, known, err := n.store.made(soft.Number); err != nil || known || len(forgotten) != 1 || forgotten[0] != soft.Height {
		t.Fatalf("the block before the loss is known: %v, %v; forgotten %v, want %d", known, err, forgotten, soft.Height)
	}
	s, err := n.evm.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.GetBalance(common.HexToAddress("0xbeef")).Uint64(); got != 40 {
		t.Fatalf("applied %d transfers, want 40", got)
	}
}

// In a domain, verdicts are part of what a block was made from.
func TestDomainRecordsAfterACrash(t *testing.T) {
	t.Parallel()
	ordered, _ := domainOrder(t)
	want := openDomain(t, t.TempDir(), execution.Pace{}, 1)
	defer want.close(t)
	want.feed(t, ordered)

	got := openDomain(t, t.TempDir(), execution.Pace{}, 1)
	// Height 12 has a bundle over both that is refused for alpha's leg: none notes it.
	for _, d := range got.drivers {
		d.executor = &unnoted{d.executor, -1}
	}
	for h := range 12 {
		got.each(t, func(i int) error {
			if h == 11 {
				got.drivers[i].executor.(*unnoted).left = 1
			}
			if err := got.drivers[i].onSoft(t.Context(), ordered[i][h]); err != nil && !errors.Is(err, errKilled) {
				return err
			}
			return nil
		})
	}
	got = got.killed(t, execution.Pace{}, 1)
	got.feed(t, ordered)
	for i, head := range want.heads() {
		sameMade(t, domainNames[i], madeUpTo(t, got.drivers[i].store, head.Number), madeUpTo(t, want.drivers[i].store, head.Number))
	}
	got.close(t)
}

// What a service over gRPC skipped is known after a crash before the node noted it.
func TestSkippedOverGRPCAfterACrash(t *testing.T) {
	t.Parallel()
	vm, home := &shared{tally: newTally()}, t.TempDir()
	endpoint, _ := serveTally(t, vm, filepath.Join(home, "index"), "127.0.0.1:0", 1)
	// open opens a node that is killed before it notes its next block.
	open := func() *driver {
		st, err := openStore(filepath.Join(home, "node"))
		if err != nil {
			t.Fatal(err)
		}
		cfg := DefaultConfig()
		cfg.Execution = ExecutionConfig{Mode: ModeGRPC, Endpoint: "grpc://" + endpoint}
		cfg.Name, cfg.StartHeight = "alpha", 1
		trust, err := follower.TrustGenesis(newSignedChain().doc)
		if err != nil {
			t.Fatal(err)
		}
		n := &Node{cfg: cfg, id: order.NewRollupID("alpha"), trust: trust, store: st, log: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
		m, err := n.openGRPC(t.Context(), home)
		if err != nil {
			t.Fatal(err)
		}
		d := &driver{
			rollup: n.id, client: m.client(), executor: &unnoted{alone{m.client(), cfg.pace()}, 1}, store: st, first: 1, hash: m.hash,
			metrics: newMetrics(n.registry), now: time.Now, observe: func(context.Context, outcome) error { return nil },
		}
		if err := d.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		return d
	}
	blocks, _ := tallied()
	known := 0
	for made := 0; made < 3; {
		d := open()
		_, height, _ := d.state()
		for _, b := range blocks[height:] {
			if err := d.onSoft(t.Context(), b); errors.Is(err, errKilled) {
				made++
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(d.client.Close(), d.store.close()); err != nil {
			t.Fatal(err)
		}
	}
	d := open()
	soft, height, _ := d.state()
	for _, b := range blocks[height:soft.Height] {
		if err := d.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range blocks[:soft.Height] {
		for _, tx := range b.Transactions() {
			_, executed, err := d.store.place(sha256.Sum256(tx))
			if err != nil || executed == strings.HasPrefix(string(tx), "garbage") {
				t.Errorf("%s is executed: %v, %v", tx, executed, err)
			}
			known++
		}
	}
	if known < 4 {
		t.Errorf("%d transactions", known)
	}
	if err := errors.Join(d.client.Close(), d.store.close()); err != nil {
		t.Fatal(err)
	}
}

// A node that is killed again while it takes in what a crash kept from being noted does
// not fall back behind what it has noted meanwhile.
func TestKilledAgainBelowTheSoftHead(t *testing.T) {
	t.Parallel()
	blocks, dir := skippingOrder(t), t.TempDir()
	open := func() *testNode {
		n, err := reopenWith(t, dir, execution.Pace{BlockTime: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	feed := func(n *testNode, to uint64) {
		_, height, _ := n.state()
		for _, b := range blocks[height:to] {
			if err := n.onSoft(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	n := open()
	feed(n, 40)
	soft, _, _ := n.state()
	want := madeUpTo(t, n.store, soft.Number)
	second := want[1]
	lost := n.store.db.NewBatch()
	err := errors.Join(
		lost.DeleteRange(heightKey(keyRecord, second.To+1), heightKey(keyRecord, 41), nil),
		lost.DeleteRange(heightKey(keyMade, 3), heightKey(keyMade, soft.Number+1), nil), lost.Commit(nil))
	if err != nil {
		t.Fatal(err)
	}
	n.close(t)
	n = open()
	feed(n, second.To+5)
	n.close(t)
	n = open()
	defer n.close(t)
	if _, height, _ := n.state(); height != second.To+5 || len(n.gathered) == 0 {
		t.Fatalf("goes on from height %d with %d gathered blocks, want %d", height, len(n.gathered), second.To+5)
	}
	feed(n, 40)
	sameMade(t, "after two crashes", madeUpTo(t, n.store, soft.Number), want)
}

// Where nobody knows what was skipped, legs that the client was not given do not count as
// applied: nobody applied them.
func TestWithheldIsNotApplied(t *testing.T) {
	t.Parallel()
	vm := noTerms{newTally()}
	b := execution.Block{Height: 5, Legs: []execution.Leg{{Transactions: 1}, {Transactions: 2}, {Transactions: 1}}}
	b.Transactions = [][]byte{[]byte("one"), terms.Terms{AllOrNothing: true}.Encode(), []byte("two"), []byte("three")}
	d := &driver{client: vm, executor: alone{client: vm}, hash: func(tx []byte) [32]byte { return sha256.Sum256(tx) }}
	d.at.soft = execution.Head{Number: 1, Height: 5}
	res, made, err := d.again(t.Context(), b)
	if err != nil || !made || res.Head != d.at.soft {
		t.Fatalf("%+v, %v, %v", res, made, err)
	}
	if len(res.Skipped) != 2 || res.Skipped[0].Index != 1 || res.Skipped[1].Index != 2 || res.Skipped[0].Reason != reasonNoTerms {
		t.Errorf("skipped %+v", res.Skipped)
	}
}
