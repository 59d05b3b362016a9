package ordorpc_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/test/await"
)

const chainID = "test-1"

var rollupID = order.NewRollupID("kv")

// rollup is a rollup of opaque transactions behind a plain door, with a sequencer that
// orders when the test says so. Its virtual machine executes all but what begins with "bad".
type rollup struct {
	t       testing.TB
	gateway *gateway.Gateway
	server  *ordorpc.Server
	addr    string
	rpc     *rpc.Client

	mu       sync.Mutex
	height   uint64
	pool     []*order.Bundle
	seen     map[order.BundleID]bool
	bundles  map[order.BundleID]uint64
	blocks   []ordorpc.Block // the first is genesis
	records  map[uint64]ordorpc.Record
	orders   map[uint64]*orderv1.RollupBlock
	places   map[[32]byte]ordorpc.Place
	firm     uint64 // block
	certain  map[[32]byte]bool
	fetched  int // sequencer blocks
	unfunded bool
	lag      uint64 // heights that the node has executed and not noted yet
}

func (r *rollup) String() string { return "test" }

func (r *rollup) SubmitBundle(_ context.Context, sign gateway.SignFor) error {
	b, err := order.DecodeBundle(sign(order.Owner{1}))
	if err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrRefused, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unfunded {
		return fmt.Errorf("%w: balance 3uordo, needs 5uordo", gateway.ErrUnfunded)
	}
	if id := b.ID(chainID); !r.seen[id] {
		r.seen[id] = true
		r.pool = append(r.pool, b)
	}
	return nil
}

type sequencer struct{ *rollup }

func (s sequencer) Info(context.Context) (gateway.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return gateway.Info{ChainID: chainID, Height: s.height, FeePerKilobyte: 100, MaxExpiryBlocks: 1000, MaxBundleBytes: 1 << 20}, nil
}

// NextNonce and Executed make it a gateway.Chain.
func (r *rollup) NextNonce(string) (uint64, error) { return 0, nil }

func (r *rollup) Executed(hash [32]byte) (bool, error) {
	_, ok, err := r.Locate(hash)
	return ok, err
}

func (r *rollup) Locate(hash [32]byte) (ordorpc.Place, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.places[hash]
	return p, ok, nil
}

func (r *rollup) Block(number uint64) (b ordorpc.Block, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if number >= uint64(len(r.blocks)) {
		return b, false, nil
	}
	return r.blocks[number], true, nil
}

func (r *rollup) Heads() (ordorpc.Heads, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ordorpc.Heads{Latest: uint64(len(r.blocks) - 1), Safe: r.firm, Finalized: r.firm}, nil
}

func (r *rollup) Pending(hash [32]byte) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.certain[hash], nil
}

func (r *rollup) Record(number uint64) (ordorpc.Record, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.records[number]
	return rec, ok, nil
}

func (r *rollup) BundleHeight(id order.BundleID) (uint64, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, ok := r.bundles[id]
	return h, ok, nil
}

func (r *rollup) RollupBlock(_ context.Context, height uint64) (*orderv1.RollupBlock, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetched++
	if b := r.orders[height]; b != nil && height <= r.height-r.lag {
		return b, nil
	}
	return nil, fmt.Errorf("no block %d", height)
}

func (r *rollup) OrderedAt(height uint64) (time.Time, bool) {
	return time.UnixMilli(1_800_000_000_000 + int64(height)), true
}

func (r *rollup) FirmAt(height uint64) (time.Time, bool) {
	return time.UnixMilli(1_900_000_000_000 + int64(height)), true
}

func (r *rollup) Info() ordorpc.Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ordorpc.Info{RollupID: rollupID, Name: "kv", SequencerChainID: chainID, SequencerHeight: r.height, SoftHeight: r.height - r.lag, Mode: "go", BlockTime: 2 * time.Second, Payer: "ordo1", Version: "test"}
}

