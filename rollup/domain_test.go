package rollup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/domain"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/killed"
)

var domainNames = []string{"alpha", "beta"}

// domainNode is what a process has of a domain: a driver of each rollup, at one table.
type domainNode struct {
	dir     string
	table   *table
	drivers []*driver
	clients []*evm.Client
}

// openDomain opens the drivers as their nodes do: at the same time.
func openDomain(t *testing.T, dir string, pace execution.Pace, start uint64) *domainNode {
	t.Helper()
	var cfgs []Config
	for _, name := range domainNames {
		cfgs = append(cfgs, Config{
			Name: name, StartHeight: 1, Domain: DomainConfig{Rollups: domainNames, StartHeight: start},
			Execution: ExecutionConfig{Mode: ModeEVM, BlockTime: config.Duration(pace.BlockTime)},
		})
	}
	x := &domainNode{dir: dir, table: newTable(cfgs), drivers: make([]*driver, len(cfgs))}
	var err error
	if x.table.journal, err = domain.OpenStore(filepath.Join(dir, "domain")); err != nil {
		t.Fatal(err)
	}
	for i, name := range domainNames {
		c, err := evm.New(evm.Config{DataDir: filepath.Join(dir, name, "evm"), Genesis: evm.DevGenesis(31337, nil), CacheMB: 8, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		st, err := openStore(filepath.Join(dir, name, "store"))
		if err != nil {
			t.Fatal(err)
		}
		x.clients = append(x.clients, c)
		x.drivers[i] = &driver{
			rollup: order.NewRollupID(name), client: c, store: st, first: 1, metrics: newMetrics(prometheus.NewRegistry()), now: time.Now,
			observe: func(context.Context, outcome) error { return nil },
		}
	}
	x.each(t, func(i int) error {
		exec, err := x.table.seat(i)(t.Context(), x.clients[i])
		if err != nil {
			return err
		}
		x.drivers[i].executor = exec
		return x.drivers[i].open(t.Context())
	})
	return x
}

// each runs f for all rollups at the same time.
func (x *domainNode) each(t *testing.T, f func(i int) error) {
	t.Helper()
	errs := make([]error, len(x.drivers))
	var wg sync.WaitGroup
	for i := range x.drivers {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func (x *domainNode) close(t *testing.T) {
	t.Helper()
	err := x.table.journal.Close()
	for i := range x.drivers {
		err = errors.Join(err, x.clients[i].Close(), x.drivers[i].store.close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (x *domainNode) heads() (out []execution.Head) {
	for _, d := range x.drivers {
		soft, _, _ := d.state()
		out = append(out, soft)
	}
	return out
}

// feed gives each driver its blocks from where it stands.
func (x *domainNode) feed(t *testing.T, ordered [][]*follower.Block) {
	t.Helper()
	x.each(t, func(i int) error {
		_, height, _ := x.drivers[i].state()
		for _, b := range ordered[i][height:] {
			if err := x.drivers[i].onSoft(t.Context(), b); err != nil {
				return fmt.Errorf("%s: %w", domainNames[i], err)
			}
		}
		return nil
	})
}

// domainOrder is 45 blocks of the order for both rollups, 100 ms apart. Every third holds a
// bundle over both: all or nothing, of which every second has a leg that fails, in turn on
// the one and on the other. Others hold something for one of them.
func domainOrder(t *testing.T) (ordered [][]*follower.Block, applied int) {
	t.Helper()
	ordered = make([][]*follower.Block, 2)
	var siblings []order.LegSummary
	for _, name := range domainNames {
		siblings = append(siblings, order.LegSummary{RollupID: order.NewRollupID(name)})
	}
	nonces := make([]uint64, 2)
	for h := uint64(1); h <= 45; h++ {
		header := testBlock(h)
		for i := range ordered {
			b := *header
			ordered[i] = append(ordered[i], &b)
		}
		add := func(i, index, count int, txs ...[]byte) {
			b := ordered[i][h-1]
			l := follower.Leg{LegRecord: order.LegRecord{
				BundleID: order.BundleID(sha256.Sum256(fmt.Append(nil, h, index))), BundleIndex: uint64(index), LegCount: uint64(count),
			}, Transactions: txs}
			if count > 1 {
				l.LegIndex, l.Siblings = uint64(i), siblings
			}
			b.Legs = append(b.Legs, l)
		}
		if h%5 == 0 {
			i := int(h/5) % 2
			add(i, 0, 1, transferTx(t, nonces[i]), []byte("garbage"))
			nonces[i]++
		}
		if h%3 == 0 {
			fails := -1
			if h%2 == 0 {
				fails = int(h/6) % 2
			}
			for i := range ordered {
				nonce := nonces[i]
				if i == fails {
					nonce += 5
				}
				add(i, 1, 2, terms.Terms{AllOrNothing: true}.Encode(), transferTx(t, nonce))
			}
			if fails < 0 {
				applied++
				nonces[0]++
				nonces[1]++
			}
		}
	}
	return ordered, applied
}

// Whoever's stream is ahead, and wherever the process is killed, the rollups of a domain
// come to the same blocks, with every bundle over both applied on both or on none.
func TestDomainNode(t *testing.T) {
	t.Parallel()
	ordered, bundles := domainOrder(t)
	for _, pace := range []execution.Pace{{}, {BlockTime: time.Second}} {
		for _, start := range []uint64{1, 20} {
			t.Run(fmt.Sprintf("%s from %d", pace.BlockTime, start), func(t *testing.T) {
				t.Parallel()
				want := openDomain(t, t.TempDir(), pace, start)
				defer want.close(t)
				want.feed(t, ordered)
				if start == 1 && pace.BlockTime == 0 {
					for i, c := range want.clients {
						s, err := c.BlockChain().State()
						if err != nil {
							t.Fatal(err)
						}
						singles := 0
						for _, b := range ordered[i] {
							for _, l := range b.Legs {
								if l.LegCount == 1 {
									singles++
								}
							}
						}
						if got := s.GetBalance(common.HexToAddress("0xbeef")).Uint64(); got != uint64(bundles+singles) {
							t.Errorf("%s applied %d transfers, want %d of bundles over both and %d others", domainNames[i], got, bundles, singles)
						}
					}
				}
				// One is fed to a height and the other waits for it there; then all are
				// killed, and go on.
				got := openDomain(t, t.TempDir(), pace, start)
				for _, cut := range [][2]int{{7, 3}, {21, 26}, {33, 33}, {40, 44}} {
					ctx, stop := context.WithCancel(t.Context())
					var wg sync.WaitGroup
					for i, d := range got.drivers {
						wg.Go(func() {
							_, height, _ := d.state()
							for _, b := range ordered[i][min(int(height), cut[i]):cut[i]] {
								if err := d.onSoft(ctx, b); err != nil {
									if !errors.Is(err, context.Canceled) {
										t.Errorf("%s: %v", domainNames[i], err)
									}
									return
								}
							}
							if cut[i] == min(cut[0], cut[1]) {
								stop()
							}
						})
					}
					wg.Wait()
					stop()
					got = got.killed(t, pace, start)
				}
				got.feed(t, ordered)
				if a, b := got.heads(), want.heads(); !slices.Equal(a, b) {
					t.Errorf("heads %+v after crashes, want %+v", a, b)
				}
				for i, head := range want.heads() {
					if head.Number < 4 || pace.BlockTime == 0 && head.Number < 20 {
						t.Errorf("%s made %d blocks", domainNames[i], head.Number)
					}
				}
				got.close(t)
			})
		}
	}
}

// killed opens what the process left on disk.
func (x *domainNode) killed(t *testing.T, pace execution.Pace, start uint64) *domainNode {
	t.Helper()
	dir := killed.Copy(t, x.dir)
	x.close(t)
	return openDomain(t, dir, pace, start)
}

// A member whose block is on disk, and noted, does not lose the other's: what a kill left
// between the two is ended before either goes on.
func TestDomainNodeHalfDone(t *testing.T) {
	t.Parallel()
	ordered, _ := domainOrder(t)
	want := openDomain(t, t.TempDir(), execution.Pace{}, 1)
	defer want.close(t)
	want.feed(t, ordered)

	got := openDomain(t, t.TempDir(), execution.Pace{}, 1)
	// Beta's block of height 9, with a bundle over both, is not written.
	got.each(t, func(i int) error {
		for _, b := range ordered[i][:8] {
			if err := got.drivers[i].onSoft(t.Context(), b); err != nil {
				return err
			}
		}
		return nil
	})
	before := filepath.Join(t.TempDir(), "beta")
	got.close(t)
	if err := os.CopyFS(before, os.DirFS(filepath.Join(got.dir, "beta"))); err != nil {
		t.Fatal(err)
	}
	got = openDomain(t, got.dir, execution.Pace{}, 1)
	got.each(t, func(i int) error { return got.drivers[i].onSoft(t.Context(), ordered[i][8]) })
	got.close(t)
	if err := errors.Join(os.RemoveAll(filepath.Join(got.dir, "beta")), os.CopyFS(filepath.Join(got.dir, "beta"), os.DirFS(before))); err != nil {
		t.Fatal(err)
	}
	got = openDomain(t, got.dir, execution.Pace{}, 1)
	if h := got.heads(); h[0].Height != 9 || h[1].Height != 9 {
		t.Errorf("the rollups stand at %d and %d, want 9", h[0].Height, h[1].Height)
	}
	got.feed(t, ordered)
	if a, b := got.heads(), want.heads(); !slices.Equal(a, b) {
		t.Errorf("heads %+v after a crash between two rollups, want %+v", a, b)
	}
	got.close(t)
}

// What one node has passed before a kill, without a block, and the other has not noted, is
// not made now.
func TestDomainNodePassed(t *testing.T) {
	t.Parallel()
	x := openDomain(t, t.TempDir(), execution.Pace{}, 1)
	defer x.close(t)
	offer := func(i int, height uint64, txs ...[]byte) (execution.Result, bool) {
		b := newBlock(order.NewRollupID(domainNames[i]), testBlock(height, txs...))
		b.Hash = testBlock(height).Hash
		res, made, err := x.drivers[i].executor.offer(t.Context(), x.heads()[i], b.behind(nil))
		if err != nil {
			t.Errorf("%s at %d: %v", domainNames[i], height, err)
		}
		return res, made
	}
	x.each(t, func(i int) error {
		for height := uint64(4 + 2*i); height < 6; height++ {
			if _, made := offer(i, height); made {
				t.Errorf("%s made a block of height %d, which the other has passed", domainNames[i], height)
			}
		}
		var txs [][]byte
		if i == 1 {
			txs = append(txs, transferTx(t, 0))
		}
		if res, made := offer(i, 6, txs...); !made || res.Head.Height != 6 {
			t.Errorf("%s made no block of height 6", domainNames[i])
		}
		return nil
	})
}
