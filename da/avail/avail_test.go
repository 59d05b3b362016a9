package avail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/avail/availtest"
	"github.com/ordo-network/ordo/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func lightClient(t *testing.T, o availtest.Options) *availtest.Server {
	t.Helper()
	s := availtest.New(o)
	t.Cleanup(s.Close)
	return s
}

func newClient(t *testing.T, url string, o Options) *Client {
	t.Helper()
	if o.AppID == 0 {
		o.AppID = 1
	}
	if o.Poll == 0 {
		o.Poll = 2 * time.Millisecond
	}
	c, err := New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// awaitHead waits until the light client has verified a block.
func awaitHead(t *testing.T, c *Client, height uint64) {
	t.Helper()
	if _, err := c.WaitHead(await.Context(t), height-1); err != nil {
		t.Fatal(err)
	}
}

// one is the data of a transaction that holds one blob.
func one(ns da.Namespace, data string) []byte {
	return seal([]da.Blob{{Namespace: ns, Data: []byte(data)}})
}

func ns(b byte) da.Namespace { return da.Namespace{0: b, 31: b} }

func TestBlobsShareAnApplication(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{AppID: 7})
	c := newClient(t, s.URL, Options{AppID: 7})
	refs, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns(1), Data: []byte("one")}, {Namespace: ns(2), Data: []byte("two")}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one", "two"} {
		got, err := c.Get(t.Context(), ns(byte(i+1)), refs[i])
		if err != nil || string(got) != want {
			t.Errorf("blob %d is %q, %v", i, got, err)
		}
		if _, err := c.Get(t.Context(), ns(9), refs[i]); !errors.Is(err, da.ErrNotFound) {
			t.Errorf("under another namespace: %v, want ErrNotFound", err)
		}
		wrong := da.Ref{Height: refs[i].Height, Commitment: bytes.Repeat([]byte{1}, 32)}
		if _, err := c.Get(t.Context(), ns(byte(i+1)), wrong); !errors.Is(err, da.ErrNotFound) {
			t.Errorf("with another commitment: %v, want ErrNotFound", err)
		}
	}
	// What stands on the chain is this, and nothing else.
	one, two := ns(1), ns(2)
	data := slices.Concat(one[:], []byte("\x00\x00\x00\x03one"), two[:], []byte("\x00\x00\x00\x03two"))
	if n := s.Holds(data); n != 1 {
		t.Errorf("the chain holds the blobs in one transaction %d times, want once", n)
	}
}

func TestStrangersDataIsLeftOut(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{})
	c := newClient(t, s.URL, Options{})
	space := ns(1)
	mine := one(space, "mine")
	n := uint64(s.Post(nil, []byte("short"), space[:], bytes.Repeat([]byte{9}, 5000), mine, mine[:len(mine)-1], append(mine, 0),
		append(mine, space[:]...), append(mine, seal([]da.Blob{{Namespace: space}})...), one(ns(2), "other"), mine))
	awaitHead(t, c, n)
	stored, err := c.Blobs(t.Context(), n, space)
	if err != nil || len(stored) != 2 {
		t.Fatalf("%d blobs, %v, want the 2 of the namespace", len(stored), err)
	}
	for _, b := range stored {
		if string(b.Data) != "mine" || b.Height != n {
			t.Errorf("%q at %d", b.Data, b.Height)
		}
	}
}

// What is not verified is not read, whatever the light client holds already.
func TestOnlyVerifiedBlocksAreRead(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{})
	c := newClient(t, s.URL, Options{})
	space := ns(1)
	n := s.Post(one(space, "mine"))
	awaitHead(t, c, uint64(n))
	for status, want := range map[string]error{
		"unavailable": da.ErrUnavailable, "pending": da.ErrUnavailable, "verifying-header": da.ErrUnavailable,
		"verifying-confidence": da.ErrUnavailable, "verifying-data": da.ErrUnavailable, "what next": da.ErrUnavailable,
		"incomplete": nil, "finished": nil,
	} {
		s.SetStatus(n, status)
		fresh := newClient(t, s.URL, Options{})
		stored, err := fresh.Blobs(t.Context(), uint64(n), space)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", status, err, want)
		}
		if got := len(stored) > 0; got != (status == "finished") {
			t.Errorf("%s: %d blobs", status, len(stored))
		}
	}
	for _, height := range []uint64{uint64(n) + 1_000_000, 1 << 32, 1 << 63} {
		if _, err := c.Blobs(t.Context(), height, space); !errors.Is(err, da.ErrNotYet) {
			t.Errorf("height %d: %v, want ErrNotYet", height, err)
		}
	}
}

