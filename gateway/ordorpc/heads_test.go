package ordorpc_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// TestHeadsAreReadOnce: the client is asked for a block once, however many have subscribed.
func TestHeadsAreReadOnce(t *testing.T) {
	t.Parallel()
	client, srv := serveClient(t)
	r := start(t, behind(srv.URL, func(c *ordorpc.Config) { c.ChainID = 31337 }))
	ws := r.dial("ws")
	const subscribers, blocks = 50, 3
	heads := make(chan map[string]any, subscribers*blocks)
	for range subscribers {
		if _, err := ws.EthSubscribe(t.Context(), heads, "newHeads"); err != nil {
			t.Fatal(err)
		}
	}
	for range blocks {
		want := hexutil.Uint64(r.order().Number).String()
		for range subscribers {
			if h := await.Receive(t, "head", heads); h["number"] != want {
				t.Errorf("head %v, want %s", h, want)
			}
		}
	}
	client.mu.Lock()
	defer client.mu.Unlock()
	if len(client.calls) != blocks {
		t.Errorf("the client was asked %d times for %d blocks", len(client.calls), blocks)
	}
}
