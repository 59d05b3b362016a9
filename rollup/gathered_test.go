package rollup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// tally is a virtual machine whose state is the list of what it executed. It stands for
// a client whose disk loses nothing: a crash of the node leaves it as it is.
type tally struct {
	heads []execution.Head // from genesis on
	txs   []string
	firm  execution.Head

	tells bool // again what it returned last
	of    execution.Block
	last  execution.Result
}

func newTally() *tally {
	genesis := execution.Head{Hash: sha256.Sum256([]byte("genesis")), Time: genesisTime}
	return &tally{heads: []execution.Head{genesis}, firm: genesis}
}

func (v *tally) soft() execution.Head { return v.heads[len(v.heads)-1] }

func (v *tally) Open(context.Context) (execution.Session, error) {
	return execution.Session{Soft: v.soft(), Firm: v.firm}, nil
}

func (v *tally) Execute(_ context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	soft := v.soft()
	switch {
	case parent != soft.Hash:
		return execution.Result{}, execution.ErrParent
	case b.Height <= soft.Height:
		return execution.Result{}, execution.ErrHeight
	}
	h := sha256.New()
	h.Write(parent[:])
	h.Write(b.Hash[:])
	n := 0
	for _, l := range b.Legs {
		if l.Height <= soft.Height || l.Height > b.Height {
			return execution.Result{}, fmt.Errorf("leg of height %d in a block from %d to %d", l.Height, soft.Height+1, b.Height)
		}
		n += l.Transactions
	}
	if n != len(b.Transactions) {
		return execution.Result{}, fmt.Errorf("legs of %d transactions, block of %d", n, len(b.Transactions))
	}
	var res execution.Result
	for i, tx := range b.Transactions {
		fmt.Fprintf(h, "%q", tx)
		if strings.HasPrefix(string(tx), "garbage") {
			res.Skipped = append(res.Skipped, execution.Skipped{Index: i, Reason: "garbage"})
			continue
		}
		v.txs = append(v.txs, string(tx))
	}
	res.Head = execution.Head{Number: soft.Number + 1, Hash: execution.Hash(h.Sum(nil)), Height: b.Height, Time: b.Time}
	v.heads = append(v.heads, res.Head)
	v.of, v.last = b, res
	return res, nil
}

func (v *tally) Recall(_ context.Context, b execution.Block) (execution.Result, bool, error) {
	ok := v.tells && b.Hash == v.of.Hash && len(b.Transactions) == len(v.of.Transactions)
	return v.last, ok, nil
}

func (v *tally) SetFirm(_ context.Context, firm execution.Hash) error {
	i := slices.IndexFunc(v.heads, func(h execution.Head) bool { return h.Hash == firm })
	if i < 0 || v.heads[i].Number < v.firm.Number {
		return execution.ErrFirm
	}
	v.firm = v.heads[i]
	return nil
}

func (v *tally) Close() error { return nil }

// crash is a point where a node may be killed.
type crash int

const (
	afterBlock   crash = iota // between two blocks
	beforeNote                // the client has executed, and the node has noted nothing
	beforeTold                // it is noted, and the gateway was not told
	withoutPower              // between two blocks, and what was not synced is lost
	crashes
)

// crashing is a node that crashes.
type crashing struct {
	*driver
	vm       *tally
	fs       *vfs.MemFS
	point    crash
	observed map[uint64]bool
	crashed  [2]int
}

var errKilled = errors.New("killed")

func (c *crashing) open(t *testing.T, pace execution.Pace, indexed bool) {
	t.Helper()
	st, err := openStoreOn(c.fs, "store")
	if err != nil {
		t.Fatal(err)
	}
	c.driver = &driver{
		rollup: order.NewRollupID("alpha"), client: c.vm, executor: c.killable(alone{c.vm, pace}), store: st, first: 1,
		metrics: newMetrics(prometheus.NewRegistry()), now: time.Now,
		observe: func(_ context.Context, o outcome) error {
			if c.point == beforeTold {
				return errKilled
			}
			for _, b := range o.Blocks {
				c.observed[b.Height] = true
			}
			return nil
		},
	}
	if indexed {
		c.hash = func(tx []byte) [32]byte { return sha256.Sum256(tx) }
	}
	if err := c.driver.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Of what was told before the crash, or is read again and told, nothing is missing.
	for h := uint64(1); h <= c.told(); h++ {
		c.observed[h] = true
	}
}

// killable makes an executor whose node may be killed behind it.
func (c *crashing) killable(e executor) executor { return killable{e, c} }

type killable struct {
	executor
	c *crashing
}

func (k killable) offer(ctx context.Context, soft execution.Head, b execution.Block) (execution.Result, bool, error) {
	res, made, err := k.executor.offer(ctx, soft, b)
	if err == nil && made && k.c.point == beforeNote {
		return res, made, errKilled
	}
	return res, made, err
}