// A light client that was started later serves no older block, and says so in a way
// that readers do not take for emptiness.
func TestBlocksBeforeTheLightClientsStart(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{})
	c := newClient(t, s.URL, Options{})
	n := s.Post([]byte("x"))
	awaitHead(t, c, uint64(n)+5)
	s.SetFirst(n + 1)
	if _, err := c.Blobs(t.Context(), uint64(n), ns(1)); !errors.Is(err, da.ErrUnavailable) || !strings.Contains(err.Error(), "sync_start_block") {
		t.Errorf("%v, want ErrUnavailable with the setting to change", err)
	}
}

func TestUnfitLightClients(t *testing.T) {
	t.Parallel()
	blob := []da.Blob{{Namespace: ns(1), Data: []byte("x")}}

	s := lightClient(t, availtest.Options{AppID: 5})
	c := newClient(t, s.URL, Options{AppID: 6})
	_, err := c.Submit(t.Context(), blob)
	if !errors.Is(err, da.ErrRejected) || !strings.Contains(err.Error(), "has app_id 5, want 6") {
		t.Errorf("another application: %v", err)
	}
	if _, err := c.Blobs(t.Context(), 1, ns(1)); !errors.Is(err, da.ErrUnavailable) || errors.Is(err, da.ErrRejected) {
		t.Errorf("another application, read: %v, want ErrUnavailable alone", err)
	}

	s.SetLightly()
	c = newClient(t, s.URL, Options{AppID: 5})
	if _, err := c.Head(t.Context()); !errors.Is(err, da.ErrRejected) {
		t.Errorf("no app mode: %v, want ErrRejected", err)
	}

	s = lightClient(t, availtest.Options{Token: "secret"})
	c = newClient(t, s.URL, Options{Token: "wrong"})
	if _, err := c.Head(t.Context()); !errors.Is(err, da.ErrRejected) {
		t.Errorf("wrong token: %v, want ErrRejected", err)
	}
	c = newClient(t, s.URL, Options{Token: "secret"})
	if _, err := c.Submit(t.Context(), blob); err != nil {
		t.Errorf("right token: %v", err)
	}
	s.SetGenesis("0xbeef")
	if _, err := c.Head(t.Context()); !errors.Is(err, da.ErrRejected) {
		t.Errorf("another network: %v, want ErrRejected", err)
	}

	// Without a key, or after it lost app mode, it takes nothing: that is for good.
	s = lightClient(t, availtest.Options{})
	c = newClient(t, s.URL, Options{})
	if _, err := c.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.SetLightly()
	if _, err := c.Submit(t.Context(), blob); !errors.Is(err, da.ErrRejected) {
		t.Errorf("no key: %v, want ErrRejected", err)
	}

	for _, o := range []Options{{}, {AppID: 1}} {
		endpoint := "http://127.0.0.1:7007"
		if o.AppID != 0 {
			endpoint = "127.0.0.1:7007"
		}
		if _, err := New(endpoint, o); err == nil {
			t.Errorf("New took %q and %+v", endpoint, o)
		}
	}
}

func TestFaultsOfTheLightClient(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{})
	c := newClient(t, s.URL, Options{})
	space := ns(1)
	for name, tt := range map[string]struct {
		fault func()
		want  int
	}{
		"failed and not stored": {func() { s.Refuse(1) }, 0},
		"failed but stored":     {func() { s.Lose(1) }, 1},
		"reorganised":           {s.Reorganise, 1},
	} {
		tt.fault()
		if _, err := c.Submit(t.Context(), []da.Blob{{Namespace: space, Data: []byte(name)}}); !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		if n := s.Holds(one(space, name)); n != tt.want {
			t.Errorf("%s: stored %d times, want %d", name, n, tt.want)
		}
	}
}

