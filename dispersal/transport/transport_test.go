package transport

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chainID = "ordo-test"

// node is a mesh with what it received.
type node struct {
	*Mesh
	owner   order.Owner
	key     ed25519.PrivateKey
	address string
	stop    func()

	mu       sync.Mutex
	frames   []received
	handle   func(*Peer, *Frame) // in place of noting frames
	connects atomic.Int32
}

type received struct {
	from order.Owner
	t    Type
	body []byte
}

func (n *node) Connected(*Peer) { n.connects.Add(1) }

func (n *node) setHandle(handle func(*Peer, *Frame)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handle = handle
}

func (n *node) Handle(p *Peer, f *Frame) {
	n.mu.Lock()
	handle := n.handle
	n.mu.Unlock()
	if handle != nil {
		handle(p, f)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frames = append(n.frames, received{p.Owner, f.Type, bytes.Clone(f.Body)})
	f.Release()
}

func (n *node) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.frames)
}

func testKey(i byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, ed25519.SeedSize))
}

func public(key ed25519.PrivateKey) Key { return Key(key.Public().(ed25519.PublicKey)) }

var quick = Limits{RetryMin: 5 * time.Millisecond, RetryMax: 40 * time.Millisecond, Penalty: time.Millisecond}

func start(t testing.TB, i byte, limits Limits) *node {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &node{owner: order.Owner{i}, key: testKey(i), address: l.Addr().String()}
	n.Mesh, err = New(Options{ChainID: chainID, Self: n.owner, Listener: l, Handler: n, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// members allows all nodes.
func members(self *node, nodes ...*node) *Members {
	m := &Members{Key: self.key, Allowed: map[Key]order.Owner{}, Addresses: map[order.Owner]string{}, MaxShare: 1 << 20}
	for _, n := range nodes {
		m.Allowed[public(n.key)] = n.owner
		m.Addresses[n.owner] = n.address
	}
	return m
}

// join connects all nodes. The lesser one connects to the other: no connection is
// replaced later.
func join(t testing.TB, nodes ...*node) {
	t.Helper()
	for i, n := range nodes {
		m := members(n, nodes...)
		for _, lesser := range nodes[:i] {
			delete(m.Addresses, lesser.owner)
		}
		if err := n.SetMembers(m); err != nil {
			t.Fatal(err)
		}
	}
	joined(t, nodes...)
}

// joined waits until all nodes use the same connections.
func joined(t testing.TB, nodes ...*node) {
	t.Helper()
	await.Until(t, "all peers are connected, by the same connections", func() bool {
		for _, a := range nodes {
			for _, b := range nodes {
				p, q := a.Peer(b.owner), b.Peer(a.owner)
				if a != b && (p == nil || q == nil || p.wire.LocalAddr().String() != q.Address) {
					return false
				}
			}
		}
		return true
	})
}

func message(t Type, i, size int) Outgoing {
	return Outgoing{Type: t, Head: binary.BigEndian.AppendUint32(nil, uint32(i)), Body: make([]byte, size)}
}

func TestMessagesArriveInOrder(t *testing.T) {
	t.Parallel()
	a, b, c := start(t, 1, quick), start(t, 2, quick), start(t, 3, quick)
	join(t, a, b, c)
	const each = 200
	var done atomic.Int32
	for i := range each {
		for _, to := range []*node{b, c} {
			o := message(TypeDisperse, i, i*100)
			o.Done = func() { done.Add(1) }
			await.Until(t, "there is room", func() bool {
				err := a.Send(to.owner, o)
				if errors.Is(err, ErrDisconnected) {
					t.Fatal(err)
				}
				return err == nil
			})
		}
	}
	for _, n := range []*node{b, c} {
		await.Until(t, "everything arrived", func() bool { return n.count() == each })
		for i, f := range n.frames {
			if f.from != a.owner || f.t != TypeDisperse || len(f.body) != 4+i*100 || binary.BigEndian.Uint32(f.body) != uint32(i) {
				t.Fatalf("frame %d: %v of %d bytes, number %d", i, f.t, len(f.body), binary.BigEndian.Uint32(f.body))
			}
		}
	}
	await.Until(t, "all messages are done with", func() bool { return done.Load() == 2*each })
}

func TestAllConnectAtOnce(t *testing.T) {
	t.Parallel()
	var nodes []*node
	for i := range 6 {
		nodes = append(nodes, start(t, byte(i+1), quick))
	}
	for _, n := range nodes {
		if err := n.SetMembers(members(n, nodes...)); err != nil {
			t.Fatal(err)
		}
	}
	joined(t, nodes...)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	a, b := start(t, 1, quick), start(t, 2, quick)
	silent := order.BatchID{9}
	b.setHandle(func(p *Peer, f *Frame) {
		defer f.Release()
		request, get, err := DecodeGetShare(f.Body)
		if err != nil {
			t.Error(err)
		}
		if get.Batch != silent {
			_ = p.Send(ShareOutgoing(request, nil, get.Batch[:]))
		}
	})
	join(t, a, b)
	var asking sync.WaitGroup
	for i := range 100 {
		asking.Go(func() {
			id := order.BatchID{1, byte(i)}
			f, err := a.Request(t.Context(), b.owner, (&GetShare{Position: order.Position{Mark: order.Mark{Session: 1}}, Batch: id}).Outgoing())
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Release()
			if _, share, err := DecodeShare(f.Body); err != nil || !bytes.Equal(share, id[:]) {
				t.Errorf("request %d: %x %v", i, share, err)
			}
		})
	}
	asking.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Request(ctx, b.owner, (&GetShare{Batch: silent}).Outgoing()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled request: %v", err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := a.Request(t.Context(), b.owner, (&GetShare{Batch: silent}).Outgoing())
		failed <- err
	}()
	b.stop()
	if err := <-failed; !errors.Is(err, ErrDisconnected) {
		t.Errorf("request to a peer that stopped: %v", err)
	}
	if n := len(a.Peers()); n != 0 {
		await.Until(t, "the peer is gone", func() bool { return len(a.Peers()) == 0 })
	}
	if _, err := a.Request(t.Context(), b.owner, (&GetShare{}).Outgoing()); !errors.Is(err, ErrDisconnected) {
		t.Errorf("request to nobody: %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	a, b := start(t, 1, quick), start(t, 2, quick)
	ma, mb := members(a, a, b), members(b, a, b)
	mb.Addresses = nil // so that there is one connection from the start
	if err := errors.Join(a.SetMembers(ma), b.SetMembers(mb)); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "they are connected", func() bool { return a.Peer(b.owner) != nil })
	old := a.Peer(b.owner)
	fresh := testKey(7)
	// Both keys are allowed while epochs overlap: the connection stays.
	both := members(a, a, b)
	both.Allowed[public(fresh)] = b.owner
	if err := a.SetMembers(both); err != nil {
		t.Fatal(err)
	}
	if err := a.Send(b.owner, message(TypeTips, 1, 0)); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the message is there", func() bool { return b.count() == 1 })
	if a.Peer(b.owner) != old {
		t.Error("the connection was replaced while its key is allowed")
	}
	// Then only the new one: the connection ends and comes back with the new key.
	b.key = fresh
	if err := errors.Join(b.SetMembers(members(b, a, b)), a.SetMembers(members(a, a, b))); err != nil {
		t.Fatal(err)
	}
	<-old.Context().Done()
	await.Until(t, "connected by the new key", func() bool { p := a.Peer(b.owner); return p != nil && p.key == public(fresh) })
	// Nobody is left in whose key is off the list.
	alone := members(a, a)
	if err := a.SetMembers(alone); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "no peer is left", func() bool { return len(a.Peers()) == 0 })
}

func TestNewerConnectionReplaces(t *testing.T) {
	t.Parallel()
	a, b := start(t, 1, quick), start(t, 2, quick)
	join(t, a, b)
	old := a.Peer(b.owner)
	if _, err := a.shake(t.Context(), dialTo(t, b.address), false, b.owner); err != nil {
		t.Fatal(err)
	}
	<-old.Context().Done()
	await.Until(t, "connected anew", func() bool {
		p := a.Peer(b.owner)
		return p != nil && p != old && a.Send(b.owner, message(TypeTips, 2, 0)) == nil
	})
	await.Until(t, "the message is there", func() bool { return b.count() > 0 })
}

// A peer that takes nothing costs its queue and no more; others go on.
func TestSlowPeer(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.BulkBytes, limits.PeerBytes, limits.IdleTimeout = 1<<20, 1<<20, time.Minute
	a, b, c := start(t, 1, limits), start(t, 2, limits), start(t, 3, limits)
	release := make(chan struct{})
	b.setHandle(func(_ *Peer, f *Frame) { <-release; f.Release() })
	join(t, a, b, c)
	var sent, done atomic.Int32
	await.Until(t, "the sender is told", func() bool {
		o := message(TypeDisperse, 0, 256<<10)
		o.Done = func() { done.Add(1) }
		sent.Add(1)
		return errors.Is(a.Send(b.owner, o), ErrFull)
	})
	if err := a.Send(c.owner, message(TypeDisperse, 0, 256<<10)); err != nil {
		t.Errorf("send to another peer: %v", err)
	}
	await.Until(t, "the other peer has it", func() bool { return c.count() == 1 })
	close(release)
	await.Until(t, "all messages are done with", func() bool { return done.Load() == sent.Load() })
}

func TestUrgentOvertakesBulk(t *testing.T) {
	t.Parallel()
	q := newQueue(1<<20, 1<<20)
	for i := range 8 {
		if err := q.add(message(TypeDisperse, i, 100<<10)); err != nil {
			t.Fatal(err)
		}
	}
	first := q.take(nil)
	if err := q.add(message(TypeAttest, 99, 0)); err != nil {
		t.Fatal(err)
	}
	second := q.take(nil)
	if len(first) != 1 || len(second) != 2 || second[0].Type != TypeAttest || binary.BigEndian.Uint32(second[1].Head) != 1 {
		t.Errorf("took %d then %d messages, of them first %v", len(first), len(second), second[0].Type)
	}
}
