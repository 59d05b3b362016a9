package pending_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/terms"
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
	select {
	case s.batches <- b:
	case <-time.After(await.Limit):
		n.t.Fatalf("nobody reads what %s says", s)
	}
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

// Certified transfers are visible in pending before they are in latest, and stay
// visible there while the head moves on without them.
func TestCertifiedIsPending(t *testing.T) {
	t.Parallel()
	n := start(t)
	one, two, three := newBundle(transfer(t, 0, 0, beef, 1)), newBundle(transfer(t, 0, 1, beef, 10)), newBundle(transfer(t, 1, 0, beef, 100))
	n.certify(1, 1, 1000, one)
	n.shows(beef, 1)
	n.certify(1, 2, 1010, two)
	n.shows(beef, 11)
	if latest := n.evm.BlockChain().CurrentBlock().Number.Uint64(); latest != 1 {
		t.Errorf("latest is %d", latest)
	}
	if p := n.pending(); p.Header().Number.Uint64() != 2 || p.Header().Time != uint64(genesis.Unix()) {
		t.Errorf("pending block %s at %d", p.Header().Number, p.Header().Time)
	}
	n.order(one)
	n.shows(beef, 11)
	n.counts(1, 0)
	n.certify(2, 1, 900, three) // of another lane, before what is there
	n.shows(beef, 111)
	block, _ := n.pending().Block()
	if txs := block.Transactions(); len(txs) != 2 || txs[0].Value().Int64() != 100 {
		t.Errorf("pending block does not stand in order time: %d transactions", len(txs))
	}
	n.order()
	n.shows(beef, 111)
	n.order(three, two)
	n.shows(beef, 111)
	if block, _ := n.pending().Block(); len(block.Transactions()) != 0 {
		t.Errorf("%d transactions pending when all is ordered", len(block.Transactions()))
	}
	n.counts(3, 0)
	if got := n.metric("ordo_gateway_pending_shown_seconds"); got != 3 {
		t.Errorf("%v bundles timed, want 3", got)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.certified) != 3 {
		t.Errorf("the gateway heard of %d certified bundles, want 3", len(n.certified))
	}
}

// Where the order turns out otherwise, what was shown is counted as contradicted.
func TestContradicted(t *testing.T) {
	t.Parallel()
	n := start(t)
	// Two transactions of one nonce: the first one counts.
	a, b := newBundle(transfer(t, 0, 0, beef, 1)), newBundle(transfer(t, 0, 0, beef, 2))
	other := newBundle(transfer(t, 1, 0, beef, 100))
	n.certify(1, 1, 1000, a, other)
	n.certify(2, 1, 1001, b)
	n.shows(beef, 101)
	await.Until(t, "all tried", func() bool { return n.metric("ordo_gateway_pending_shown_seconds") == 3 })
	n.order(b, a, other)
	n.shows(beef, 102)
	n.counts(1, 1) // b was never shown

	// Dropped by the chain: another bundle of the lane, behind it, is ordered.
	dropped, behind := newBundle(transfer(t, 2, 0, beef, 1000)), newBundle(transfer(t, 3, 0, beef, 10_000))
	n.certify(1, 2, 1010, dropped)
	n.certify(1, 3, 1020, behind)
	n.shows(beef, 11_102)
	n.order(behind)
	n.shows(beef, 10_102)
	n.counts(2, 2)

	// Shown, taken back and shown again: whoever saw it in between was told otherwise.
	shaky, between := newBundle(transfer(t, 4, 0, beef, 1)), newBundle(transfer(t, 4, 0, beef, 2))
	n.certify(1, 4, 1030, shaky)
	n.shows(beef, 10_103)
	n.certify(2, 2, 1025, between)
	n.shows(beef, 10_104)
	n.order(shaky)
	n.shows(beef, 10_103)
	n.counts(2, 3)
}

func TestGarbageIsSkipped(t *testing.T) {
	t.Parallel()
	n := start(t)
	good := transfer(t, 0, 0, beef, 7)
	b := newBundle([]byte("garbage"), good, good, transfer(t, 0, 5, beef, 1), []byte{2, 0xc0}, make([]byte, 1<<18), transfer(t, 0, 1, beef, 8))
	n.certify(1, 1, 1000, b)
	n.shows(beef, 15)
	n.order(b)
	n.shows(beef, 15)
	n.counts(2, 0)
}

// What is never ordered is given up after a number of heights, and a node that
// says so again and again is left for another one.
func TestUntrueIsGivenUp(t *testing.T) {
	t.Parallel()
	liar, honest := newSource("liar"), newSource("honest")
	n := start(t, liar, honest)
	for i := range uint64(16) {
		n.say(liar, 1, i+1, 1000, newBundle(transfer(t, 0, i, beef, 1)))
	}
	n.shows(beef, 16)
	for range 101 {
		n.overlay.Ordered(pending.Ordered{Height: n.height + 1, Time: genesis, Head: n.head()})
		n.height++
	}
	n.shows(beef, 0)
	n.counts(0, 16)
	select {
	case <-honest.streams:
	case <-time.After(await.Limit):
		t.Fatal("the liar was not left")
	}
	n.say(honest, 2, 1, 1000, newBundle(transfer(t, 1, 0, beef, 5)))
	n.shows(beef, 5)
}

