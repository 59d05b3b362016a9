package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
)

// testCrashes kills each validator in turn under load, one process of each other kind,
// and a rollup node together with the validator that it hands its bundles to, then
// looks for every acknowledged transfer.
func testCrashes(t *testing.T, n *network) {
	l := startLoad(t, n)
	l.more(t, 50)
	for _, children := range [][]string{
		{"validator-0"}, {"validator-1"}, {"validator-2"}, {"validator-3"},
		{"rollup-alpha"}, {"relayer"}, {"rollup-beta", "validator-1"}, {"rollup-alpha", "relayer"},
	} {
		n.kill(t, children...)
		l.more(t, 100)
	}
	l.settle(t, n)
}

// testBlackout kills the whole network at one moment under load and starts it again,
// while the senders go on trying.
func testBlackout(t *testing.T, n *network) {
	l := startLoad(t, n)
	l.more(t, 100)
	n.killAll(t)
	n.start(t)
	l.more(t, 100)
	l.settle(t, n)
}

// settle ends the load and fails unless everything that was acknowledged is on chain
// once and read back from DA, and all validators have one chain.
func (l *load) settle(t *testing.T, n *network) {
	t.Helper()
	for rollup, hashes := range l.stop(t) {
		t.Logf("%s acknowledged %d transfers", rollup, len(hashes))
		client := dial(t, n.rollup(t, rollup).RPC)
		last := onceOnChain(t, client, hashes)
		// Nothing may be missing on DA either.
		waitTag(t, client, "safe", last)
	}
	validatorsAgree(t, n)
}

// onceOnChain fails unless each transaction is in exactly one block and did what
// it should. It returns the last of the blocks.
func onceOnChain(t *testing.T, client *ethclient.Client, hashes []common.Hash) uint64 {
	t.Helper()
	last := uint64(0)
	for _, hash := range hashes {
		rec := receipt(t, client, hash)
		if rec.Status != types.ReceiptStatusSuccessful {
			t.Errorf("transfer %s has status %d", hash, rec.Status)
		}
		last = max(last, rec.BlockNumber.Uint64())
	}
	times := map[common.Hash]int{}
	for _, b := range mustChain(t, client, mustNumber(t, client)) {
		for _, tx := range b.Txs {
			times[tx]++
		}
	}
	for _, hash := range hashes {
		if times[hash] != 1 {
			t.Errorf("transfer %s is on chain %d times", hash, times[hash])
		}
	}
	return last
}

func mustNumber(t *testing.T, client *ethclient.Client) uint64 {
	t.Helper()
	n, err := client.BlockNumber(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// validatorsAgree compares the sequencer chain of all validators, block by block,
// up to where the first of them is now.
func validatorsAgree(t *testing.T, n *network) {
	t.Helper()
	last := cometBlock(t, n.endpoints.CometRPCs[0], 0).height
	for h := uint64(1); h <= last; h++ {
		want := cometBlock(t, n.endpoints.CometRPCs[0], h)
		for i, url := range n.endpoints.CometRPCs[1:] {
			if got := cometBlock(t, url, h); got != want {
				t.Fatalf("block %d is %s on validator-0 and %s on validator-%d", h, want.hash, got.hash, i+1)
			}
		}
	}
	t.Logf("%d validators agree on %d blocks", len(n.endpoints.CometRPCs), last)
}

type cometHeader struct {
	height uint64
	hash   string
}

// cometBlock asks CometBFT for a header; 0 is the last one. It waits for a
// validator that is behind.
func cometBlock(t *testing.T, url string, height uint64) cometHeader {
	t.Helper()
	if height > 0 {
		url += fmt.Sprintf("/commit?height=%d", height)
	} else {
		url += "/commit"
	}
	var out cometHeader
	eventually(t, settleTime, url, func() error {
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		var answer struct {
			Error  json.RawMessage `json:"error"`
			Result struct {
				SignedHeader struct {
					Header struct {
						Height uint64 `json:"height,string"`
					} `json:"header"`
					Commit struct {
						BlockID struct {
							Hash string `json:"hash"`
						} `json:"block_id"`
					} `json:"commit"`
				} `json:"signed_header"`
			} `json:"result"`
		}
		if err := json.Unmarshal(readAll(t, resp.Body), &answer); err != nil {
			return err
		}
		signed := answer.Result.SignedHeader
		if signed.Commit.BlockID.Hash == "" {
			return fmt.Errorf("no commit: %s", answer.Error)
		}
		out = cometHeader{height: signed.Header.Height, hash: signed.Commit.BlockID.Hash}
		return nil
	})
	return out
}
