package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/common"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/avail/availtest"
	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/relayer"
	"github.com/ordo-network/ordo/rollup"
	"github.com/ordo-network/ordo/sequencer/claims/account"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// TestFallback takes the DA layer away from a network that has a second one, and gives
// it back: safe goes on all the time, and a new node reads both. The first is a double
// of Avail's light client.
func TestFallback(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not part of the basic flow")
	}
	light := availtest.New(availtest.Options{AppID: 42, BlockTime: 200 * time.Millisecond})
	defer light.Close()
	door := newDoor(t, light.URL)
	n := newHome(t)
	n.start(t, "--validators", "1", "--da", "avail", "--da-endpoint", door.URL, "--da-app-id", "42", "--da-fallback", "local")
	r := n.rollup(t, "alpha")
	w := newWallet(t, r, dial(t, r.RPC), 0)
	active := func(want bool) {
		t.Helper()
		eventually(t, settleTime, fmt.Sprintf("the relayer to have fallback_active %v", want), func() error {
			if l := layerStatus(t, n, "avail"); l.FallbackActive != want || l.Fallback != "local" {
				return fmt.Errorf("it says %+v", l)
			}
			return nil
		})
	}
	// posted waits until the relayer knows of a blob on the layer above the height.
	posted := func(layer string, above uint64) {
		t.Helper()
		eventually(t, settleTime, "a blob on "+layer, func() error {
			if got := layerStatus(t, n, layer).PostedHeight; got <= above {
				return fmt.Errorf("the last is at height %d", got)
			}
			return nil
		})
	}
	transfer(t, w)
	active(false)
	posted("avail", 0)
	if got := layerStatus(t, n, "local").PostedHeight; got != 0 {
		t.Errorf("a blob is on the fallback, at height %d", got)
	}

	door.shut.Store(true)
	began := time.Now()
	active(true)
	t.Logf("the fallback took over after %v", time.Since(began).Round(time.Second))
	transfer(t, w) // until it is safe
	posted("local", 0)

	door.shut.Store(false)
	began = time.Now()
	active(false)
	t.Logf("the layer was taken back after %v", time.Since(began).Round(time.Second))
	last := layerStatus(t, n, "avail").PostedHeight
	transfer(t, w)
	posted("avail", last)
	testAvailability(t, n) // of what is on the one and of what is on the other
	rebuilt(t, n, r, nowhere(t))
}

// door is an HTTP server before another one. While it is shut, requests end without
// an answer.
type door struct {
	URL  string
	shut atomic.Bool
}

func newDoor(t *testing.T, behind string) *door {
	t.Helper()
	to, err := url.Parse(behind)
	if err != nil {
		t.Fatal(err)
	}
	d := new(door)
	proxy := httputil.NewSingleHostReverseProxy(to)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.shut.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	d.URL = s.URL
	return d
}

func relayerStatus(t *testing.T, n *network) relayer.Status {
	t.Helper()
	var s relayer.Status
	eventually(t, settleTime, "the relayer's status", func() error {
		resp, err := http.Get(n.endpoints.RelayerURL() + "/status")
		if err != nil {
			return err
		}
		return json.Unmarshal(readAll(t, resp.Body), &s)
	})
	return s
}

func layerStatus(t *testing.T, n *network, layer string) relayer.LayerStatus {
	t.Helper()
	s := relayerStatus(t, n)
	for _, l := range s.Layers {
		if l.Name == layer {
			return l
		}
	}
	t.Fatalf("the relayer has no layer %s: %+v", layer, s)
	return relayer.LayerStatus{}
}

