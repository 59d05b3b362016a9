package celestia

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/datest"
	"github.com/ordo-network/ordo/da/local"
	network "github.com/ordo-network/ordo/devnet/celestia"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The embedded layer answers as celestia-node does, but for the proofs.
func TestConformanceOnLocal(t *testing.T) {
	t.Parallel()
	layer, err := local.Open(t.TempDir(), local.Options{BlockTime: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := layer.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- local.NewServer(layer, local.ServerOptions{}).Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	datest.Run(t, datest.Harness{Remote: true, Open: func(t *testing.T, transport http.RoundTripper) da.Layer {
		return connect(t, "http://"+listener.Addr().String(), Options{Transport: transport, Unproven: true})
	}})
}

// startNetwork starts a real Celestia network, whose bridge asks for a token.
func startNetwork(t *testing.T) *network.Network {
	t.Helper()
	if _, _, err := network.Binaries(t.Context()); errors.Is(err, network.ErrNotBuilt) {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n, err := network.Start(ctx, network.Options{Dir: t.TempDir(), Auth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Stop() }) // its own tests see to how it stops
	return n
}

func connect(t *testing.T, endpoint string, o Options) *Client {
	t.Helper()
	c, err := New(endpoint, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestOnARealNetwork(t *testing.T) {
	t.Parallel()
	n := startNetwork(t)
	t.Run("conformance", func(t *testing.T) {
		datest.Run(t, datest.Harness{
			Remote: true, Timeout: 3 * time.Minute,
			Open: func(t *testing.T, transport http.RoundTripper) da.Layer {
				return connect(t, n.Endpoint(), Options{Token: n.Token(), Transport: transport})
			},
		})
	})
	for name, test := range map[string]func(*testing.T, *network.Network){
		"the fullest submission fits":        fullest,
		"what the node refuses is rejected":  refusedByTheNode,
		"namespaces are those that were set": namespacesThatAreSet,
		"the node's account is known":        account,
		"blobs are read without proofs":      unproven,
	} {
		t.Run(name, func(t *testing.T) { test(t, n) })
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // it never fails
	return b
}

// fullest shows that the limits leave enough for what a transaction has beside the
// data, with as many blobs and bytes as they allow.
func fullest(t *testing.T, n *network.Network) {
	c := connect(t, n.Endpoint(), Options{Token: n.Token()})
	l := c.Limits()
	rollup := da.Namespace(random(32))
	blobs, left := make([]da.Blob, l.MaxSubmitBlobs), l.MaxSubmitBytes
	for i := range blobs {
		size := left / (len(blobs) - i)
		blobs[i] = da.Blob{Namespace: rollup, Data: random(size)}
		left -= size
	}
	refs, err := c.Submit(t.Context(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Blobs(t.Context(), refs[0].Height, rollup)
	if err != nil || len(got) != len(blobs) {
		t.Fatalf("%d blobs, %v; want %d", len(got), err, len(blobs))
	}
	for i, b := range got {
		if !bytes.Equal(b.Data, blobs[i].Data) || !bytes.Equal(b.Commitment, refs[i].Commitment) {
			t.Fatalf("blob %d is another one", i)
		}
	}
}

func refusedByTheNode(t *testing.T, n *network.Network) {
	rollup := da.Namespace(random(32))
	for name, tt := range map[string]struct {
		options Options
		say     string
	}{
		"a gas price too low":       {Options{Token: n.Token(), GasPrice: 1e-7}, "raise the gas price"},
		"more than the account has": {Options{Token: n.Token(), GasPrice: 1e12}, "send coins"},
		"no token":                  {Options{}, "may write"},
		"a wrong token":             {Options{Token: "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"}, "401"},
	} {
		c := connect(t, n.Endpoint(), tt.options)
		_, err := c.Submit(t.Context(), []da.Blob{{Namespace: rollup, Data: []byte("refused")}})
		wantErr(t, err, da.ErrRejected)
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s: %v does not say %q", name, err, tt.say)
		}
	}
	_, err := connect(t, n.Endpoint(), Options{Token: "wrong"}).Head(t.Context())
	wantErr(t, err, da.ErrRejected)
	_, err = connect(t, n.Endpoint(), Options{Token: n.Token(), ChainID: "celestia"}).Head(t.Context())
	wantErr(t, err, da.ErrRejected)
	_, err = connect(t, n.Endpoint(), Options{}).Head(t.Context())
	wantErr(t, err, da.ErrRejected) // reading takes a token, too
}

func namespacesThatAreSet(t *testing.T, n *network.Network) {
	one, all := userNamespace("one rollup"), userNamespace("all others")
	rollup, other := da.Namespace(random(32)), da.Namespace(random(32))
	c := connect(t, n.Endpoint(), Options{Token: n.Token(), Namespaces: map[da.Namespace][29]byte{rollup: one}, Namespace: all})
	refs, err := c.Submit(t.Context(), []da.Blob{{Namespace: rollup, Data: []byte("1")}, {Namespace: other, Data: []byte("2")}})
	if err != nil {
		t.Fatal(err)
	}
	for i, ns := range []namespace{one, all} {
		if !bytes.HasPrefix(refs[i].Commitment, ns[:]) {
			t.Errorf("blob %d stands under another namespace: %x", i, refs[i].Commitment)
		}
	}
	// Who knows nothing of all this neither confirms them nor denies them.
	plain := connect(t, n.Endpoint(), Options{Token: n.Token()})
	for i, ns := range []da.Namespace{rollup, other} {
		got, err := c.Get(t.Context(), ns, refs[i])
		if want := string('1' + rune(i)); err != nil || string(got) != want {
			t.Errorf("blob %d is %q, %v", i, got, err)
		}
		_, err = plain.Get(t.Context(), ns, refs[i])
		wantErr(t, err, da.ErrUnavailable)
	}
	if got, err := plain.Blobs(t.Context(), refs[0].Height, rollup); err != nil || len(got) != 0 {
		t.Errorf("under the namespace by rule there are %d blobs, %v", len(got), err)
	}
}

func account(t *testing.T, n *network.Network) {
	a, err := connect(t, n.Endpoint(), Options{Token: n.Token()}).Account(t.Context())
	if err != nil || !strings.HasPrefix(a.Address, "celestia1") || a.Balance.Sign() <= 0 {
		t.Errorf("%+v, %v", a, err)
	}
}

func unproven(t *testing.T, n *network.Network) {
	rollup := da.Namespace(random(32))
	blobs := []da.Blob{{Namespace: rollup, Data: random(2000)}, {Namespace: rollup, Data: random(3)}}
	refs, err := connect(t, n.Endpoint(), Options{Token: n.Token()}).Submit(t.Context(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, n.Endpoint(), Options{Token: n.Token(), Unproven: true})
	got, err := c.Blobs(t.Context(), refs[0].Height, rollup)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d blobs, %v", len(got), err)
	}
	for i, ref := range refs {
		data, err := c.Get(t.Context(), rollup, ref)
		if err != nil || !bytes.Equal(data, blobs[i].Data) || !bytes.Equal(got[i].Data, data) || !bytes.Equal(got[i].Commitment, ref.Commitment) {
			t.Errorf("blob %d: %d bytes, %v", i, len(data), err)
		}
	}
}