func forward(t *testing.T, w http.ResponseWriter, r *http.Request, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(r.Context(), r.Method, url+r.URL.String(), r.Body)
	if err != nil {
		t.Error(err)
		return
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	buf := new(bytes.Buffer)
	_, _ = buf.ReadFrom(resp.Body) // a short answer fails the test
	_, _ = w.Write(buf.Bytes())
}

// A light client whose account counts its own nonces takes one transaction at a time.
func TestTransactionsGoOneAfterTheOther(t *testing.T) {
	t.Parallel()
	var open, most atomic.Int64
	s := lightClient(t, availtest.Options{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			most.Store(max(most.Load(), open.Add(1)))
			defer open.Add(-1)
		}
		forward(t, w, r, s.URL)
	}))
	defer front.Close()
	c := newClient(t, front.URL, Options{})
	errs := make(chan error, 6)
	for i := range cap(errs) {
		go func() {
			_, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns(byte(i)), Data: []byte("x")}})
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 1 {
		t.Errorf("%d transactions were handed in at once", most.Load())
	}
}

// A block is asked for once, whatever the number of rollups that look into it.
func TestABlockIsFetchedOnceForManyNamespaces(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	s := lightClient(t, availtest.Options{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/data") {
			fetched.Add(1)
		}
		forward(t, w, r, s.URL)
	}))
	defer front.Close()
	c := newClient(t, front.URL, Options{})
	space := ns(1)
	n := uint64(s.Post(one(space, "x")))
	awaitHead(t, c, n)
	for i := range 1000 {
		if _, err := c.Blobs(t.Context(), n, ns(byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	if fetched.Load() != 1 {
		t.Errorf("the block was fetched %d times, want once", fetched.Load())
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c cache
	for i := range uint64(1000) {
		c.put(i, []entry{{data: make([]byte, 1<<20)}})
	}
	c.put(2000, []entry{{data: make([]byte, cachedBytes+1)}})
	if len(c.blocks) > cachedBlocks || len(c.blocks) != len(c.order) || c.bytes > cachedBytes {
		t.Errorf("%d blocks, %d in order, %d bytes", len(c.blocks), len(c.order), c.bytes)
	}
	if _, ok := c.get(999); !ok {
		t.Error("the last block is not there")
	}
	if _, ok := c.get(0); ok {
		t.Error("the first block is there still")
	}
}

// Nothing that an endpoint answers makes the client panic, hang or believe it.
func TestHostileEndpoint(t *testing.T) {
	t.Parallel()
	const good = `{"modes":["light","app"],"app_id":1,"genesis_hash":"0x1","network":"n","blocks":{"latest":9,"app_data":{"first":1,"last":8}}}`
	for _, tt := range []struct{ status, data, submit string }{
		{``, ``, ``},
		{`null`, `null`, `null`},
		{`[]`, `[]`, `[]`},
		{strings.Repeat("[", 20000), "", ""},
		{`{"modes":["light","app"],"app_id":1,"genesis_hash":"0x1","blocks":{"latest":3,"app_data":{"first":1,"last":8}}}`, `{}`, `{}`},
		{`{"modes":["light","app"],"app_id":1,"blocks":{"latest":9,"app_data":{"first":1,"last":8}}}`, `{}`, `{}`},
		{`{"modes":["light","app"],"app_id":1,"genesis_hash":"0x1","blocks":{"latest":-9}}`, `{}`, `{}`},
		{good, `{"block_number":4,"data_transactions":[]}`, `{"block_number":0}`},
		{good, `{"block_number":5,"data_transactions":[{"data":"%%%"}]}`, `{"block_number":-1}`},
		{good, `{"block_number":5,"data_transactions":{"data":"AA=="}}`, `{"block_number":99999999999}`},
		{good, `{"block_number":5,"data_transactions":[7]}`, `{"block_number":"5"}`},
		{good, `{"data_transactions":[` + strings.Repeat("{},", 1<<19) + `{"data":3}]}`, `{"block_number":5}` + strings.Repeat(" ", 2<<20)},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := tt.status
			switch {
			case strings.HasSuffix(r.URL.Path, "/data"):
				text = tt.data
			case r.Method == http.MethodPost:
				text = tt.submit
			}
			fmt.Fprint(w, text)
		}))
		c := newClient(t, server.URL, Options{Settle: 50 * time.Millisecond})
		if _, err := c.Blobs(t.Context(), 5, ns(1)); !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("blobs after %.60s %.60s: %v", tt.status, tt.data, err)
		}
		if _, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns(1), Data: []byte("x")}}); !errors.Is(err, da.ErrUnavailable) && !errors.Is(err, da.ErrRejected) {
			t.Errorf("submit after %.60s %.60s: %v", tt.status, tt.submit, err)
		}
		server.Close()
	}
}

