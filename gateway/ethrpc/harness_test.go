package ethrpc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ethrpc"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/test/await"
)

const (
	evmChain       = 31337
	sequencerChain = "test-1"
)

var rollupID = order.NewRollupID("alpha")

// rollup is a node of one rollup with a sequencer that orders when the test says so.
type rollup struct {
	t       testing.TB
	evm     *evm.Client
	gateway *gateway.Gateway
	server  *ethrpc.Server
	url     string // host and port
	eth     *ethclient.Client
	rpc     *rpc.Client
	stop    func()

	mu     sync.Mutex
	down   error         // what the sequencer answers; nil where it takes bundles
	pace   time.Duration // between two heights
	height uint64
	pool   []submitted
	seen   map[order.BundleID]bool
	blocks map[uint64]*orderv1.RollupBlock
	at     map[uint64]time.Time
	firm   uint64
	made   map[uint64]ordorpc.Record // by rollup block
	placed map[order.BundleID]uint64 // sequencer height by bundle
	quiet  chan struct{}             // stops the ordering
}

type submitted struct {
	ID     order.BundleID
	Bundle *order.Bundle
}

// String, SubmitBundle and Info make it a gateway.Sequencer.
func (r *rollup) String() string { return "test" }

func (r *rollup) SubmitBundle(_ context.Context, sign gateway.SignFor) error {
	b, err := order.DecodeBundle(sign(order.Owner{1}))
	if err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrRefused, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down != nil {
		return r.down
	}
	if id := b.ID(sequencerChain); !r.seen[id] {
		r.seen[id] = true
		r.pool = append(r.pool, submitted{id, b})
	}
	return nil
}

type sequencer struct{ *rollup }

func (s sequencer) Info(context.Context) (gateway.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return gateway.Info{ChainID: sequencerChain, Height: s.height, FeePerKilobyte: 100, MaxExpiryBlocks: 1000, MaxBundleBytes: 1 << 20}, nil
}

// order makes a block of the sequencer chain of what is in the pool, and executes it.
func (r *rollup) order() execution.Head {
	r.t.Helper()
	r.mu.Lock()
	r.height++
	height, pool := r.height, r.pool
	r.pool = nil
	r.mu.Unlock()

	var bundles []order.Ordered
	sent := make(map[order.BundleID]*order.Bundle)
	for _, x := range pool {
		summary := x.Bundle.Summary()
		bundles = append(bundles, order.Ordered{ID: x.ID, Summary: &summary})
		sent[x.ID] = x.Bundle
	}
	records, _ := order.NewBlock(height, bundles, 0, order.Times{}).Rollup(rollupID)
	o := gateway.Observed{Height: height}
	made := ordorpc.Record{Heights: []uint64{height}}
	var bundleOf []order.BundleID // by transaction
	b := execution.Block{
		Height: height, Time: time.Unix(1_750_000_000, 0).Add(time.Duration(height) * r.pace),
		Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, height)),
	}
	var legs []*orderv1.RollupLeg
	for _, rec := range records {
		txs := sent[rec.BundleID].Legs[rec.LegIndex].Transactions
		leg := &orderv1.RollupLeg{Record: rec.Proto(), Transactions: txs}
		x := execution.Leg{Height: height, Bundle: rec.BundleID, Position: int(rec.BundleIndex), Index: int(rec.LegIndex), Transactions: len(txs)}
		summary := sent[rec.BundleID].Summary()
		if len(summary.Legs) > 1 {
			leg.Bundle = summary.Doc(sequencerChain)
		}
		for _, l := range summary.Legs {
			x.Rollups = append(x.Rollups, execution.Hash(l.RollupID))
		}
		legs, b.Legs = append(legs, leg), append(b.Legs, x)
		o.Bundles = append(o.Bundles, rec.BundleID)
		b.Transactions = append(b.Transactions, txs...)
		for range txs {
			bundleOf = append(bundleOf, rec.BundleID)
		}
	}
	r.mu.Lock()
	r.blocks[height] = &orderv1.RollupBlock{RollupId: rollupID[:], Legs: legs}
	r.at[height] = time.UnixMilli(1_800_000_000_000 + int64(height))
	r.mu.Unlock()
	session, err := r.evm.Open(context.Background())
	if err != nil {
		r.t.Error(err)
	}
	o.Block, o.Time = session.Soft.Number, session.Soft.Time
	if !(execution.Pace{}).Due(session.Soft, b) {
		if err := r.gateway.Observe(context.Background(), o); err != nil && !errors.Is(err, gateway.ErrStopped) {
			r.t.Error(err)
		}
		return session.Soft
	}
	res, err := r.evm.Execute(context.Background(), session.Soft.Hash, b)
	if err != nil {
		r.t.Error(err)
		return session.Soft
	}
	o.Block, o.Time = res.Head.Number, res.Head.Time
	left := make(map[int]bool)
	for _, s := range res.Skipped {
		left[s.Index] = true
		hash := crypto.Keccak256Hash(b.Transactions[s.Index])
		o.Skipped = append(o.Skipped, gateway.Skipped{Hash: hash, Bundle: bundleOf[s.Index], Reason: s.Reason, Retry: s.Retry})
		made.Skipped = append(made.Skipped, ordorpc.Skipped{Height: height, Index: s.Index, Reason: s.Reason})
	}
	for i, raw := range b.Transactions {
		if !left[i] {
			o.Executed = append(o.Executed, crypto.Keccak256Hash(raw))
		}
	}
	r.mu.Lock()
	r.made[res.Head.Number] = made
	for _, id := range o.Bundles {
		r.placed[id] = height
	}
	r.mu.Unlock()
	if err := r.gateway.Observe(context.Background(), o); err != nil && !errors.Is(err, gateway.ErrStopped) {
		r.t.Error(err)
	}
	return res.Head
}

