package gateway

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// certifier answers SubscribeCertified with what the test gives it.
type certifier struct {
	service
	messages chan *sequencerv1.SubscribeCertifiedResponse // closed: the stream ends
	ended    chan struct{}                                // one for each stream
}

func (c *certifier) SubscribeCertified(ctx context.Context, req *connect.Request[sequencerv1.SubscribeCertifiedRequest], stream *connect.ServerStream[sequencerv1.SubscribeCertifiedResponse]) error {
	defer func() { c.ended <- struct{}{} }()
	if !bytes.Equal(req.Msg.RollupId, simRollup[:]) {
		return connect.NewError(connect.CodeInvalidArgument, errors.New("another rollup"))
	}
	if err := stream.Send(&sequencerv1.SubscribeCertifiedResponse{}); err != nil {
		return err
	}
	for {
		select {
		case m, ok := <-c.messages:
			if !ok {
				return nil
			}
			if err := stream.Send(m); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func certifiedMessage(sequence uint64) *sequencerv1.SubscribeCertifiedResponse {
	id := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	return &sequencerv1.SubscribeCertifiedResponse{
		Owner: bytes.Repeat([]byte{7}, 20), Session: 3, Sequence: sequence, BatchId: id(9), OrderTime: 1000, CertifiedMs: 1001,
		Bundles: []*sequencerv1.CertifiedBundle{
			{BundleId: id(1), BatchPosition: 0, LegCount: 3, Transactions: [][]byte{[]byte("a"), []byte("b")}},
			{BundleId: id(2), BatchPosition: 5, Transactions: [][]byte{[]byte("c")}},
			{BundleId: id(2), BatchPosition: 5, Transactions: [][]byte{[]byte("d")}}, // its second leg
		},
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	c := &certifier{messages: make(chan *sequencerv1.SubscribeCertifiedResponse, 8), ended: make(chan struct{}, 1)}
	r := NewRemote(serve(t, c))
	t.Cleanup(r.http.CloseIdleConnections)

	opened := 0
	var got []Certified
	subscribe := func(rollup order.RollupID, enough int) error {
		opened, got = 0, nil
		// What the next stream is to bring must not go into this one.
		defer func() { <-c.ended }()
		return r.Subscribe(t.Context(), rollup, func() { opened++ }, func(b Certified) error {
			if got = append(got, b); len(got) == enough {
				return errStop
			}
			return nil
		})
	}
	c.messages <- certifiedMessage(1)
	c.messages <- certifiedMessage(2)
	if err := subscribe(simRollup, 2); !errors.Is(err, errStop) {
		t.Fatalf("subscribe: %v", err)
	}
	want := Certified{
		Position: order.Position{Owner: order.Owner(bytes.Repeat([]byte{7}, 20)), Mark: order.Mark{Session: 3, Sequence: 2}},
		Batch:    order.BatchID(bytes.Repeat([]byte{9}, 32)), OrderTime: 1000,
		Bundles: []CertifiedBundle{
			{ID: order.BundleID(bytes.Repeat([]byte{1}, 32)), Index: 0, Legs: 3, Transactions: [][]byte{[]byte("a"), []byte("b")}},
			{ID: order.BundleID(bytes.Repeat([]byte{2}, 32)), Index: 5, Transactions: [][]byte{[]byte("c"), []byte("d")}},
		},
	}
	if opened != 1 || !reflect.DeepEqual(got[1], want) {
		t.Errorf("opened %d times, got %+v, want %+v", opened, got[1], want)
	}
	if err := subscribe(order.NewRollupID("other"), 1); err == nil || opened != 0 {
		t.Errorf("a refused stream: %v, opened %d times", err, opened)
	}
	for name, spoil := range map[string]func(*sequencerv1.SubscribeCertifiedResponse){
		"owner":     func(m *sequencerv1.SubscribeCertifiedResponse) { m.Owner = m.Owner[1:] },
		"session":   func(m *sequencerv1.SubscribeCertifiedResponse) { m.Session = 0 },
		"sequence":  func(m *sequencerv1.SubscribeCertifiedResponse) { m.Sequence = 0 },
		"batch ID":  func(m *sequencerv1.SubscribeCertifiedResponse) { m.BatchId = nil },
		"bundle ID": func(m *sequencerv1.SubscribeCertifiedResponse) { m.Bundles[0].BundleId = nil },
		"legs":      func(m *sequencerv1.SubscribeCertifiedResponse) { m.Bundles[0].LegCount = order.MaxLegs + 1 },
		"positions": func(m *sequencerv1.SubscribeCertifiedResponse) { m.Bundles[0].BatchPosition = 6 },
		"empty":     func(m *sequencerv1.SubscribeCertifiedResponse) { m.Bundles[0].Transactions[0] = nil },
		"transactions": func(m *sequencerv1.SubscribeCertifiedResponse) {
			m.Bundles[0].Transactions = slices.Repeat([][]byte{{1}}, 70_000)
		},
		"bytes": func(m *sequencerv1.SubscribeCertifiedResponse) { m.BatchId = make([]byte, 6<<20) },
	} {
		m := certifiedMessage(1)
		spoil(m)
		c.messages <- m
		if err := subscribe(simRollup, 1); err == nil || errors.Is(err, errStop) {
			t.Errorf("%s: got %d batches, %v", name, len(got), err)
		}
	}
	close(c.messages)
	if err := subscribe(simRollup, 1); err == nil || !strings.Contains(err.Error(), "ended") || opened != 1 {
		t.Errorf("a stream that ends: %v, opened %d times", err, opened)
	}
}

var errStop = errors.New("enough")

func FuzzCertified(f *testing.F) {
	raw, err := proto.Marshal(certifiedMessage(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Add([]byte{0x3a, 0x02, 0x1a, 0x00})
	f.Add(raw[:len(raw)-1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(sequencerv1.SubscribeCertifiedResponse)
		if (certifiedCodec{}).Unmarshal(raw, m) != nil {
			return
		}
		txs := 0
		for _, b := range m.GetBundles() {
			for _, tx := range b.GetTransactions() {
				if txs++; len(tx) == 0 {
					t.Error("an empty transaction came through")
				}
			}
		}
		if len(m.GetBundles()) > order.MaxBatchBundles || txs > 4*order.MaxLegTransactions {
			t.Errorf("%d bundles, %d transactions", len(m.GetBundles()), txs)
		}
		if c, err := certifiedFromProto(m); err == nil && (c.Position.Session == 0 || len(c.Bundles) > len(m.GetBundles())) {
			t.Errorf("decoded to %+v", c)
		}
	})
}

// A bundle that a sequencer calls certified is shown so, until the end and after it.
func TestStateCertified(t *testing.T) {
	t.Parallel()
	c, err := newCore(&Config{RollupID: simRollup, ChainID: simChain, Key: simKey, Chain: nowhere{}, Sequencers: []Sequencer{nil}, MaxTxs: 10, MaxTxsPerSender: 10, MaxBytes: 1 << 20, MaxInFlight: 4, KeepEnded: time.Hour}, &loaded{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)
	c.setInfo(Info{ChainID: simChain, Height: 5, MaxExpiryBlocks: 100, MaxBundleBytes: 1 << 20}, now)
	tx := Tx{Hash: [32]byte{1}, Sender: "alice", Raw: []byte("raw")}
	if err := c.admit(tx, now); err != nil {
		t.Fatal(err)
	}
	c.step(now)
	if len(c.live) != 1 {
		t.Fatalf("%d bundles", len(c.live))
	}
	id := c.live[0].id
	var waits []time.Duration
	c.stats.certified = func(d time.Duration) { waits = append(waits, d) }
	if st := c.state(c.txs[tx.Hash]); !st.Certified.IsZero() {
		t.Errorf("before: %+v", st)
	}
	at := now.Add(5 * time.Millisecond)
	c.certify(order.BundleID{9}, at) // another's
	c.certify(id, at)
	c.certify(id, at.Add(time.Second))
	if st := c.state(c.txs[tx.Hash]); !st.Certified.Equal(at) || st.Phase != PhaseInFlight || st.Bundle != id {
		t.Errorf("certified: %+v", st)
	}
	if !slices.Equal(waits, []time.Duration{5 * time.Millisecond}) {
		t.Errorf("measured %v", waits)
	}
	c.observe(Observed{Height: 6, Bundles: []order.BundleID{id}, Executed: [][32]byte{tx.Hash}}, at)
	if r := c.history.get(tx.Hash); r == nil || r.Phase != PhaseExecuted || !r.Certified.Equal(at) {
		t.Errorf("executed: %+v", r)
	}
}

// nowhere is a chain on which nothing was executed.
type nowhere struct{}

func (nowhere) NextNonce(string) (uint64, error) { return 0, nil }
func (nowhere) Executed([32]byte) (bool, error)  { return false, nil }
