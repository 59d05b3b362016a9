package rollup

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/pending"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
	"github.com/ordo-network/ordo/test/await"
)

// certifier is a sequencer node that says what is certified, to one reader.
type certifier struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	batches chan *sequencerv1.SubscribeCertifiedResponse
}

func (c certifier) SubscribeCertified(ctx context.Context, _ *connect.Request[sequencerv1.SubscribeCertifiedRequest], stream *connect.ServerStream[sequencerv1.SubscribeCertifiedResponse]) error {
	err := stream.Send(&sequencerv1.SubscribeCertifiedResponse{})
	for err == nil {
		select {
		case b := <-c.batches:
			err = stream.Send(b)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// What a sequencer calls certified goes over the wire into the pending block, and is
// confirmed by the block that the driver executes.
func TestPendingOfANode(t *testing.T) {
	node := openNode(t, t.TempDir())
	defer node.close(t)
	c := certifier{batches: make(chan *sequencerv1.SubscribeCertifiedResponse)}
	_, handler := sequencerv1connect.NewSequencerServiceHandler(c)
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()

	registry := prometheus.NewRegistry()
	head, height, _ := node.state()
	overlay, err := pending.New(pending.Config{
		Rollup: order.NewRollupID("alpha"), Sources: []pending.Source{gateway.NewRemote(server.URL)}, Speculator: node.evm,
		Head: head, Height: height, Registerer: registry, Now: func() time.Time { return genesisTime },
	})
	if err != nil {
		t.Fatal(err)
	}
	node.observe = func(_ context.Context, o outcome) error { overlay.Ordered(ordered(o)); return nil }
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { overlay.Run(ctx) })
	defer wg.Wait()
	defer stop()

	if err := node.onSoft(t.Context(), testBlock(1)); err != nil {
		t.Fatal(err)
	}
	txs := [][]byte{transferTx(t, 0), transferTx(t, 1)}
	id := bytes.Repeat([]byte{5}, 32)
	select {
	case c.batches <- &sequencerv1.SubscribeCertifiedResponse{
		Owner: make([]byte, 20), Session: 1, Sequence: 1, BatchId: id, OrderTime: 1000,
		Bundles: []*sequencerv1.CertifiedBundle{{BundleId: id, Transactions: txs}},
	}:
	case <-time.After(await.Limit):
		t.Fatal("nobody reads what is certified")
	}
	await.Until(t, "pending shows both transfers", func() bool {
		p, _, err := node.evm.Pending()
		if err != nil {
			t.Fatal(err)
		}
		var balance uint64
		p.Read(func(s *state.StateDB) { balance = s.GetBalance(common.HexToAddress("0xbeef")).Uint64() })
		return balance == 2
	})
	if soft, _, _ := node.state(); soft.Number > 1 {
		t.Errorf("soft head is block %d", soft.Number)
	}
	b := testBlock(2)
	b.Legs = []follower.Leg{{LegRecord: order.LegRecord{BundleID: order.BundleID(id)}, Transactions: txs}}
	if err := node.onSoft(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "both are confirmed", func() bool {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "ordo_gateway_pending_confirmed_total" })
		return families[i].GetMetric()[0].GetCounter().GetValue() == 2
	})
}

// Outcomes go to the bundles whose transactions they are of; a leg that is void has
// neither.
func TestOrdered(t *testing.T) {
	t.Parallel()
	a, b, c := execution.Outcome{1}, execution.Outcome{2}, execution.Outcome{3}
	leg := func(id byte, n int) follower.Leg {
		return follower.Leg{LegRecord: order.LegRecord{BundleID: order.BundleID{id}, Batch: order.BatchID{id}}, Transactions: make([][]byte, n), Void: n == 0}
	}
	at := testBlock(7)
	at.Legs = []follower.Leg{leg(1, 1), leg(1, 1), leg(2, 0), leg(3, 1)}
	for _, test := range []struct {
		name     string
		outcomes []execution.Outcome
		want     [][]execution.Outcome
	}{
		{"executed", []execution.Outcome{a, b, c}, [][]execution.Outcome{{a, b}, {}, {c}}},
		{"not told", nil, [][]execution.Outcome{{}, {}, {}}},
	} {
		got := ordered(outcome{Blocks: []block{newBlock(order.RollupID{}, at)}, Result: execution.Result{Outcomes: test.outcomes}, Head: execution.Head{Number: 3}, Soft: execution.Head{Number: 4}})
		if got.Height != 7 || got.Head.Number != 4 || !got.Time.Equal(at.Time) || len(got.Bundles) != 3 {
			t.Fatalf("%s: %+v", test.name, got)
		}
		for i, x := range got.Bundles {
			if x.ID[0] != byte(i+1) || x.Batch[0] != byte(i+1) || !slices.Equal(x.Outcomes, test.want[i]) {
				t.Errorf("%s: bundle %d has %v, want %v", test.name, i, x.Outcomes, test.want[i])
			}
		}
	}
}