// order makes one block of the rollup of two sequencer blocks, the second of which holds
// what is in the pool.
func (r *rollup) order() ordorpc.Block {
	r.t.Helper()
	r.mu.Lock()
	from := r.height + 1
	r.height += 2
	height, number := r.height, uint64(len(r.blocks))
	pool := r.pool
	r.pool = nil
	var ordered []order.Ordered
	sent := make(map[order.BundleID]*order.Bundle)
	for _, b := range pool {
		summary := b.Summary()
		ordered = append(ordered, order.Ordered{ID: b.ID(chainID), Summary: &summary})
		sent[b.ID(chainID)] = b
	}
	records, _ := order.NewBlock(height, ordered, 0, order.Times{}).Rollup(rollupID)
	o := gateway.Observed{Height: height, Block: number, Time: time.Unix(1_750_000_000+int64(height), 0)}
	rec := ordorpc.Record{Heights: []uint64{height}}
	block := ordorpc.Block{Number: number, Hash: sha256.Sum256(fmt.Append(nil, number)), Time: o.Time, From: from, To: height}
	wire := &orderv1.RollupBlock{RollupId: rollupID[:]}
	index := 0
	for _, x := range records {
		txs := sent[x.BundleID].Legs[x.LegIndex].Transactions
		leg := &orderv1.RollupLeg{Record: x.Proto(), Transactions: txs}
		if summary := sent[x.BundleID].Summary(); len(summary.Legs) > 1 {
			leg.Bundle = summary.Doc(chainID)
		}
		wire.Legs = append(wire.Legs, leg)
		o.Bundles = append(o.Bundles, x.BundleID)
		r.bundles[x.BundleID] = height
		for _, tx := range txs {
			hash := sha256.Sum256(tx)
			if bytes.HasPrefix(tx, []byte("bad")) {
				o.Skipped = append(o.Skipped, gateway.Skipped{Hash: hash, Bundle: x.BundleID, Reason: "it is bad"})
				rec.Skipped = append(rec.Skipped, ordorpc.Skipped{Height: height, Index: index, Reason: "it is bad"})
			} else {
				o.Executed = append(o.Executed, hash)
				r.places[hash] = ordorpc.Place{Block: number, Index: uint64(index), Height: height}
			}
			index++
		}
	}
	r.blocks, r.records[number], r.orders[height] = append(r.blocks, block), rec, wire
	r.mu.Unlock()
	for _, o := range []gateway.Observed{{Height: height - 1, Block: number - 1}, o} {
		if err := r.gateway.Observe(context.Background(), o); err != nil && !errors.Is(err, gateway.ErrStopped) {
			r.t.Error(err)
		}
	}
	return block
}

// start starts a rollup; edit changes its door's settings.
func start(t testing.TB, edit func(*ordorpc.Config)) *rollup {
	t.Helper()
	r := &rollup{
		t: t, height: 1, seen: make(map[order.BundleID]bool), bundles: make(map[order.BundleID]uint64),
		blocks: []ordorpc.Block{{}}, records: make(map[uint64]ordorpc.Record), orders: make(map[uint64]*orderv1.RollupBlock),
		places: make(map[[32]byte]ordorpc.Place), certain: make(map[[32]byte]bool),
	}
	log := slog.New(slog.DiscardHandler)
	var err error
	r.gateway, err = gateway.New(gateway.Config{
		RollupID: rollupID, ChainID: chainID, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)),
		Dir: t.TempDir(), Sequencers: []gateway.Sequencer{sequencer{r}}, Chain: r, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := ordorpc.Config{
		Settings: ordorpc.Settings{
			CORS: []string{"*"}, VHosts: []string{"*"}, MaxConnections: 200, PassOn: []string{"eth", "net"},
			SyncTimeout: 2 * time.Second, SyncTimeoutMax: 20 * time.Second,
		},
		Backend: ordorpc.Backend{Gateway: r.gateway, Order: r, Chain: r, Records: r}, Logger: log,
	}
	if edit != nil {
		edit(&cfg)
	}
	if r.server, err = ordorpc.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.gateway.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := r.server.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	})
	r.rpc = r.dial("http")
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		r.server.Close()
		if err := r.gateway.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rollup) dial(scheme string) *rpc.Client {
	r.t.Helper()
	c, err := rpc.Dial(scheme + "://" + r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.Close)
	return c
}

func (r *rollup) call(result any, method string, args ...any) {
	r.t.Helper()
	if err := r.rpc.CallContext(r.t.Context(), result, method, args...); err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
}

// is reports what is known and so.
func is(v *bool) bool { return v != nil && *v }

func (r *rollup) status(hash ordorpc.Hash) *ordorpc.Status {
	r.t.Helper()
	var s *ordorpc.Status
	r.call(&s, "ordo_transactionStatus", hash)
	return s
}

// sentOn waits until the gateway has handed bundles to the sequencer.
func (r *rollup) sentOn(n int) {
	r.t.Helper()
	await.Until(r.t, "bundle sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pool) >= n })
}
