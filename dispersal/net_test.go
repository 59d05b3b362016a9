package dispersal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
	"github.com/ordo-network/ordo/test/killed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chainID = "ordo-test"

// validator is a node of a test network with what outlives it.
type validator struct {
	*Node
	owner    order.Owner
	mu       sync.Mutex
	keys     []ed25519.PrivateKey
	dir      string
	source   *memory
	address  string
	listener net.Listener
	shards   *store.Store
	certs    *store.Store
	stop     func()
	abandon  func() // ends it without closing its stores
	evidence chan lane.Equivocation
	registry *prometheus.Registry
}

func (v *validator) public() [32]byte {
	return [32]byte(v.keys[len(v.keys)-1].Public().(ed25519.PublicKey))
}

// rotate adds a key, which counts from the next epoch on.
func (v *validator) rotate(key ed25519.PrivateKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys = append(v.keys, key)
}

func (v *validator) find(public [32]byte) ed25519.PrivateKey {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, k := range v.keys {
		if bytes.Equal(public[:], k.Public().(ed25519.PublicKey)) {
			return k
		}
	}
	return nil
}

// network is validators and a chain that orders by the real rules, without consensus.
type network struct {
	t          testing.TB
	validators []*validator
	tune       func(*Options)
	disk       store.Options
	out        *validator // not in the committees that are made from now on

	mu      sync.Mutex
	view    *lane.View
	ordered []*order.Certificate
	bundles map[order.BundleID]int
}

var limits = order.BlockLimits{Certificates: 1024, CertificateBytes: 8 << 20, BatchBytes: 64 << 20}

func testKey(i, n int) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(binary.BigEndian.AppendUint32(bytes.Repeat([]byte{byte(i)}, 28), uint32(n)))
}

// start makes a network of n validators of equal stake and runs them.
func start(t testing.TB, n int, tune func(*Options)) *network {
	t.Helper()
	return startOn(t, n, store.Options{}, tune)
}

func startOn(t testing.TB, n int, disk store.Options, tune func(*Options)) *network {
	t.Helper()
	w := &network{t: t, tune: tune, disk: disk, bundles: make(map[order.BundleID]int)}
	dir := t.TempDir()
	for i := range n {
		v := &validator{
			owner: order.Owner{byte(i + 1)}, keys: []ed25519.PrivateKey{testKey(i, 0)}, dir: filepath.Join(dir, fmt.Sprint(i)),
			source: newMemory(order.Owner{byte(i + 1)}), evidence: make(chan lane.Equivocation, 100),
		}
		w.listen(v)
		w.validators = append(w.validators, v)
	}
	w.view = w.genesis()
	for _, v := range w.validators {
		w.run(v)
	}
	t.Cleanup(func() {
		for _, v := range w.validators {
			v.stop()
		}
	})
	return w
}

func (w *network) listen(v *validator) {
	if v.address == "" {
		// It is listened on again after a stop: until then nobody else may have it.
		port, err := freeport.Claim(1)
		if err != nil {
			w.t.Fatal(err)
		}
		v.address = fmt.Sprintf("127.0.0.1:%d", port)
	}
	l, err := net.Listen("tcp", v.address)
	if err != nil {
		w.t.Fatal(err)
	}
	v.listener = l
}

// committee is that of all validators with their newest keys.
func (w *network) committee(epoch uint64) *order.Committee {
	var members []order.Member
	for _, v := range w.validators {
		if v == w.out {
			continue
		}
		members = append(members, order.Member{Owner: v.owner, Key: v.public(), Stake: 10})
	}
	c, err := order.NewCommittee(epoch, members)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *network) genesis() *lane.View {
	v := &lane.View{
		ChainID: chainID, Committees: [2]*order.Committee{w.committee(0)}, Lanes: map[order.Owner]order.LaneState{},
		Contacts: map[order.Owner]lane.Contact{}, Params: lane.Params{MaxBatchBytes: 4 << 20, LaneQuotaBytes: 64 << 20},
	}
	for _, val := range w.validators {
		v.Contacts[val.owner] = lane.Contact{Address: val.address}
	}
	return v
}

