package api_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/availability"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// claim is the event of a claim, as the chain module emits it.
func claim(t testing.TB, id order.RollupID, layer string, from, to uint64, commitment []byte) abci.Event {
	t.Helper()
	raw, err := proto.Marshal(&v1.Claim{RollupId: id[:], Layer: layer, From: from, To: to, Parts: []*v1.ClaimPart{{Commitment: commitment, BlobId: make([]byte, 32)}}})
	if err != nil {
		t.Fatal(err)
	}
	return abci.Event{Type: availability.EventClaim, Attributes: []abci.EventAttribute{
		{Key: "number", Value: "1"}, {Key: "relayer", Value: "ordo1relayer"}, {Key: "claim", Value: base64.StdEncoding.EncodeToString(raw)},
	}}
}

// record puts a transaction with these events into the next block.
func (c *testChain) record(code uint32, events ...abci.Event) {
	c.ordinary = append(c.ordinary, fmt.Appendf(nil, "transaction %d", len(c.ordinary)))
	c.results = append(c.results, &abci.ExecTxResult{Code: code, Events: events})
}

func listed(t testing.TB, url string, req *v1.ListClaimsRequest) (claims []string, to uint64) {
	t.Helper()
	res, err := client(url).ListClaims(await.Context(t), connect.NewRequest(req))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range res.Msg.Claims {
		claims = append(claims, fmt.Sprintf("%d: %s %d-%d", r.Height, r.Claim.Layer, r.Claim.From, r.Claim.To))
		if r.Relayer != "ordo1relayer" || len(r.Claim.Parts) != 1 {
			t.Fatalf("claim %v", r)
		}
	}
	return claims, res.Msg.ToHeight
}

// indexed waits until the claims of a height are listed.
func indexed(t testing.TB, url string, id order.RollupID, height uint64) {
	t.Helper()
	await.Until(t, fmt.Sprintf("height %d is indexed", height), func() bool {
		res, err := client(url).ListClaims(await.Context(t), connect.NewRequest(&v1.ListClaimsRequest{RollupId: id[:], FromHeight: height}))
		return err == nil && res.Msg.ToHeight >= height
	})
}

func TestListClaims(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 4)
	dir := t.TempDir()
	keep := func(o *api.Options) { o.IndexDir = dir }
	url, stop := serve(t, c, keep)
	c.commit(nil)
	c.record(0, claim(t, alpha, "celestia", 1, 2, nil), claim(t, beta, "celestia", 1, 2, nil), claim(t, alpha, "eigenda", 3, 4, []byte("cert")))
	c.record(5, claim(t, alpha, "celestia", 7, 8, nil)) // a transaction that failed
	c.record(0, abci.Event{Type: "transfer"}, claim(t, alpha, "celestia", 9, 9, nil))
	c.commit(nil)
	c.commit(nil)
	c.record(0, claim(t, alpha, "eigenda", 0, 0, []byte("other")))
	last := c.commit(nil)
	all := []string{"2: celestia 1-2", "2: eigenda 3-4", "2: celestia 9-9", "4: eigenda 0-0"}
	for restart := range 2 {
		if restart == 1 { // what is indexed is there again
			stop()
			url, _ = serve(t, c, keep)
		}
		indexed(t, url, alpha, last)
		for _, tc := range []struct {
			req  *v1.ListClaimsRequest
			want []string
			to   uint64
		}{
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 1}, all, 4},
			{&v1.ListClaimsRequest{RollupId: beta[:], FromHeight: 2}, []string{"2: celestia 1-2"}, 4},
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 1, Layer: "eigenda"}, []string{all[1], all[3]}, 4},
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 3}, all[3:], 4},
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 1, Limit: 1}, all[:3], 2}, // a block is not divided
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 5}, nil, 4},
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 1, Layer: "avail"}, nil, 4},
		} {
			got, to := listed(t, url, tc.req)
			if !slices.Equal(got, tc.want) || to != tc.to {
				t.Errorf("%v: %q up to %d, want %q up to %d", tc.req, got, to, tc.want, tc.to)
			}
		}
		for _, tc := range []struct {
			req  *v1.ListClaimsRequest
			want connect.Code
		}{
			{&v1.ListClaimsRequest{RollupId: alpha[:]}, connect.CodeInvalidArgument},
			{&v1.ListClaimsRequest{RollupId: alpha[:31], FromHeight: 1}, connect.CodeInvalidArgument},
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 6}, connect.CodeOutOfRange},
			{&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 1<<64 - 1}, connect.CodeOutOfRange},
		} {
			if _, err := client(url).ListClaims(await.Context(t), connect.NewRequest(tc.req)); connect.CodeOf(err) != tc.want {
				t.Errorf("%v: %v, want %v", tc.req, err, tc.want)
			}
		}
	}
}