// newNode lays out one more node of a rollup, with the DA layers that the rollup has,
// and returns its home and the URL that it will have.
func newNode(t *testing.T, n *network, r devnet.RollupEndpoint, sequencers []string) (home, rpc string) {
	t.Helper()
	given, err := rollup.LoadConfig(filepath.Join(n.home, "rollup-"+r.Name))
	if err != nil {
		t.Fatal(err)
	}
	port, err := freeport.Claim(2)
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	home = filepath.Join(t.TempDir(), r.Name)
	if err := rollup.Init(home, rollup.InitOptions{
		Name: r.Name, ChainID: r.ChainID, SequencerGenesis: n.endpoints.Genesis, Sequencers: sequencers,
		DA: given.DA, Fallback: given.Fallback, Listen: listen, MetricsListen: fmt.Sprintf("127.0.0.1:%d", port+1),
	}); err != nil {
		t.Fatal(err)
	}
	return home, "http://" + listen
}

// nowhere is where no sequencer is.
func nowhere(t *testing.T) []string {
	t.Helper()
	port, err := freeport.Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	return []string{fmt.Sprintf("http://127.0.0.1:%d", port)}
}

var caughtUp = regexp.MustCompile(`caught up with the DA layer: rollup block (\d+), hash (0x[0-9a-f]{64}), sequencer height (\d+)`)

// syncFromDA rebuilds the node in home from its DA layers alone and returns its head.
func syncFromDA(t *testing.T, home string) (number uint64, hash common.Hash) {
	t.Helper()
	began := time.Now()
	out, err := ordo(t.Context(), "rollup", "sync", "--from-da", "--home", home)
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(out, 4000))
	}
	said := caughtUp.FindStringSubmatch(out)
	if said == nil {
		t.Fatalf("it does not tell its head:\n%s", tail(out, 4000))
	}
	if number, err = strconv.ParseUint(said[1], 10, 64); err != nil {
		t.Fatal(err)
	}
	t.Logf("rebuilt %d blocks, to height %s of the order, in %v", number, said[3], time.Since(began).Round(time.Millisecond))
	return number, common.HexToHash(said[2])
}

// rebuilt makes a node from DA alone, beside the network, which must have what is safe now
// and the blocks that the rollup's own node has.
func rebuilt(t *testing.T, n *network, r devnet.RollupEndpoint, sequencers []string) {
	t.Helper()
	client := dial(t, r.RPC)
	safe, err := tagged(t.Context(), client, "safe")
	if err != nil {
		t.Fatal(err)
	}
	home, _ := newNode(t, n, r, sequencers)
	number, hash := syncFromDA(t, home)
	if number < safe.Number.Uint64() {
		t.Errorf("block %d is the last of the node that was rebuilt, and %d was safe before", number, safe.Number)
	}
	waitTag(t, client, "latest", number)
	want, err := chain(t.Context(), client, number, number)
	if err != nil {
		t.Fatal(err)
	}
	if hash != want[0].Hash {
		t.Errorf("block %d is %s where it was rebuilt, and %s", number, hash, want[0].Hash)
	}
}

// testAvailability waits until validators with more than 2/3 of the stake confirm, for
// each rollup, that what is ordered now is on its layer.
func testAvailability(t *testing.T, n *network) {
	now, err := chainHeight(t.Context(), sequencer(n.endpoints.Sequencer))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range n.endpoints.Rollups {
		for _, url := range n.endpoints.Sequencers {
			eventually(t, settleTime, fmt.Sprintf("height %d of %s to be confirmed at %s", now, r.Name, url), func() error {
				a, err := available(t, url, r.Name)
				if err == nil && (a.GetTo() < now || a.GetLayer() != r.DA) {
					err = fmt.Errorf("it has %v", a)
				}
				return err
			})
		}
	}
}