// restart kills the node, where it is not killed already, and opens what is on disk.
func (c *crashing) restart(t *testing.T, pace execution.Pace, indexed bool) {
	t.Helper()
	left := 100
	if c.point == withoutPower {
		left = 0
	}
	fs := c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: left, RNG: rand.New(rand.NewPCG(1, 2))})
	if err := c.store.close(); err != nil {
		t.Fatal(err)
	}
	c.fs, c.point = fs, afterBlock
	c.open(t, pace, indexed)
}

// tallied are 45 blocks of the order for a tally, 100 ms apart: most hold something, some a
// bundle with a leg for another rollup, some two legs for this one.
func tallied() (blocks []*follower.Block, txs []string) {
	for h := uint64(1); h <= 45; h++ {
		b := testBlock(h)
		for i := range []int{1, 1, 2, 1, 0, 0, 0}[h%7] {
			l := follower.Leg{LegRecord: order.LegRecord{BundleID: order.BundleID(sha256.Sum256(fmt.Append(nil, h, i/2))), BundleIndex: uint64(i / 2), LegIndex: uint64(i), LegCount: 1}}
			l.Transactions = [][]byte{fmt.Append(nil, "tx ", h, " ", i), fmt.Append(nil, "garbage ", h, " ", i)}
			if i == 1 {
				l.LegCount, l.Siblings = 2, []order.LegSummary{{RollupID: order.NewRollupID("beta")}, {RollupID: order.NewRollupID("alpha")}}
			}
			txs = append(txs, string(l.Transactions[0]))
			b.Legs = append(b.Legs, l)
		}
		blocks = append(blocks, b)
	}
	return blocks, txs
}

// Wherever a node is killed, and whatever the disk had of it, it goes on to the same
// chain: no transaction is lost or executed twice, and the gateway hears of each height.
func TestCrashAtAnyPoint(t *testing.T) {
	t.Parallel()
	for _, pace := range []execution.Pace{{}, {BlockTime: time.Second}, {BlockTime: 2 * time.Second}, {Every: true}} {
		for _, indexed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v/%v", pace.BlockTime, pace.Every, indexed), func(t *testing.T) {
				t.Parallel()
				blocks, txs := tallied()
				want, wantMade := runTally(t, blocks, pace, indexed, true, -1, afterBlock)
				if made := want.soft().Number; !pace.Every && (made < 2 || made > 40) {
					t.Fatalf("%d rollup blocks", made)
				}
				if n := len(want.txs); n < 20 || !slices.Equal(want.txs, txs[:n]) {
					t.Fatalf("executed %v", want.txs)
				}
				for at := range blocks {
					for point := range crashes {
						tells := at%3 != 0
						got, made := runTally(t, blocks, pace, indexed, tells, at, point)
						if indexed && tells { // what was not synced may be lost
							sameMade(t, fmt.Sprintf("crash %d at %d", point, at), made, wantMade)
						}
						if got.soft() != want.soft() || !slices.Equal(got.txs, want.txs) {
							t.Fatalf("crash %d at %d: head %+v, want %+v; executed %v", point, at, got.soft(), want.soft(), got.txs)
						}
					}
				}
			})
		}
	}
}

// runTally feeds a node that crashes once, at a block, and returns what it executed, and
// what it says that this was made from.
func runTally(t *testing.T, blocks []*follower.Block, pace execution.Pace, indexed, tells bool, at int, point crash) (*tally, []made) {
	t.Helper()
	at0 := at
	c := &crashing{vm: newTally(), fs: vfs.NewCrashableMem(), observed: make(map[uint64]bool)}
	c.vm.tells = tells
	c.open(t, pace, indexed)
	for i := 0; i < len(blocks); i++ {
		now := i == at
		if now {
			c.point, at = point, -1
		}
		if err := c.onSoft(t.Context(), blocks[i]); err != nil && !errors.Is(err, errKilled) {
			t.Fatalf("crash %d at %d, block %d: %v", point, at, i+1, err)
		}
		if now {
			c.restart(t, pace, indexed)
			_, height, _ := c.state()
			i = int(height) - 1
		}
	}
	c.crashed = [2]int{int(point), at0}
	c.check(t, blocks, indexed)
	all := madeUpTo(t, c.store, c.vm.soft().Number)
	if err := c.store.close(); err != nil {
		t.Fatal(err)
	}
	return c.vm, all
}

// sameMade compares what two nodes know of their blocks.
func sameMade(t *testing.T, when string, got, want []made) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d blocks, want %d", when, len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: block %d was made from\n%+v, want\n%+v", when, i+1, got[i], want[i])
		}
	}
}