func (n *node) head() execution.Head {
	n.t.Helper()
	s, err := n.evm.Open(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return s.Soft
}

// When a node fails, the next one is read; when all did, they are tried again. What
// was heard before stays.
func TestFailover(t *testing.T) {
	t.Parallel()
	one, two := newSource("one"), newSource("two")
	n := start(t, one, two)
	n.say(one, 1, 1, 1000, newBundle(transfer(t, 0, 0, beef, 1)))
	n.shows(beef, 1)
	for i, s := range []*source{one, two, one, two} {
		select {
		case <-s.streams:
		case <-time.After(await.Limit):
			t.Fatalf("stream %d was not opened", i)
		}
		s.failure <- errors.New("connection reset")
	}
	n.say(one, 1, 2, 1010, newBundle(transfer(t, 0, 1, beef, 10)))
	n.shows(beef, 11)
	if got := n.metric("ordo_gateway_pending_failovers_total"); got != 4 {
		t.Errorf("%v failovers, want 4", got)
	}
}

// While the rollup catches up with the order, what is certified now is of no use.
func TestBehind(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.lag = time.Hour
	n.order()
	n.certify(1, 1, 1000, newBundle(transfer(t, 0, 0, beef, 1)))
	n.lag = 0
	n.order()
	n.certify(1, 2, 1000, newBundle(transfer(t, 1, 0, beef, 10)))
	n.shows(beef, 10)
}

// A node that lies about a lane spoils what it says itself, and not what the next
// one says.
func TestLaneLiesEndWithTheStream(t *testing.T) {
	t.Parallel()
	liar, honest := newSource("liar"), newSource("honest")
	n := start(t, liar, honest)
	far := uint64(genesis.Add(time.Hour).UnixMilli())
	n.say(liar, 1, 1, far, newBundle(transfer(t, 9, 0, beef, 1)))
	one, two := newBundle(transfer(t, 0, 0, beef, 10)), newBundle(transfer(t, 1, 0, beef, 100))
	n.say(liar, 1, 1<<60, 1000, one)
	n.shows(beef, 10)
	n.order(one) // so the lane seems to have come as far as that
	n.say(liar, 1, 2, 1000, two)
	n.shows(beef, 10)
	liar.failure <- errors.New("connection reset")
	n.say(honest, 1, 2, 1000, two)
	n.shows(beef, 110)
}

// Whatever comes in, trying it out takes no more than a quarter of the time.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSource("one")
		work := &worker{each: 20 * time.Millisecond}
		o, err := pending.New(pending.Config{Rollup: rollupID, Sources: []pending.Source{s}, Speculator: work})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { o.Run(ctx) })
		const long = 20 * time.Second
		id := func(height uint64) order.BundleID { return sha256.Sum256(fmt.Append(nil, "bundle", height)) }
		began, height := time.Now(), uint64(0)
		for time.Since(began) < long {
			height++
			o.Ordered(pending.Ordered{
				Height: height, Time: time.Now(), Head: execution.Head{Hash: sha256.Sum256(fmt.Append(nil, height))},
				Bundles: []pending.OrderedBundle{{ID: id(height - 50)}},
			})
			s.batches <- gateway.Certified{
				Position: order.Position{Mark: order.Mark{Session: 1, Sequence: height}}, OrderTime: 1000,
				Bundles: []gateway.CertifiedBundle{{ID: id(height), Transactions: [][]byte{{1}}}},
			}
			time.Sleep(time.Millisecond)
		}
		stop()
		wg.Wait()
		if work.busy > long/4+work.each || work.busy < long/5 {
			t.Errorf("tried for %s of %s, want about a quarter", work.busy, long)
		}
	})
}

// worker is a speculator that takes its time.
type worker struct{ each, busy time.Duration }

func (w *worker) Speculate(_ context.Context, _ execution.Hash, b execution.Block) ([]execution.Outcome, error) {
	time.Sleep(w.each)
	w.busy += w.each
	return make([]execution.Outcome, len(b.Transactions)), nil
}

func (w *worker) Extend(ctx context.Context, parent execution.Hash, txs [][]byte) ([]execution.Outcome, error) {
	return w.Speculate(ctx, parent, execution.Block{Transactions: txs})
}