// testFalseClaim has an account claim that blocks are on a layer where nothing is:
// nothing is confirmed by it, and the account is ignored for a time. Others are not.
func testFalseClaim(t *testing.T, n *network) {
	key, err := keys.Load(filepath.Join(n.home, "rollup-beta", "payer.json"))
	if err != nil {
		t.Fatal(err)
	}
	liar, err := account.New(account.Options{Endpoints: n.endpoints.Sequencers, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	const name = "nobody-relays-this"
	lie := da.Claim{
		Rollup: da.Namespace(order.NewRollupID(name)), Layer: "local", From: 1, To: 5,
		Parts: []da.Part{{Ref: da.Ref{Height: layerStatus(t, n, "local").PostedHeight}, ID: da.ID([]byte("not there"))}},
	}
	height, err := liar.Claim(t.Context(), []da.Claim{lie})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the claim is recorded at height %d", height)
	eventually(t, settleTime, "the claim to be found false", func() error {
		out, err := ordo(t.Context(), "sequencer", "query", "availability", "Relayer", fmt.Sprintf("{%q:%q}", "address", liar.Address()),
			"--node", n.endpoints.CometRPC, "--output", "json")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		var told struct {
			Relayer struct {
				FalseClaims  string `json:"false_claims"`
				IgnoredUntil string `json:"ignored_until"`
			}
		}
		if err := json.Unmarshal([]byte(out), &told); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		if until, err := strconv.ParseUint(told.Relayer.IgnoredUntil, 10, 64); err != nil || until <= height || told.Relayer.FalseClaims != "1" {
			return fmt.Errorf("the chain says %s", out)
		}
		return nil
	})
	if a, err := available(t, n.endpoints.Sequencer, name); err == nil && a.GetTo() != 0 {
		t.Errorf("what was claimed falsely is confirmed: %v", a)
	}
	testAvailability(t, n)
}

// testDAStatus compares what is told of DA layers with what is there.
func testDAStatus(t *testing.T, n *network) {
	testAvailability(t, n)
	out, err := ordo(t.Context(), "da", "status", "--home", n.home, "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var told struct {
		Relayer      relayer.Status
		Availability []struct {
			RollupID string `json:"rollup_id"`
			From, To uint64
			Layer    string
		}
	}
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	now, err := chainHeight(t.Context(), sequencer(n.endpoints.Sequencer))
	if err != nil {
		t.Fatal(err)
	}
	if l := told.Relayer.Layers; len(l) != 1 || l[0].Name != "local" || !l[0].Answers || l[0].PostedHeight == 0 || l[0].PostedHeight > l[0].HeadHeight || l[0].FallbackActive {
		t.Errorf("the layers are %+v", l)
	}
	if h := told.Relayer.SequencerHeight; h == 0 || h > now {
		t.Errorf("the order is said to be at height %d, and is at %d", h, now)
	}
	confirmed := map[string]uint64{}
	for _, a := range told.Availability {
		if a.Layer != "local" || a.From == 0 || a.From > a.To {
			t.Errorf("validators confirm %+v", a)
		}
		confirmed[a.RollupID] = a.To
	}
	for i, r := range n.endpoints.Rollups {
		p := told.Relayer.Rollups[i]
		if p.Name != r.Name || p.PostedHeight == 0 || p.PostedHeight > p.ReadHeight || p.ReadHeight > now {
			t.Errorf("%s is said to stand at %+v", r.Name, p)
		}
		// Validators are asked after the relayer, and may confirm what came between.
		if to := confirmed[r.RollupID]; to == 0 || to > now {
			t.Errorf("%s is confirmed to height %d, and the order is at %d", r.Name, to, now)
		}
	}
	text, err := ordo(t.Context(), "da", "status", "--home", n.home)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Logf("\n%s", text)
	for _, want := range []string{"local", "alpha", "beta", "last posted", "cost per MB", "confirmed by validators"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not told:\n%s", want, text)
		}
	}
}

func sequencer(url string) sequencerv1connect.SequencerServiceClient {
	return sequencerv1connect.NewSequencerServiceClient(&http.Client{Timeout: 5 * time.Second}, url)
}

// available is what the chain tells of a rollup's availability.
func available(t *testing.T, url, name string) (*sequencerv1.RollupAvailability, error) {
	t.Helper()
	id := order.NewRollupID(name)
	answer, err := sequencer(url).GetAvailability(t.Context(), connect.NewRequest(&sequencerv1.GetAvailabilityRequest{RollupIds: [][]byte{id[:]}}))
	if err != nil {
		return nil, err
	}
	if len(answer.Msg.Rollups) != 1 {
		return nil, errors.New("nothing is known of it")
	}
	return answer.Msg.Rollups[0], nil
}