// Claims go from the index after their time, and who asks for older ones is told.
func TestClaimsAreKeptForAsLongAsIsSaid(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	url, _ := serve(t, c, func(o *api.Options) { o.RetainClaims = 100 })
	for h := uint64(1); h <= 256; h++ {
		if h%50 == 0 {
			c.record(0, claim(t, alpha, "eigenda", h, h, nil))
		}
		c.commit(nil)
	}
	c.commit(nil)
	indexed(t, url, alpha, 257)
	if _, err := client(url).ListClaims(await.Context(t), connect.NewRequest(&v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 155})); connect.CodeOf(err) != connect.CodeOutOfRange {
		t.Errorf("%v, want that they are not kept", err)
	}
	if got, to := listed(t, url, &v1.ListClaimsRequest{RollupId: alpha[:], FromHeight: 156}); !slices.Equal(got, []string{"200: eigenda 200-200", "250: eigenda 250-250"}) || to != 257 {
		t.Errorf("%q up to %d", got, to)
	}
}

func TestGetAvailability(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	url, _ := serve(t, c, func(o *api.Options) {
		o.Available = func(ids []order.RollupID) (uint64, []*v1.RollupAvailability, error) {
			var out []*v1.RollupAvailability
			for _, id := range ids {
				out = append(out, &v1.RollupAvailability{RollupId: id[:], To: 7})
			}
			return 9, out, nil
		}
	})
	many := make([][]byte, 4096)
	for i := range many {
		id := order.NewRollupID(fmt.Sprint(i))
		many[i] = id[:]
	}
	res, err := client(url).GetAvailability(await.Context(t), connect.NewRequest(&v1.GetAvailabilityRequest{RollupIds: many}))
	if err != nil || len(res.Msg.Rollups) != len(many) || res.Msg.Height != 9 || res.Msg.Rollups[5].To != 7 {
		t.Fatalf("%v, %v", res, err)
	}
	for _, bad := range [][][]byte{slices.Concat(many, many[:1]), {{1, 2}}} {
		if _, err := client(url).GetAvailability(await.Context(t), connect.NewRequest(&v1.GetAvailabilityRequest{RollupIds: bad})); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%v, want that it is refused", err)
		}
	}
}

// ledger takes transactions in as its field says.
type ledger struct {
	check func(tx []byte) *abci.ResponseCheckTx
}

func (l ledger) Account(address string) (api.Account, error) {
	if address != "ordo1known" {
		return api.Account{}, api.ErrNoAccount
	}
	return api.Account{Number: 3, Sequence: 5, Balance: 7}, nil
}

func (l ledger) CheckTx(req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	return l.check(req.Tx), nil
}