func (w *network) run(v *validator) {
	w.t.Helper()
	open := func(name string) *store.Store {
		s, err := store.Open(filepath.Join(v.dir, name), w.disk)
		if err != nil {
			w.t.Fatal(err)
		}
		return s
	}
	v.shards, v.certs = open("shards"), open("certificates")
	v.registry = prometheus.NewRegistry()
	opts := Options{
		ChainID: chainID, Self: v.owner, Dir: v.dir, Shards: v.shards, Certificates: v.certs, Source: v.source,
		Keys:     v.find,
		Verifier: lane.NewVerifier(chainID, 4096), Listener: v.listener, Logger: logger(w.t), Registerer: v.registry,
		Evidence: func(e lane.Equivocation) {
			select {
			case v.evidence <- e:
			default:
			}
		},
		Transport: transport.Limits{RetryMin: 5 * time.Millisecond, RetryMax: 100 * time.Millisecond, Penalty: 10 * time.Millisecond},
		RetryMin:  50 * time.Millisecond,
	}
	if w.tune != nil {
		w.tune(&opts)
	}
	var err error
	if v.Node, err = New(opts); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	v.abandon = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("validator %v: %v", v.owner, err)
		}
	})
	v.stop = sync.OnceFunc(func() {
		v.abandon()
		if err := errors.Join(v.shards.Close(), v.certs.Close()); err != nil {
			w.t.Errorf("close stores: %v", err)
		}
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	v.Committed(w.view)
}

func logger(t testing.TB) *slog.Logger {
	out := io.Discard
	if os.Getenv("ORDO_TEST_LOG") != "" {
		out = t.Output()
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// crash stops the validator as a kill does and starts it from a copy of its disk.
func (w *network) crash(v *validator) {
	w.t.Helper()
	copied := killed.Copy(w.t, v.dir)
	v.stop()
	v.dir = copied
	w.listen(v)
	w.run(v)
}

// required is what a third of the validators report.
func (w *network) required() []order.Tip {
	var reports []order.Report
	for _, v := range w.validators {
		reports = append(reports, order.Report{Power: 10, Tips: v.Tips()})
	}
	return order.Required(uint64(10*len(w.validators)), reports)
}

// commit orders what the proposer has, by the rules of the chain, and tells everyone.
func (w *network) commit(proposer int) []*order.Certificate {
	w.t.Helper()
	required := w.required()
	w.mu.Lock()
	defer w.mu.Unlock()
	height := w.view.Height + 1
	state := func(o order.Owner) order.LaneState { return w.view.Lanes[o] }
	block := order.Fill(limits, height, w.validators[proposer].Candidates(), required)
	for _, c := range block {
		if err := w.view.Committee(c.Header.Epoch).Verify(chainID, c); err != nil {
			w.t.Fatalf("height %d: %v", height, err)
		}
	}
	_, ends, err := order.Arrange(block, state, w.view.Committee)
	if err != nil {
		w.t.Fatalf("height %d: %v", height, err)
	}
	next := *w.view
	next.Height, next.Lanes = height, map[order.Owner]order.LaneState{}
	for o, s := range w.view.Lanes {
		next.Lanes[o] = s
	}
	for _, e := range ends {
		next.Lanes[e.Owner] = e.LaneState
	}
	w.ordered = append(w.ordered, block...)
	ids := map[order.BundleID]bool{}
	for _, c := range block {
		for i := range c.Header.Bundles {
			id := c.Header.Bundles[i].ID(chainID)
			w.bundles[id]++
			ids[id] = true
		}
	}
	w.publish(&next)
	for _, v := range w.validators {
		v.source.ordered(ids)
	}
	return block
}

func (w *network) publish(v *lane.View) {
	w.view = v
	for _, val := range w.validators {
		val.Committed(v)
	}
}

// epoch begins the next epoch, with the newest keys.
func (w *network) epoch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := *w.view
	next.Epoch++
	next.Committees = [2]*order.Committee{w.committee(next.Epoch), w.view.Committees[0]}
	w.publish(&next)
}

func (w *network) connected() {
	w.t.Helper()
	await.Until(w.t, "all are connected", func() bool {
		for _, v := range w.validators {
			if len(v.mesh.Peers()) != len(w.validators)-1 {
				return false
			}
		}
		return true
	})
}

// certified tells whether all of the validators know all of the bundles certified.
func certified(vs []*validator, bs []*order.Bundle) bool {
	for _, v := range vs {
		for _, b := range bs {
			if !v.Status(b.ID(chainID)) {
				return false
			}
		}
	}
	return true
}

// settle orders until nothing waits anywhere and each bundle is ordered.
func (w *network) settle(bs []*order.Bundle) {
	w.t.Helper()
	proposer := 0
	await.Until(w.t, "every bundle is ordered", func() bool {
		w.commit(proposer % len(w.validators))
		proposer++
		w.mu.Lock()
		defer w.mu.Unlock()
		return !slices.ContainsFunc(bs, func(b *order.Bundle) bool { return w.bundles[b.ID(chainID)] == 0 })
	})
}

// orderSome submits bundles to the first validator, and waits until they are ordered.
func (w *network) orderSome() []*order.Bundle {
	w.t.Helper()
	bs := bundles(w.t, 30, 2000)
	w.validators[0].source.submit(bs...)
	await.Until(w.t, "all is certified", func() bool { return certified(w.validators, bs) })
	w.settle(bs)
	return bs
}

// rebuild has a validator rebuild a batch, which must be what its header tells.
func (w *network) rebuild(v *validator, c *order.Certificate) *order.Batch {
	w.t.Helper()
	batch, void, err := v.Retriever().Batch(w.t.Context(), c.Header.Core(chainID), w.view.Committee(c.Header.Epoch))
	if err != nil || void != nil || !holds(&c.Header, batch) {
		w.t.Fatalf("validator %v, batch %v: void %v, %v, or not what its header tells", v.owner, c.Header.Position, void != nil, err)
	}
	return batch
}

// batch is one that the owner signs for the mark, and the validator's share of it.
func (w *network) batch(owner *validator, at order.Mark, to *validator) (*order.SignedBatch, []byte) {
	w.t.Helper()
	w.mu.Lock()
	committee := w.view.Committees[0]
	w.mu.Unlock()
	layout, err := lane.Layout(committee)
	if err != nil {
		w.t.Fatal(err)
	}
	b := bundle(w.t, 100)
	b.Sign(chainID, owner.owner, testKey(100, 0))
	raw := (&order.Batch{Bundles: []*order.Bundle{b}}).Encode()
	var coded shard.Coded
	if err := coded.Encode(layout, raw); err != nil {
		w.t.Fatal(err)
	}
	s := &order.SignedBatch{Header: order.BatchHeader{
		Position: order.Position{Owner: owner.owner, Mark: at}, Epoch: committee.Epoch,
		Root: order.Digest(coded.Root()), Length: uint64(len(raw)), Bundles: []order.BundleSummary{b.Summary()},
	}}
	s.Sign(chainID, owner.keys[len(owner.keys)-1])
	share, err := coded.Share(layout.Range(to.owner[:]))
	if err != nil {
		w.t.Fatal(err)
	}
	return s, share.Append(nil)
}

// take offers the batch to the validator as if its owner had sent it.
func (v *validator) take(s *order.SignedBatch, share []byte) {
	v.attester.take(context.Background(), offered{from: s.Header.Owner, batch: s, share: share, release: func() {}, since: time.Now()})
}

// counter reads a metric that has one label; 0 where there is none yet.
func counter(t testing.TB, v *validator, name, label string) float64 {
	t.Helper()
	all, err := v.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