// madeUpTo is what a store knows of all blocks.
func madeUpTo(t *testing.T, s *store, number uint64) (all []made) {
	t.Helper()
	for n := uint64(1); n <= number; n++ {
		m, _, err := s.made(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range m.Bundles {
			if height, ok, err := s.bundleHeight(id); err != nil || !ok || height < m.From || height > m.To {
				t.Fatalf("bundle %s of block %d, made from heights %d to %d, is of height %d: %v, %v", id, n, m.From, m.To, height, ok, err)
			}
		}
		all = append(all, m)
	}
	return all
}

// check looks at what the node tells of a chain of which the last block may wait.
func (c *crashing) check(t *testing.T, blocks []*follower.Block, indexed bool) {
	t.Helper()
	soft, height, _ := c.state()
	if height != uint64(len(blocks)) {
		t.Fatalf("came to height %d", height)
	}
	for h := uint64(1); h <= c.told(); h++ {
		if !c.observed[h] {
			t.Fatalf("the gateway never heard of height %d", h)
		}
	}
	for _, b := range blocks {
		for _, tx := range b.Transactions() {
			p, ok, err := c.store.place(sha256.Sum256(tx))
			if err != nil {
				t.Fatal(err)
			}
			// After a crash before it was noted, what was skipped is known if the client tells.
			if garbage := strings.HasPrefix(string(tx), "garbage"); ok && garbage && c.vm.tells {
				t.Fatalf("crash %d: %s of height %d was skipped, and is at %+v", c.crashed, tx, b.Height, p)
			}
			should := indexed && b.Height <= soft.Height && !strings.HasPrefix(string(tx), "garbage")
			if should && (!ok || p.Height != b.Height || c.vm.heads[p.Block].Height < b.Height || c.vm.heads[p.Block-1].Height >= b.Height) {
				t.Fatalf("crash %d: %s of height %d is at %+v, %v", c.crashed, tx, b.Height, p, ok)
			}
			if ok && (!indexed || b.Height > soft.Height) {
				t.Fatalf("%s of height %d is at %+v", tx, b.Height, p)
			}
		}
	}
}

// A rollup block is firm when all is that it was made from, not before.
func TestFirmInsideOfWhatWasGathered(t *testing.T) {
	t.Parallel()
	blocks, _ := tallied()
	c := &crashing{vm: newTally(), fs: vfs.NewCrashableMem(), observed: make(map[uint64]bool)}
	pace := execution.Pace{BlockTime: 2 * time.Second}
	c.open(t, pace, false)
	defer func() {
		if err := c.store.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, b := range blocks {
		if err := c.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range blocks {
		if b.Height == 25 {
			c.restart(t, pace, false)
		}
		if err := c.onFirm(t.Context(), b, nil); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(c.vm.heads, func(h execution.Head) bool { return h.Height > b.Height })
		if i < 0 {
			i = len(c.vm.heads)
		}
		if want := c.vm.heads[i-1]; c.vm.firm != want {
			t.Fatalf("firm up to height %d: firm head %+v, want %+v", b.Height, c.vm.firm, want)
		}
	}
}

// A leg that is proven to be void while it waits is not executed: the node reads the
// block again, and says so.
func TestVoidWhileItWaits(t *testing.T) {
	t.Parallel()
	c := &crashing{vm: newTally(), fs: vfs.NewCrashableMem(), observed: make(map[uint64]bool)}
	pace := execution.Pace{BlockTime: time.Second}
	c.open(t, pace, false)
	defer func() {
		if err := c.store.close(); err != nil {
			t.Error(err)
		}
	}()
	proven, data := voidBlocks(t, 2)
	for _, b := range []*follower.Block{testBlock(1), data, testBlock(3, []byte("tx 3"))} {
		if err := c.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.onFirm(t.Context(), testBlock(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := c.onFirm(t.Context(), proven, nil); !errors.Is(err, errAgain) || errors.Is(err, ErrVoidExecuted) {
		t.Fatalf("proof of what waits: %v", err)
	}
	c.restart(t, pace, false)
	if _, height, _ := c.state(); height != 1 || len(c.gathered) != 0 {
		t.Fatalf("goes on from height %d with %d gathered blocks", height, len(c.gathered))
	}
	for h, b := range []*follower.Block{proven, testBlock(3, []byte("tx 3")), testBlock(10)} {
		b.Height = uint64(h + 2)
		if err := c.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{string(transferTx(t, 0)), "tx 3"}; c.vm.soft().Number != 1 || !slices.Equal(c.vm.txs, want) {
		t.Fatalf("block %d, executed %d transactions", c.vm.soft().Number, len(c.vm.txs))
	}
}

// What was never due is told of: a genesis that lies ahead of the order would gather for ever.
func TestGenesisAheadOfTheOrder(t *testing.T) {
	t.Parallel()
	c := &crashing{vm: newTally(), fs: vfs.NewCrashableMem(), observed: make(map[uint64]bool)}
	c.vm.heads[0].Time = genesisTime.Add(time.Hour)
	c.open(t, execution.Pace{BlockTime: time.Second}, false)
	defer func() {
		if err := c.store.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := c.onSoft(t.Context(), testBlock(1)); err != nil {
		t.Fatal(err)
	}
	if err := c.onSoft(t.Context(), testBlock(2, []byte("tx"))); !errors.Is(err, execution.ErrTime) || !strings.Contains(err.Error(), "genesis") {
		t.Fatalf("got %v", err)
	}
}