func TestSubmitTransaction(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	taken := make(chan []byte, 100)
	url, _ := serve(t, c, func(o *api.Options) {
		o.Transactions = ledger{func(tx []byte) *abci.ResponseCheckTx {
			switch string(tx) {
			case "poor":
				return &abci.ResponseCheckTx{Code: 13, Codespace: "sdk", Log: "insufficient fee"}
			case "full":
				return &abci.ResponseCheckTx{Code: abci.CodeTypeRetry, Codespace: "pool", Log: "the pool is full"}
			}
			taken <- tx
			return &abci.ResponseCheckTx{}
		}}
	})
	a, err := client(url).GetAccount(await.Context(t), connect.NewRequest(&v1.GetAccountRequest{Address: "ordo1known"}))
	if err != nil || a.Msg.AccountNumber != 3 || a.Msg.Sequence != 5 || a.Msg.Balance != 7 {
		t.Fatalf("%v, %v", a, err)
	}
	if _, err := client(url).GetAccount(await.Context(t), connect.NewRequest(&v1.GetAccountRequest{Address: "ordo1other"})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("%v, want that there is none", err)
	}
	submit := func(ctx context.Context, tx string) (*v1.SubmitTransactionResponse, error) {
		res, err := client(url).SubmitTransaction(ctx, connect.NewRequest(&v1.SubmitTransactionRequest{Transaction: []byte(tx)}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	}
	if res, err := submit(await.Context(t), "poor"); err != nil || res.Height != 0 || res.Code != 13 || res.Codespace != "sdk" || res.Log != "insufficient fee" {
		t.Errorf("%v, %v", res, err)
	}
	if _, err := submit(await.Context(t), "full"); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("%v, want to be told to try again", err)
	}
	for _, code := range []uint32{0, 3} {
		type answer struct {
			res *v1.SubmitTransactionResponse
			err error
		}
		got := make(chan answer, 1)
		go func() {
			res, err := submit(await.Context(t), "good")
			got <- answer{res, err}
		}()
		tx := <-taken
		c.commit(nil) // of others
		c.ordinary, c.results = cmttypes.Txs{tx}, []*abci.ExecTxResult{{Code: code, Codespace: "x", Log: "why", GasUsed: 11}}
		height := c.commit(nil)
		a := <-got
		if a.err != nil || a.res.Height != height || a.res.Code != code || a.res.Log != "why" || a.res.GasUsed != 11 {
			t.Errorf("%v, %v", a.res, a.err)
		}
	}
	// The time that the caller gives must be enough for the transaction to arrive.
	for within, arrived := 50*time.Millisecond, false; !arrived; within *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		_, err := submit(ctx, "lost")
		cancel()
		if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
			t.Fatalf("%v, want that the wait is over", err)
		}
		arrived = len(taken) > 0
	}
}

// What blocks were for is told by runs, once a run is over, and again after a restart.
func TestPresence(t *testing.T) {
	t.Parallel()
	const run = 1024
	c := newTestChain(t, 1)
	dir := t.TempDir()
	open := func() (*api.Server, string, func()) {
		url, stop := serve(t, c, func(o *api.Options) { o.IndexDir = dir })
		return c.serving[len(c.serving)-1], url, stop
	}
	s, url, stop := open()
	to := func(height uint64) {
		for c.height() < height {
			c.commit(nil)
		}
		indexed(t, url, alpha, height)
	}
	expect := func(after uint64, want api.Presence) {
		t.Helper()
		slices.SortFunc(want.Rollups, func(a, b api.RollupPresence) int { return slices.Compare(a.Rollup[:], b.Rollup[:]) })
		got, err := s.NextPresence(after)
		if err != nil || got.First != want.First || got.Last != want.Last || got.Crowded != want.Crowded || !slices.Equal(got.Rollups, want.Rollups) {
			t.Fatalf("after %d: %+v, %v, want %+v", after, got, err, want)
		}
	}
	c.commit([]*order.Bundle{newBundle(100, alpha, beta)})
	c.commit([]*order.Bundle{newBundle(100, alpha)})
	to(run - 2)
	expect(0, api.Presence{First: 1, Last: 0}) // nothing is over
	to(run)
	first := api.Presence{First: 1, Last: run - 1, Rollups: []api.RollupPresence{{Rollup: alpha, First: 1, Last: 2}, {Rollup: beta, First: 1, Last: 1}}}
	expect(0, first)
	expect(run-1, api.Presence{First: run, Last: run - 1})
	to(2*run + 1)
	expect(run-1, api.Presence{First: run, Last: 2*run - 1}) // nobody had anything
	at := c.commit([]*order.Bundle{newBundle(5000, beta)})
	indexed(t, url, alpha, at)
	stop()
	s, url, _ = open()
	expect(0, first)
	c.commit([]*order.Bundle{newBundle(5000, alpha)})
	to(3 * run)
	// The restart forgot up to where beta's legs went.
	expect(run-1, api.Presence{First: 2 * run, Last: 3*run - 1, Rollups: []api.RollupPresence{{Rollup: alpha, First: at + 1, Last: at + 1}, {Rollup: beta, First: at, Last: 3*run - 1}}})
	if err := s.ForgetPresence(run - 1); err != nil {
		t.Fatal(err)
	}
	expect(0, api.Presence{First: 2 * run, Last: 3*run - 1, Rollups: []api.RollupPresence{{Rollup: alpha, First: at + 1, Last: at + 1}, {Rollup: beta, First: at, Last: 3*run - 1}}})
}
