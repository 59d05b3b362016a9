package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/node"
	"github.com/ordo-network/ordo/sequencer/ordering"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
	"github.com/ordo-network/ordo/test/await"
)

const chainID = "ordo-test"

var alpha = order.NewRollupID("alpha")

// network is a network of validators in this process.
type network struct {
	t       testing.TB
	dir     string
	ports   []node.Ports
	running []*running
	payer   ed25519.PrivateKey

	mu    sync.Mutex
	nonce uint64
	lanes map[int]order.Owner
}

// running is one validator, or nil where it is stopped.
type running struct {
	stop   context.CancelFunc
	done   chan error
	client sequencerv1connect.SequencerServiceClient
}

func newNetwork(t testing.TB, validators int) *network { return newNetworkOf(t, validators, nil) }

func newNetworkOf(t testing.TB, validators int, dal map[string]layers.Config) *network {
	t.Helper()
	n := &network{
		t: t, dir: t.TempDir(), running: make([]*running, validators), lanes: make(map[int]order.Owner),
		payer: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)),
	}
	for range validators {
		n.ports = append(n.ports, freePorts(t))
	}
	var payer order.Payer
	copy(payer[:], n.payer.Public().(ed25519.PublicKey))
	err := node.InitNetwork(node.NetworkOptions{
		Dir: n.dir, ChainID: chainID, Validators: validators,
		Ports:    func(i int) node.Ports { return n.ports[i] },
		Accounts: []node.Account{{Address: ordering.Address(payer).String(), Amount: 1_000_000_000_000}}, DALayers: dal,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func freePorts(t testing.TB) node.Ports {
	t.Helper()
	first, err := freeport.Claim(4)
	if err != nil {
		t.Fatal(err)
	}
	return node.Ports{P2P: first, RPC: first + 1, API: first + 2, Dispersal: first + 3}
}

func (n *network) start(i int) {
	n.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("ORDO_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", i)
	}
	opened, err := node.Open(context.Background(), node.Options{
		Home: node.ValidatorHome(n.dir, i), Version: "test", Logger: log, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan error, 1), client: n.client(i)}
	n.running[i] = r
	go func() { r.done <- opened.Run(ctx) }()
	n.t.Cleanup(func() { n.stop(i) })
}

func (n *network) client(i int) sequencerv1connect.SequencerServiceClient {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return sequencerv1connect.NewSequencerServiceClient(&http.Client{Transport: tr}, "http://"+address(n.ports[i].API))
}

func (n *network) stop(i int) {
	n.t.Helper()
	r := n.running[i]
	if r == nil {
		return
	}
	n.running[i] = nil
	r.stop()
	if err := await.Receive(n.t, fmt.Sprintf("validator %d stops", i), r.done); err != nil {
		n.t.Errorf("validator %d: %v", i, err)
	}
}

// configure changes the settings of all validators. None of them runs.
func (n *network) configure(change func(*node.Config)) {
	n.t.Helper()
	for i := range n.running {
		file := filepath.Join(node.ValidatorHome(n.dir, i), "config", "ordo.toml")
		c := node.DefaultConfig()
		if err := config.Load(file, &c); err != nil {
			n.t.Fatal(err)
		}
		change(&c)
		if err := config.Write(file, &c); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *network) startAll() {
	n.t.Helper()
	for i := range n.running {
		n.start(i)
	}
}

// peer is the address by which others connect to a node that runs.
func (n *network) peer(i int) string {
	var status struct {
		Result struct {
			NodeInfo struct {
				ID string `json:"id"`
			} `json:"node_info"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(get(n.t, "http://"+address(n.ports[i].RPC)+"/status")), &status); err != nil {
		n.t.Fatal(err)
	}
	return status.Result.NodeInfo.ID + "@" + address(n.ports[i].P2P)
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func get(t testing.TB, url string) string {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// height returns the latest height of a validator, 0 where it does not answer.
func (n *network) height(i int) uint64 {
	ctx, cancel := context.WithTimeout(n.t.Context(), await.Limit)
	defer cancel()
	res, err := n.running[i].client.GetInfo(ctx, connect.NewRequest(&v1.GetInfoRequest{}))
	if err != nil {
		return 0
	}
	return res.Msg.LatestHeight
}

func (n *network) reach(i int, height uint64) {
	n.t.Helper()
	await.Until(n.t, fmt.Sprintf("validator %d reaches height %d", i, height), func() bool { return n.height(i) >= height })
}

// bundle makes one that is unlike every other. It is not signed yet.
func (n *network) bundle(expiry uint64, size int) *order.Bundle {
	n.mu.Lock()
	n.nonce++
	tx := binary.BigEndian.AppendUint64(make([]byte, size), n.nonce)
	n.mu.Unlock()
	b := &order.Bundle{Expiry: expiry, FeeLimit: 1_000_000, Legs: []order.Leg{{RollupID: alpha, Transactions: [][]byte{tx}}}}
	copy(b.Payer[:], n.payer.Public().(ed25519.PublicKey))
	return b
}

// signed returns the bundle as the lane of validator i may carry it.
func (n *network) signed(i int, b *order.Bundle) []byte {
	n.t.Helper()
	c := *b
	c.Sign(chainID, n.lane(i), n.payer)
	return c.Encode()
}

// lane returns whose lane validator i has, once it has one.
func (n *network) lane(i int) order.Owner {
	n.t.Helper()
	n.mu.Lock()
	owner, known := n.lanes[i]
	n.mu.Unlock()
	if known {
		return owner
	}
	await.Until(n.t, fmt.Sprintf("validator %d has a lane", i), func() bool {
		res, err := n.running[i].client.GetInfo(n.t.Context(), connect.NewRequest(&v1.GetInfoRequest{}))
		if err == nil {
			owner, err = order.OwnerFromBytes(res.Msg.LaneOwner)
		}
		return err == nil
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lanes[i] = owner
	return owner
}

// submit hands a bundle to validator i.
func (n *network) submit(i int, b *order.Bundle) order.BundleID {
	n.t.Helper()
	res, err := n.running[i].client.SubmitBundle(n.t.Context(), connect.NewRequest(&v1.SubmitBundleRequest{Bundle: n.signed(i, b)}))
	if err != nil {
		n.t.Fatalf("submit to validator %d: %v", i, err)
	}
	return order.BundleID(res.Msg.BundleId)
}

func (n *network) status(i int, id order.BundleID) *v1.GetBundleStatusResponse {
	n.t.Helper()
	res, err := n.running[i].client.GetBundleStatus(n.t.Context(), connect.NewRequest(&v1.GetBundleStatusRequest{BundleId: id[:]}))
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Msg
}

// ordered waits until validator i says where the bundle was ordered.
func (n *network) ordered(i int, id order.BundleID) (height uint64) {
	n.t.Helper()
	await.Until(n.t, fmt.Sprintf("validator %d says that bundle %s is ordered", i, id), func() bool {
		s := n.status(i, id)
		height = s.Height
		return s.State == v1.BundleState_BUNDLE_STATE_ORDERED
	})
	return height
}

func (n *network) hash(i int, height uint64) [32]byte {
	n.t.Helper()
	res, err := n.running[i].client.GetBlock(n.t.Context(), connect.NewRequest(&v1.GetBlockRequest{Height: height}))
	if err != nil {
		n.t.Fatal(err)
	}
	return [32]byte(res.Msg.Hash)
}

// content hashes what a stream gives for heights from..to, without the commits: each
// node may have seen other votes.
func (n *network) content(i int, from, to uint64) (sum [32]byte) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), await.Limit)
	defer cancel()
	stream, err := n.running[i].client.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: from}))
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	h := sha256.New()
	for left := to - from + 1; left > 0; {
		if !stream.Receive() {
			n.t.Fatal(stream.Err())
		}
		b := stream.Msg().Block
		if b == nil {
			continue // its data is on its way
		}
		if !stream.Msg().More {
			left--
		}
		h.Write(b.OrderingHeader)
		for _, l := range b.Legs {
			h.Write(l.Record.BundleId)
			for _, tx := range l.Transactions {
				h.Write(tx)
			}
		}
	}
	return [32]byte(h.Sum(nil))
}

func TestNetwork(t *testing.T) {
	n := newNetwork(t, 4)
	n.startAll()
	n.reach(0, 2)

	// What one validator takes in, all of them order at the same place.
	b := n.bundle(n.height(0)+100, 100)
	_, err := n.running[1].client.SubmitBundle(t.Context(), connect.NewRequest(&v1.SubmitBundleRequest{Bundle: n.signed(0, b)}))
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), n.lane(1).String()) {
		t.Fatalf("signed for another lane: %v, want a refusal that tells the lane", err)
	}
	id := n.submit(1, b)
	at := n.ordered(1, id)
	for i := range n.running {
		if h := n.ordered(i, id); h != at {
			t.Fatalf("validator %d ordered it at %d, validator 1 at %d", i, h, at)
		}
		if n.hash(i, at) != n.hash(0, at) {
			t.Fatalf("validators %d and 0 have other blocks at height %d", i, at)
		}
	}
	if n.submit(1, b) != id || n.submit(2, b) != id {
		t.Fatal("submitting it again gives another ID")
	}
	if n.content(0, 1, at) != n.content(3, 1, at) {
		t.Fatal("streams of two validators differ")
	}

	// One of four may stop; when it is back, it catches up.
	n.stop(3)
	var last order.BundleID
	for i := range 10 {
		last = n.submit(i%3, n.bundle(n.height(0)+100, 1000))
	}
	at = n.ordered(0, last)
	n.start(3)
	if n.ordered(3, last) != at || n.hash(3, at) != n.hash(0, at) {
		t.Fatal("the validator that was away has another order")
	}
	if n.content(1, 1, at) != n.content(3, 1, at) {
		t.Fatal("streams differ after a restart")
	}

	// All stop and go on.
	for i := range n.running {
		n.stop(i)
	}
	n.startAll()
	n.reach(0, at+2)
	for i := range n.running {
		if n.status(i, last).State != v1.BundleState_BUNDLE_STATE_ORDERED {
			t.Fatalf("validator %d forgot what became of a bundle", i)
		}
	}
	id = n.submit(2, n.bundle(n.height(2)+100, 100))
	at = n.ordered(0, id)
	if n.hash(0, at) != n.hash(3, n.ordered(3, id)) {
		t.Fatal("validators differ after all were restarted")
	}
}

func TestBusyPortIsNamed(t *testing.T) {
	n := newNetwork(t, 1)
	for purpose, port := range map[string]int{"sequencer API": n.ports[0].API, "dispersal between validators": n.ports[0].Dispersal, "peer-to-peer listener": n.ports[0].P2P, "CometBFT RPC": n.ports[0].RPC} {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		_, err = node.Open(context.Background(), node.Options{Home: node.ValidatorHome(n.dir, 0), Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
		if want := fmt.Sprintf("127.0.0.1:%d is in use by another program, and the %s needs it", port, purpose); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Fatalf("got %v, want %s...", err, want)
		}
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		if files, _ := filepath.Glob(filepath.Join(node.ValidatorHome(n.dir, 0), "data", "*.db")); len(files) > 0 {
			t.Fatalf("stores were opened although a port was busy: %v", files)
		}
	}
}
