package celestia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
)

// submitted has the node take blobs at a height, and know that height.
func submitted(t *testing.T, n *fakeNode, height uint64) {
	t.Helper()
	h := header{}
	h.Header.ChainID = "test"
	n.on("blob.Submit", says(t, height))
	n.on("header.LocalHead", says(t, headerText(h, height)))
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	submitted(t, n, 7)
	c := open(t, n, Options{Namespaces: recordedNamespaces, Token: "secret"})
	blobs := []da.Blob{{Namespace: rollupC, Data: []byte("one")}, {Namespace: da.Namespace{5}, Data: []byte("two")}}
	refs, err := c.Submit(t.Context(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	spaces := [][29]byte{recordedNamespaces[rollupC], da.Namespace{5}.V0()}
	var sent []json.RawMessage
	if err := json.Unmarshal(n.params["blob.Submit"], &sent); err != nil || len(sent) != 2 {
		t.Fatalf("parameters are %s: %v", n.params["blob.Submit"], err)
	}
	var wire []rpcBlob
	if err := json.Unmarshal(sent[0], &wire); err != nil || len(wire) != 2 {
		t.Fatalf("blobs are %s: %v", sent[0], err)
	}
	for i, b := range wire {
		if !bytes.Equal(b.Namespace, spaces[i][:]) || !bytes.Equal(b.Data, blobs[i].Data) || b.Version != 0 {
			t.Errorf("blob %d was sent as %+v", i, b)
		}
		if refs[i].Height != 7 || !bytes.Equal(refs[i].Commitment, append(spaces[i][:], b.Commitment...)) {
			t.Errorf("blob %d has reference %+v", i, refs[i])
		}
	}
	if string(sent[1]) != "{}" { // null would have the node panic
		t.Errorf("options are %s, want {}", sent[1])
	}
	if got := n.header.Get("Authorization"); got != "Bearer secret" {
		t.Errorf("authorization is %q", got)
	}

	c = open(t, n, Options{GasPrice: 0.01})
	if _, err := c.Submit(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(n.params["blob.Submit"]), `,{"gas_price":0.01,"is_gas_price_set":true}]`) {
		t.Errorf("options are not the gas price in %s", n.params["blob.Submit"])
	}
}

func TestSubmitKeepsLimits(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	c := open(t, n, Options{MaxTxBytes: 200_000})
	limits := c.Limits()
	for name, tt := range map[string]struct {
		blobs []da.Blob
		want  error
	}{
		"no blobs":      {nil, da.ErrRejected},
		"an empty blob": {[]da.Blob{{Data: []byte{1}}, {}}, da.ErrRejected},
		"a large blob":  {[]da.Blob{{Data: make([]byte, limits.MaxBlobBytes+1)}}, da.ErrTooLarge},
		"large in all":  {[]da.Blob{{Data: make([]byte, limits.MaxSubmitBytes)}, {Data: []byte{1}}}, da.ErrTooLarge},
		"many blobs":    {slicesOf(limits.MaxSubmitBlobs + 1), da.ErrTooLarge},
	} {
		_, err := c.Submit(t.Context(), tt.blobs)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if n := n.called("blob.Submit"); n != 0 {
		t.Errorf("%d submissions left the house", n)
	}
	if n := limits.MaxSubmitBytes + limits.MaxSubmitBlobs*blobOverhead + txOverhead; n > 200_000 {
		t.Errorf("the largest submission takes %d bytes", n)
	}
}

func slicesOf(n int) []da.Blob {
	out := make([]da.Blob, n)
	for i := range out {
		out[i].Data = []byte{1}
	}
	return out
}

// What real nodes said, and what it means.
func TestSubmitErrors(t *testing.T) {
	t.Parallel()
	const hash = "6B6DB7DA1A117495A43D1B6BA89ABFFDE0F3F7B7431D0CA670356EBAA6C63A10"
	for message, want := range map[string]struct {
		code int
		err  error
	}{
		"broadcast tx error: hash " + hash + " error:  code: 21": {1, da.ErrTooLarge},
		"request bigger than maximum 16777216 allowed":           {-32700, da.ErrTooLarge},

		"broadcast tx error: hash " + hash + " error: insufficient minimum gas price for this node; got: 1utia, required: 320utia (min gas price: 0.004 utia/gas): insufficient fee code: 13":     {1, da.ErrRejected},
		"failed to submit blobs due to insufficient gas price in txconfig: broadcast tx error: hash " + hash + " error: insufficient fees; got: 1utia required: 2utia: insufficient fee code: 13": {1, da.ErrRejected},
		"broadcast tx error: hash " + hash + " error: out of gas in location: txSize; gasWanted: 1000, gasUsed: 4280: out of gas code: 11":                                                        {1, da.ErrRejected},
		"broadcast tx error: hash " + hash + " error: spendable balance 9utia is smaller than 79utia: insufficient funds: insufficient funds code: 5":                                             {1, da.ErrRejected},
		"account for signer celestia1xt4hhusc5wm0zvgg4wsaz2tpvz9lw7y60wxnhu not found":                                                                                                            {1, da.ErrRejected},
		"failed to get tx author address: getting account key: nokey.info: key not found [keyring.go:521]":                                                                                        {1, da.ErrRejected},
		"state: estimated gas price exceeds max gas price in tx config":                                                                                                                           {1, da.ErrRejected},
		"state: no blobs provided":                                                            {1, da.ErrRejected},
		"missing permission to invoke 'Submit' (need 'write')":                                {1, da.ErrRejected},
		"method 'blob.Submit' not found":                                                      {-32601, da.ErrRejected},
		"unmarshaling params for 'blob.Submit' (param: *[]*blob.Blob): data can not be empty": {-32700, da.ErrRejected},

		// The transaction may be somewhere.
		"broadcast tx error: hash " + hash + " error: tx already exists in cache code: 19":                              {1, da.ErrUnavailable},
		"broadcast tx error: hash " + hash + " error: mempool is full code: 20":                                         {1, da.ErrUnavailable},
		"broadcast tx error: hash " + hash + " error: account sequence mismatch code: 32":                               {1, da.ErrUnavailable},
		"tx execution failed with code 11: out of gas":                                                                  {1, da.ErrUnavailable},
		"tx with hash " + hash + " was rejected by the node with execution code: 13 and log: insufficient fee code: 13": {1, da.ErrUnavailable},
		"eviction poll timeout: transaction " + hash + " was evicted ":                                                  {1, da.ErrUnavailable},
		"rpc error: code = Unavailable desc = connection refused":                                                       {1, da.ErrUnavailable},
		"context deadline exceeded": {1, da.ErrUnavailable},
		"fatal error calling 'blob.Submit': panic in rpc method 'blob.Submit': broadcast tx error: hash x code: 21": {0, da.ErrUnavailable},
		"":               {1, da.ErrUnavailable},
		"internal error": {-32603, da.ErrUnavailable},
	} {
		n := newNode(t)
		n.on("blob.Submit", fails(t, want.code, message))
		_, err := open(t, n, Options{Retries: 3}).Submit(t.Context(), slicesOf(1))
		for _, sentinel := range []error{da.ErrTooLarge, da.ErrRejected, da.ErrUnavailable} {
			if errors.Is(err, sentinel) != errors.Is(want.err, sentinel) {
				t.Errorf("%q is %v, want %v", message, err, want.err)
			}
		}
		if calls := n.called("blob.Submit"); calls != 1 {
			t.Errorf("%q: submitted %d times", message, calls)
		}
	}
}

func TestSubmitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	r := record(t)
	known := map[string]http.HandlerFunc{
		"height 0":     says(t, 0),
		"no height":    raw(http.StatusOK, `{"id":1,"jsonrpc":"2.0"}`),
		"a string":     says(t, "7"),
		"a fraction":   says(t, 7.5),
		"no JSON":      raw(http.StatusOK, "ok"),
		"bad gateway":  raw(http.StatusBadGateway, "<html>"),
		"many":         raw(http.StatusTooManyRequests, ""),
		"elsewhere":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) },
		"never":        func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"cut off":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"unknown head": says(t, r.Height+1), // which the node never gets
	}
	for name, answer := range known {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.play(t, r)
			n.on("blob.Submit", answer)
			n.on("header.WaitForHeight", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			c := open(t, n, Options{Retries: 5, SubmitTimeout: 2 * time.Second})
			_, err := c.Submit(t.Context(), slicesOf(2))
			wantErr(t, err, da.ErrUnavailable)
			if errors.Is(err, da.ErrRejected) {
				t.Errorf("%v says that nothing was stored", err)
			}
			if calls := n.called("blob.Submit"); calls != 1 {
				t.Errorf("submitted %d times", calls)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := open(t, newNode(t), Options{}).Submit(ctx, slicesOf(1))
	wantErr(t, err, da.ErrUnavailable)
}

// After a submission, the node has the height: it is waited for.
func TestSubmitWaitsForTheNode(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	submitted(t, n, 9)
	h := header{}
	h.Header.ChainID = "test"
	n.on("header.LocalHead", says(t, headerText(h, 8)))
	n.on("header.WaitForHeight[9]", says(t, headerText(h, 9)))
	refs, err := open(t, n, Options{}).Submit(t.Context(), slicesOf(1))
	if err != nil || refs[0].Height != 9 {
		t.Fatalf("%v, %v", refs, err)
	}
	if n.called("header.WaitForHeight") != 1 {
		t.Error("nobody waited")
	}
}

func TestPrice(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for set, want := range map[float64]float64{0: 0.0342996, 0.004: 0.0342996, 0.1: 0.85749} {
		p, err := open(t, n, Options{GasPrice: set}).Price(t.Context())
		if err != nil || p.Unit != "TIA" || math.Abs(p.PerMB-want) > 1e-9 {
			t.Errorf("at %v utia: %v %s, %v; want %v", set, p.PerMB, p.Unit, err, want)
		}
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.on("state.AccountAddress", says(t, "celestia1nme2lx3z7e8qpj58x7qttjyrqg0t63w886uhsh"))
	balance := map[string]string{"denom": "utia", "amount": "999999999999112"}
	n.on("state.Balance", says(t, balance))
	c := open(t, n, Options{})
	a, err := c.Account(t.Context())
	if err != nil || a.Balance.String() != balance["amount"] || a.Address != "celestia1nme2lx3z7e8qpj58x7qttjyrqg0t63w886uhsh" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []map[string]string{{}, {"denom": "wei", "amount": "1"}, {"denom": "utia", "amount": "x"}, {"denom": "utia", "amount": strings.Repeat("9", 1<<16)}} {
		n.on("state.Balance", says(t, bad))
		_, err := c.Account(t.Context())
		wantErr(t, err, da.ErrUnavailable)
	}
}
