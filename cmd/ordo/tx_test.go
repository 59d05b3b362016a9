package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/internal/jsonrpc"
)

// answering returns a client of a server that answers each call with the
// next of the results, and with the last one for ever.
func answering(t *testing.T, results ...string) *jsonrpc.Client {
	t.Helper()
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		result := results[min(calls, len(results)-1)]
		calls++
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": json.RawMessage(result)})
	}))
	t.Cleanup(s.Close)
	return jsonrpc.New(s.URL, rpcTimeout)
}

const someHash = txHash("0x1111111111111111111111111111111111111111111111111111111111111111")

func TestWatchTellsEachStepOnce(t *testing.T) {
	t.Parallel()
	n := answering(t,
		`null`,
		`{"status":"received","receivedAt":"0x3e8"}`,
		`{"status":"received","receivedAt":"0x3e8"}`,
		`{"status":"certified","receivedAt":"0x3e8","certifiedAt":"0x3f2"}`,
		`{"status":"ordered","executed":true,"blockNumber":"0x9","transactionIndex":"0x0","sequencerHeight":"0xc","receivedAt":"0x3e8","certifiedAt":"0x3f2","orderedAt":"0x44c"}`,
		`{"status":"finalized","executed":true,"blockNumber":"0x9","transactionIndex":"0x0","sequencerHeight":"0xc","receivedAt":"0x3e8","certifiedAt":"0x3f2","orderedAt":"0x44c","safeAt":"0x7d0","finalizedAt":"0x7d0"}`,
	)
	var out strings.Builder
	if err := watchTx(context.Background(), &out, []*jsonrpc.Client{answering(t, `null`), n}, someHash); err != nil {
		t.Fatal(err)
	}
	want := `received   T
certified  T      +10 ms  no proposer can leave it out
ordered    T      +90 ms  height 12 of the order, executed in block 9 at index 0
safe       T     +900 ms  the data came back from the DA layer
finalized  T       +0 ms
`
	if got := regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3}`).ReplaceAllString(out.String(), "T"); got != want {
		t.Errorf("it told\n%s\nwant\n%s", got, want)
	}
}

func TestWatchTellsWhatWasNotExecuted(t *testing.T) {
	t.Parallel()
	n := answering(t, `{"status":"finalized","executed":false,"reason":"nonce too low","sequencerHeight":"0xc","orderedAt":"0x44c","safeAt":"0x7d0","finalizedAt":"0x7d0"}`)
	var out strings.Builder
	if err := watchTx(context.Background(), &out, []*jsonrpc.Client{n}, someHash); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "height 12 of the order, not executed: nonce too low") {
		t.Errorf("it told\n%s", out.String())
	}
}

func TestWatchFailsForADroppedTransaction(t *testing.T) {
	t.Parallel()
	n := answering(t, `{"status":"dropped","reason":"replaced","receivedAt":"0x3e8"}`)
	err := watchTx(context.Background(), new(strings.Builder), []*jsonrpc.Client{n}, someHash)
	if err == nil || !strings.Contains(err.Error(), "dropped: replaced") {
		t.Errorf("error is %v", err)
	}
}

func TestWatchTellsOfANodeThatIsDown(t *testing.T) {
	t.Parallel()
	port, err := freeport.Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	down := jsonrpc.New(fmt.Sprintf("http://127.0.0.1:%d", port), rpcTimeout)
	err = watchTx(context.Background(), new(strings.Builder), []*jsonrpc.Client{answering(t, `null`), down}, someHash)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error is %v", err)
	}
}