// An answer that says nothing of a block does not pass for an empty one, and neither
// does what is said of a block that is not verified yet.
func TestSilenceIsNoEmptyBlock(t *testing.T) {
	t.Parallel()
	const height = 5
	for _, tt := range []struct {
		data string
		head int
		want error // nil: nothing is there
	}{
		{`{}`, 8, da.ErrUnavailable},
		{`null`, 8, da.ErrUnavailable},
		{`{"error":"internal"}`, 8, da.ErrUnavailable},
		{`{"block_number":5}`, 8, da.ErrUnavailable},
		{`{"block_number":5,"data_transactions":null}`, 8, da.ErrUnavailable},
		{`{"block_number":5,"data_transactions":[]}`, 8, nil},
		{`{"data_transactions":[]}`, 5, nil},
		{`{"block_number":5,"data_transactions":[]}`, 4, da.ErrNotYet},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text := fmt.Sprintf(`{"modes":["light","app"],"app_id":1,"genesis_hash":"0x1","network":"n",
				"blocks":{"latest":9,"app_data":{"first":1,"last":%d}}}`, tt.head)
			if strings.HasSuffix(r.URL.Path, "/data") {
				text = tt.data
			}
			fmt.Fprint(w, text)
		}))
		c := newClient(t, server.URL, Options{})
		if blobs, err := c.Blobs(t.Context(), height, ns(1)); !errors.Is(err, tt.want) || len(blobs) != 0 {
			t.Errorf("blobs after %s with head %d: %d, %v, want %v", tt.data, tt.head, len(blobs), err, tt.want)
		}
		want := tt.want
		if want == nil {
			want = da.ErrNotFound
		}
		if _, err := c.Get(t.Context(), ns(1), da.Ref{Height: height}); !errors.Is(err, want) {
			t.Errorf("get after %s with head %d: %v, want %v", tt.data, tt.head, err, want)
		}
		server.Close()
	}
}

// A network that makes no block ends no wait but by its context.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	s := lightClient(t, availtest.Options{BlockTime: time.Hour})
	c := newClient(t, s.URL, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := c.WaitHead(ctx, 0); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("wait: %v, want ErrUnavailable", err)
	}
	if _, err := c.Submit(ctx, []da.Blob{{Namespace: ns(1), Data: []byte("x")}}); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("submit: %v, want ErrUnavailable", err)
	}
	c = newClient(t, lightClient(t, availtest.Options{Lag: 1 << 30}).URL, Options{Settle: 30 * time.Millisecond})
	if _, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns(1), Data: []byte("x")}}); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("a block that is never final: %v, want ErrUnavailable", err)
	}
}

func FuzzTransactions(f *testing.F) {
	f.Add([]byte(`[{"data":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXg=","extrinsic":"AA=="},{}]`))
	f.Add([]byte(`[{"data":null}]`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var txs transactions
		if json.Unmarshal(raw, &txs) != nil {
			return
		}
		var blobs []da.Blob
		for _, e := range txs {
			blobs = append(blobs, da.Blob{Namespace: e.namespace, Data: e.data})
		}
		again := open(seal(blobs))
		if len(again) != len(txs) {
			t.Fatalf("%q has %d blobs, written again %d", raw, len(txs), len(again))
		}
		for i, e := range txs {
			if len(e.data) == 0 || again[i].id != e.id || !bytes.Equal(again[i].data, e.data) || again[i].namespace != e.namespace {
				t.Fatalf("%q gives %x", raw, e.data)
			}
		}
	})
}

// The fullest Submit makes the largest transaction that Avail takes.
func TestAFullSubmitFitsATransaction(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:7007", Options{})
	l := c.Limits()
	blobs := make([]da.Blob, l.MaxSubmitBlobs)
	for i := range blobs {
		blobs[i].Data = make([]byte, l.MaxSubmitBytes/len(blobs))
	}
	blobs[0].Data = append(blobs[0].Data, make([]byte, l.MaxSubmitBytes%len(blobs))...)
	if err := c.checkBlobs(blobs); err != nil || len(seal(blobs)) != maxTransactionBytes {
		t.Errorf("%d bytes, %v; want %d", len(seal(blobs)), err, maxTransactionBytes)
	}
}