// run orders every few milliseconds until the test ends.
func (r *rollup) run() {
	done := make(chan struct{})
	r.quiet = make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-r.quiet:
				return
			case <-tick.C:
				r.order()
			}
		}
	}()
	stop := r.stop
	r.stop = sync.OnceFunc(func() { close(r.quiet); <-done; stop() })
	r.t.Cleanup(r.stop)
}

func (r *rollup) set(down bool) {
	if down {
		r.refuse(errors.New("connection refused"))
	} else {
		r.refuse(nil)
	}
}

func (r *rollup) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = err
}

func start(t testing.TB) *rollup { return startIn(t, t.TempDir(), nil) }

// startIn starts the node on the directory; before is the node that was killed there.
// bundles are who may send some; default anybody.
func startIn(t testing.TB, dir string, before *rollup, bundles ...string) *rollup {
	t.Helper()
	r := &rollup{t: t, pace: 100 * time.Millisecond, seen: make(map[order.BundleID]bool), blocks: make(map[uint64]*orderv1.RollupBlock), at: make(map[uint64]time.Time), made: make(map[uint64]ordorpc.Record), placed: make(map[order.BundleID]uint64)}
	if before != nil {
		r.height, r.pool, r.seen = before.height, before.pool, before.seen
	}
	log := slog.New(slog.DiscardHandler)
	var err error
	r.evm, err = evm.New(evm.Config{DataDir: filepath.Join(dir, "evm"), Genesis: evm.DevGenesis(evmChain, nil), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	chain := ethrpc.NewChain(r.evm.BlockChain())
	r.gateway, err = gateway.New(gateway.Config{
		RollupID: rollupID, ChainID: sequencerChain, Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)),
		Dir: filepath.Join(dir, "gateway"), Sequencers: []gateway.Sequencer{sequencer{r}}, Chain: chain, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.height = max(r.height, 1)
	settings := ethrpc.DefaultSettings()
	settings.SyncTimeout, settings.SyncTimeoutMax = config.Duration(await.Limit), config.Duration(await.Limit)
	if len(bundles) > 0 {
		settings.Bundles = bundles
	}
	r.server, err = ethrpc.New(ethrpc.Config{Settings: settings, EVM: r.evm, Gateway: r.gateway, Chain: chain, Order: r, Records: r, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.url = ln.Addr().String()
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
	if r.rpc, err = rpc.Dial("http://" + r.url); err != nil {
		t.Fatal(err)
	}
	r.eth = ethclient.NewClient(r.rpc)
	r.stop = sync.OnceFunc(func() {
		r.rpc.Close()
		cancel()
		wg.Wait()
		r.server.Close()
		if err := errors.Join(r.gateway.Close(), r.evm.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { r.stop() })
	return r
}

func key(i int) *ecdsa.PrivateKey {
	k, err := crypto.HexToECDSA(evm.DevAccounts[i].PrivateKey[2:])
	if err != nil {
		panic(err)
	}
	return k
}

func address(i int) common.Address { return evm.DevAccounts[i].Address }

// transfer is a signed transfer; edit changes it before it is signed.
func transfer(from int, nonce uint64, edit func(*types.DynamicFeeTx)) *types.Transaction {
	to := common.HexToAddress("0xbeef")
	tx := &types.DynamicFeeTx{
		ChainID: big.NewInt(evmChain), Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(1),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	}
	if edit != nil {
		edit(tx)
	}
	return sign(from, tx)
}

func sign(from int, tx types.TxData) *types.Transaction {
	return types.MustSignNewTx(key(from), types.LatestSignerForChainID(big.NewInt(evmChain)), tx)
}

func (r *rollup) send(tx *types.Transaction) error {
	return r.eth.SendTransaction(r.t.Context(), tx)
}

func (r *rollup) mustSend(txs ...*types.Transaction) {
	r.t.Helper()
	for _, tx := range txs {
		if err := r.send(tx); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rollup) receipt(tx *types.Transaction) *types.Receipt {
	r.t.Helper()
	var receipt *types.Receipt
	await.Until(r.t, "receipt of "+tx.Hash().Hex(), func() bool {
		receipt, _ = r.eth.TransactionReceipt(r.t.Context(), tx.Hash())
		return receipt != nil
	})
	return receipt
}

func (r *rollup) call(result any, method string, args ...any) {
	r.t.Helper()
	if err := r.rpc.CallContext(r.t.Context(), result, method, args...); err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
}

// is reports what is known and so.
func is(v *bool) bool { return v != nil && *v }

func (r *rollup) status(hash common.Hash) *ordorpc.Status {
	r.t.Helper()
	var s *ordorpc.Status
	r.call(&s, "ordo_transactionStatus", hash)
	return s
}

func (r *rollup) pendingNonce(account int) uint64 {
	r.t.Helper()
	n, err := r.eth.PendingNonceAt(r.t.Context(), address(account))
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}