// Nothing that is said to be certified has an influence on latest: with any of it,
// and with none, the same order gives the same blocks.
func TestLatestIsNotInfluenced(t *testing.T) {
	t.Parallel()
	with, without := start(t), start(t)
	random := rand.New(rand.NewPCG(1, 2))
	var nonces [4]uint64
	for i := range uint64(60) {
		from := random.IntN(len(nonces))
		mine := newBundle(transfer(t, from, nonces[from], beef, int64(i)))
		nonces[from]++
		fake := newBundle(transfer(t, random.IntN(len(nonces)), uint64(random.IntN(20)), common.Address{byte(i)}, 3), []byte("garbage"))
		with.certify(byte(random.IntN(3)), i+1, 1000+uint64(random.IntN(100)), fake)
		if random.IntN(2) == 0 {
			with.certify(4, i+1, 1000+uint64(random.IntN(100)), mine)
		}
		if a, b := with.order(mine), without.order(mine); a != b {
			t.Fatalf("block %d is %x with an overlay, %x without", a.Number, a.Hash, b.Hash)
		}
	}
}

// More than one step can try at once is shown all the same, and what does not fit
// the block is not.
func TestManySteps(t *testing.T) {
	t.Parallel()
	n := start(t)
	const senders, each = 10, 150
	for from := range senders {
		for nonce := range uint64(each) {
			n.certify(byte(from), nonce+1, 1000+nonce, newBundle(transfer(t, from, nonce, beef, 1)))
		}
	}
	n.shows(beef, senders*each)
	n.order() // all of it anew
	n.shows(beef, senders*each)
}

// What is ordered and waits for its block stands first in pending, as it was ordered, and
// is confirmed when the block is made.
func TestGatheredStandsFirst(t *testing.T) {
	t.Parallel()
	n := startWith(t, 2*time.Second)
	one, two, three := newBundle(transfer(t, 0, 0, beef, 1)), newBundle(transfer(t, 1, 0, beef, 10)), newBundle(transfer(t, 2, 0, beef, 100))
	n.certify(1, 1, 1000, one)
	n.certify(2, 1, 2000, two)
	n.shows(beef, 11)
	n.gather(1, two)
	n.gather(1) // a block that orders nothing
	await.Until(t, "what is gathered stands first", func() bool {
		block, _ := n.pending().Block()
		return len(block.Transactions()) == 2 && block.Transactions()[0].Value().Int64() == 10
	})
	n.gather(1, three) // nobody called it certified
	n.shows(beef, 111)
	if want := n.head().Time.Add(2 * time.Second).Unix(); n.pending().Header().Time != uint64(want) {
		t.Errorf("pending is of %d, and no block is made before %d", n.pending().Header().Time, want)
	}
	n.counts(0, 0)
	n.order(two, three)
	n.counts(2, 0)
	n.shows(beef, 111)
	n.order(one)
	n.counts(3, 0)
	// What was said of a bundle before is believed no longer than until it is ordered.
	four, lie := newBundle(transfer(t, 3, 0, beef, 1000)), newBundle(transfer(t, 3, 0, beef, 5000))
	lie.id = four.id
	n.certify(1, 2, 3000, lie)
	n.shows(beef, 5111)
	n.gather(1, four)
	n.shows(beef, 1111)
	n.order(four)
	n.counts(4, 1)
}

// A leg that is applied with those of other rollups, or not at all, is not shown: whether
// it is known only when the block is made. One by itself is.
func TestTermsInPending(t *testing.T) {
	t.Parallel()
	n := start(t)
	all := terms.Terms{AllOrNothing: true}.Encode()
	alone, several := newBundle(all, transfer(t, 0, 0, beef, 1)), newBundle(all, transfer(t, 1, 0, beef, 10))
	b := gateway.Certified{Position: order.Position{Mark: order.Mark{Sequence: 1}}, OrderTime: 1, Bundles: []gateway.CertifiedBundle{
		{ID: several.id, Legs: 2, Transactions: several.txs}, {ID: alone.id, Index: 1, Legs: 1, Transactions: alone.txs},
	}}
	n.sources[0].batches <- b
	n.shows(beef, 1)
	n.gather(2, several)
	n.shows(beef, 1)
	block, _ := n.pending().Block()
	if len(block.Transactions()) != 1 {
		t.Errorf("%d transactions in pending", len(block.Transactions()))
	}
}

// Without a speculator what is certified is told all the same, by its IDs and by its
// transactions.
func TestCertifiedIsToldWithoutPending(t *testing.T) {
	t.Parallel()
	s := newSource("one")
	ids, txs := make(chan []order.BundleID, 10), make(chan [][]byte, 10)
	o, err := pending.New(pending.Config{
		Rollup: rollupID, Sources: []pending.Source{s},
		Certified: func(some ...order.BundleID) { ids <- some }, Transactions: func(some [][]byte) { txs <- some },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { o.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	s.batches <- gateway.Certified{Bundles: []gateway.CertifiedBundle{
		{ID: order.BundleID{1}, Transactions: [][]byte{{1}, {2}}}, {ID: order.BundleID{2}, Index: 1, Transactions: [][]byte{{3}}},
	}}
	if got := <-ids; len(got) != 2 || got[0] != (order.BundleID{1}) {
		t.Errorf("bundles %v", got)
	}
	if a, b := <-txs, <-txs; len(a) != 2 || len(b) != 1 || b[0][0] != 3 {
		t.Errorf("transactions %v and %v", a, b)
	}
}
