package pending_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/pending"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

const chainID = 31337

var (
	rollupID = order.NewRollupID("alpha")
	genesis  = time.Unix(1_750_000_000, 0)
	beef     = common.HexToAddress("0xbeef")
)

// source is a sequencer node that says what the test has it say.
type source struct {
	name    string
	batches chan gateway.Certified
	failure chan error
	streams chan struct{} // one for each stream opened
}

func newSource(name string) *source {
	return &source{name: name, batches: make(chan gateway.Certified), failure: make(chan error), streams: make(chan struct{}, 100)}
}

func (s *source) String() string { return s.name }

func (s *source) Subscribe(ctx context.Context, _ order.RollupID, opened func(), yield func(gateway.Certified) error) error {
	opened()
	s.streams <- struct{}{}
	for {
		select {
		case b := <-s.batches:
			if err := yield(b); err != nil {
				return err
			}
		case err := <-s.failure:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// node is an EVM with an overlay, and an order that the test makes.
type node struct {
	t        *testing.T
	evm      *evm.Client
	overlay  *pending.Overlay
	registry *prometheus.Registry
	sources  []*source
	height   uint64
	lag      time.Duration // of the blocks behind the clock

	mu        sync.Mutex
	certified []order.BundleID
}

func start(t *testing.T, sources ...*source) *node {
	t.Helper()
	return startWith(t, 0, sources...)
}

func startWith(t *testing.T, blockTime time.Duration, sources ...*source) *node {
	t.Helper()
	if len(sources) == 0 {
		sources = []*source{newSource("one")}
	}
	n := &node{t: t, registry: prometheus.NewRegistry(), sources: sources}
	var err error
	n.evm, err = evm.New(evm.Config{DataDir: t.TempDir(), Genesis: evm.DevGenesis(chainID, nil), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	session, err := n.evm.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg := pending.Config{
		Rollup: rollupID, Speculator: n.evm, Head: session.Soft, Registerer: n.registry, Random: func() float64 { return 0 },
		Now: func() time.Time { return genesis }, BlockTime: blockTime,
		Certified: func(ids ...order.BundleID) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.certified = append(n.certified, ids...)
		},
	}
	for _, s := range sources {
		cfg.Sources = append(cfg.Sources, s)
	}
	if n.overlay, err = pending.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { n.overlay.Run(ctx) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
		if err := n.evm.Close(); err != nil {
			t.Error(err)
		}
	})
	n.order()
	return n
}

// bundle is one bundle of a batch or block.
type bundle struct {
	id  order.BundleID
	txs [][]byte
}

func newBundle(txs ...[]byte) bundle {
	return bundle{id: sha256.Sum256(fmt.Append(nil, txs)), txs: txs}
}

// order makes the sequencer's next block of the bundles, executes it and tells the overlay.
func (n *node) order(bundles ...bundle) execution.Head {
	n.t.Helper()
	n.height++
	b := execution.Block{Height: n.height, Time: genesis.Add(-n.lag), Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, n.height))}
	for _, x := range bundles {
		b.Transactions = append(b.Transactions, x.txs...)
	}
	session, err := n.evm.Open(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := n.evm.Execute(context.Background(), session.Soft.Hash, b)
	if err != nil {
		n.t.Fatal(err)
	}
	o := pending.Ordered{Height: b.Height, Time: b.Time, Head: res.Head}
	outcomes := res.Outcomes
	for _, x := range bundles {
		o.Bundles = append(o.Bundles, pending.OrderedBundle{ID: x.id, Outcomes: outcomes[:len(x.txs)]})
		outcomes = outcomes[len(x.txs):]
	}
	n.overlay.Ordered(o)
	return res.Head
}

// gather has a block of the sequencer wait, which orders the bundles, each with one leg of
// as many as it is given rollups.
func (n *node) gather(rollups int, bundles ...bundle) {
	n.t.Helper()
	n.height++
	g := pending.Gathered{Height: n.height, Time: genesis}
	for _, x := range bundles {
		g.Legs = append(g.Legs, pending.GatheredLeg{
			Leg:          execution.Leg{Height: n.height, Bundle: execution.Hash(x.id), Rollups: make([]execution.Hash, rollups), Transactions: len(x.txs)},
			Transactions: x.txs,
		})
	}
	n.overlay.Gathered(g)
}

// certify has the first source say that the lane's batch of that sequence is certified.
func (n *node) certify(owner byte, sequence, orderTime uint64, bundles ...bundle) {
	n.t.Helper()
	n.say(n.sources[0], owner, sequence, orderTime, bundles...)
}

func (n *node) say(s *source, owner byte, sequence, orderTime uint64, bundles ...bundle) {
	n.t.Helper()
	b := gateway.Certified{Position: order.Position{Owner: order.Owner{owner}, Mark: order.Mark{Session: 1, Sequence: sequence}}, OrderTime: orderTime}
	for i, x := range bundles {
		b.Bundles = append(b.Bundles, gateway.CertifiedBundle{ID: x.id, Index: uint64(i), Transactions: x.txs})
	}
	n.tell(s, b)
}

func (n *node) tell(s *source, b gateway.Certified) {
	n.t.Helper()
	select {
	case s.batches <- b:
	case <-time.After(await.Limit):
		n.t.Fatalf("nobody reads what %s says", s)
	}
}

// certifyLegs has the first source say that the owner's batch of one bundle with that many
// legs is certified.
func (n *node) certifyLegs(owner byte, x bundle, legs int) {
	n.t.Helper()
	n.tell(n.sources[0], gateway.Certified{
		Position: order.Position{Owner: order.Owner{owner}, Mark: order.Mark{Session: 1, Sequence: 1}}, OrderTime: 1000 + uint64(owner),
		Bundles: []gateway.CertifiedBundle{{ID: x.id, Legs: legs, Transactions: x.txs}},
	})
}

func (n *node) pending() *evm.Pending {
	n.t.Helper()
	p, _, err := n.evm.Pending()
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

func (n *node) balance(addr common.Address) (v uint64) {
	n.t.Helper()
	n.pending().Read(func(s *state.StateDB) { v = s.GetBalance(addr).Uint64() })
	return v
}

// shows waits until pending stands on the head and the address has the balance there.
func (n *node) shows(addr common.Address, balance uint64) {
	n.t.Helper()
	await.Until(n.t, fmt.Sprintf("pending shows a balance of %d", balance), func() bool {
		return n.pending().Parent() == n.evm.BlockChain().CurrentBlock().Hash() && n.balance(addr) == balance
	})
}

// metric returns the sum of a metric's values, of observations for a histogram.
func (n *node) metric(name string) (sum float64) {
	n.t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		return sum
	}
	n.t.Fatalf("no metric %s", name)
	return 0
}

// counts wants that many transactions confirmed and contradicted so far.
func (n *node) counts(confirmed, contradicted float64) {
	n.t.Helper()
	a, b := n.metric("ordo_gateway_pending_confirmed_total"), n.metric("ordo_gateway_pending_contradicted_total")
	if a != confirmed || b != contradicted {
		n.t.Errorf("%v confirmed, %v contradicted, want %v and %v", a, b, confirmed, contradicted)
	}
}

func transfer(t testing.TB, from int, nonce uint64, to common.Address, value int64) []byte {
	t.Helper()
	key, err := crypto.HexToECDSA(evm.DevAccounts[from].PrivateKey[2:])
	if err != nil {
		t.Fatal(err)
	}
	raw, err := types.MustSignNewTx(key, types.LatestSignerForChainID(big.NewInt(chainID)), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(value),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (n *node) head() execution.Head {
	n.t.Helper()
	s, err := n.evm.Open(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return s.Soft
}
