package rollup

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// serveTally serves a machine as a client of astria.execution.v2, until stop.
func serveTally(t *testing.T, vm execution.Client, dir, address string, startHeight uint64) (listens string, stop func()) {
	t.Helper()
	server, err := astria.NewServer(vm, astria.ServerConfig{Dir: dir, Logger: slog.New(slog.DiscardHandler), Parameters: astria.Parameters{
		RollupID: execution.Hash(order.NewRollupID("alpha")), StartNumber: 1, ChainID: testChainID, StartHeight: startHeight,
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, server.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// A client of astria.execution.v2 makes one block of each sequencer block, in another
// process that ends and comes back, while the node waits for it.
func TestClientOverGRPC(t *testing.T) {
	t.Parallel()
	p := publish(t)
	p.put(t, p.blob(t, 1, 20))
	vm, dir := &shared{tally: newTally()}, t.TempDir()
	vm.heads[0].Time = p.doc.GenesisTime
	endpoint, stop := serveTally(t, vm, dir, "127.0.0.1:0", 1)
	address := freeAddress(t)
	home := p.home(t, func(o *InitOptions) {
		o.ChainID, o.Listen = 0, address
		o.Execution = Execution{Endpoint: "grpc://" + endpoint}
	})
	node := runNode(t, home, Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
	hash := "0x" + digest(transferTx(t, 0))
	finalized := func() bool {
		var s struct{ Status, BlockNumber string }
		_ = node.ask("ordo_transactionStatus", &s, hash)
		return s.Status == "finalized" && s.BlockNumber == "0x1"
	}
	await.Until(t, "the first transaction is finalized", finalized)
	head := func() uint64 {
		vm.mu.Lock()
		defer vm.mu.Unlock()
		return vm.firm.Number
	}
	await.Until(t, "20 blocks are firm", func() bool { return head() == 20 })
	stop()
	p.put(t, p.blob(t, 21, 40))
	serveTally(t, vm, dir, endpoint, 1)
	await.Until(t, "40 blocks are firm", func() bool { return head() == 40 })
	node.stop()
	if len(vm.heads) != 41 || vm.soft().Height != 40 {
		t.Errorf("%d blocks, the last one of height %d", len(vm.heads)-1, vm.soft().Height)
	}
}

// A client that begins elsewhere in the order is refused: its blocks would be others.
func TestClientThatBeginsElsewhere(t *testing.T) {
	t.Parallel()
	p := publish(t)
	endpoint, _ := serveTally(t, newTally(), t.TempDir(), "127.0.0.1:0", 7)
	home := p.home(t, func(o *InitOptions) { o.ChainID, o.Execution = 0, Execution{Endpoint: "grpc://" + endpoint} })
	err := Run(t.Context(), home, "test", slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "set start_height to 7") {
		t.Errorf("got %v", err)
	}
}

// leading is a tally that lets soft lead firm by three blocks.
type leading struct{ *tally }

func (v leading) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	if v.soft().Number >= v.firm.Number+3 {
		return execution.Result{}, execution.ErrAhead
	}
	return v.tally.Execute(ctx, parent, b)
}

// Where soft leads firm by all that the client allows, the soft order waits and DA gets in
// between.
func TestSoftWaitsForFirm(t *testing.T) {
	t.Parallel()
	blocks, _ := tallied()
	c := &crashing{vm: newTally(), fs: vfs.NewCrashableMem(), observed: make(map[uint64]bool)}
	c.open(t, execution.Pace{Every: true}, true)
	c.executor = alone{leading{c.vm}, execution.Pace{Every: true}}
	defer func() {
		if err := c.store.close(); err != nil {
			t.Error(err)
		}
	}()
	soft := make(chan error, 1)
	go func() {
		for _, b := range blocks {
			if err := c.onSoft(t.Context(), b); err != nil {
				soft <- err
				return
			}
		}
		soft <- nil
	}()
	await.Until(t, "soft leads by three blocks", func() bool { _, height, _ := c.state(); return height == 3 })
	for _, b := range blocks {
		if err := c.onFirm(t.Context(), b, nil); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-soft:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(await.Limit):
		t.Fatal("the soft order still waits")
	}
	if soft, height, firm := c.state(); soft.Number != 45 || height != 45 || firm != 45 {
		t.Errorf("block %d, height %d, firm %d", soft.Number, height, firm)
	}
}

// A node whose client lost blocks starts again by itself; one whose machine is the
// caller's cannot.
func TestWhoStartsAgain(t *testing.T) {
	t.Parallel()
	lost := errors.Join(errors.New("stage"), execution.ErrParent)
	for _, c := range []struct {
		name string
		mode string
		o    Options
		err  error
		want bool
	}{
		{"a client that lost blocks", ModeGRPC, Options{}, lost, true},
		{"an op-geth that lost blocks", ModeOP, Options{}, lost, true},
		{"the EVM in this process", ModeEVM, Options{}, lost, false},
		{"a leg that waits is void", ModeEVM, Options{}, errAgain, true},
		{"the caller's machine", ModeGo, Options{Client: newTally()}, errAgain, false},
		{"clients that disagree", ModeGRPC, Options{}, execution.ErrDisagree, false},
	} {
		cfg := DefaultConfig()
		cfg.Execution.Mode = c.mode
		if got := again(cfg, c.o, c.err); got != c.want {
			t.Errorf("%s: starts again: %v", c.name, got)
		}
	}
}

// A client that lost its last blocks gets them again from the order, whatever the node
// noted of them, and ends with the same chain.
func TestClientLosesBlocks(t *testing.T) {
	t.Parallel()
	blocks, _ := tallied()
	for _, pace := range []execution.Pace{{}, {BlockTime: time.Second}, {Every: true}} {
		want, _ := runTally(t, blocks, pace, true, false, -1, afterBlock)
		for lost := 1; lost < 4; lost++ {
			c := &crashing{vm: newTally(), fs: vfs.NewCrashableMem(), observed: make(map[uint64]bool)}
			c.open(t, pace, true)
			for _, b := range blocks[:35] {
				if err := c.onSoft(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			// Its state is made anew from what is left.
			left := c.vm.heads[:max(1, len(c.vm.heads)-lost)]
			soft := left[len(left)-1]
			c.vm.heads, c.vm.txs = left, nil
			for _, b := range blocks[:soft.Height] {
				for _, tx := range b.Transactions() {
					if !strings.HasPrefix(string(tx), "garbage") {
						c.vm.txs = append(c.vm.txs, string(tx))
					}
				}
			}
			if err := c.onSoft(t.Context(), blocks[35]); pace.Every && !errors.Is(err, execution.ErrParent) {
				t.Fatalf("a block on one that is lost: %v", err)
			}
			c.restart(t, pace, true)
			_, height, _ := c.state()
			if height < soft.Height || height > 36 {
				t.Fatalf("goes on from height %d, the client stands at %d", height, soft.Height)
			}
			for _, b := range blocks[height:] {
				if err := c.onSoft(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			if c.vm.soft() != want.soft() || !slices.Equal(c.vm.txs, want.txs) {
				t.Fatalf("%+v, %d blocks lost: head %+v, want %+v", pace, lost, c.vm.soft(), want.soft())
			}
			c.check(t, blocks, true)
			if err := c.store.close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A service says whether it tells what it skips; a machine in Go tells it.
func TestSilent(t *testing.T) {
	t.Parallel()
	if is := silent(noted{Client: new(astria.Client)}); is == nil || !is() {
		t.Error("a service that says nothing is taken at its word")
	}
	if silent(newTally()) != nil {
		t.Error("a machine in Go is not believed")
	}
}
