package ethrpc_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"testing"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// searcher sends requests under its signature, as Flashbots' libraries do.
func (r *rollup) searcher(account int, result any, method string, params ...any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	return r.signed(body, signature(account, body), result)
}

func signature(account int, body []byte) string {
	sig, err := crypto.Sign(accounts.TextHash([]byte(crypto.Keccak256Hash(body).Hex())), key(account))
	if err != nil {
		panic(err)
	}
	sig[64] += 27 // as wallets do
	return address(account).Hex() + ":" + hexutil.Encode(sig)
}

// signed posts a body with the header and returns the error of the answer.
func (r *rollup) signed(body []byte, header string, result any) error {
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Flashbots-Signature", header)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("%s: %w", raw, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("%d: %s", answer.Error.Code, answer.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Result, result)
}

func raws(t testing.TB, txs ...*types.Transaction) []hexutil.Bytes {
	t.Helper()
	out := make([]hexutil.Bytes, len(txs))
	for i, tx := range txs {
		raw, err := tx.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		out[i] = raw
	}
	return out
}

// creation creates a contract by running code; pay is what it is sent.
func creation(from int, nonce uint64, pay int64, code string) *types.Transaction {
	return transfer(from, nonce, func(tx *types.DynamicFeeTx) {
		tx.To, tx.Data, tx.Gas, tx.Value = nil, common.FromHex(code), 200_000, big.NewInt(pay)
	})
}

const (
	// reverts with Error("no luck").
	revertingCode = "7f08c379a0000000000000000000000000000000000000000000000000000000006000526020600452600760245266" + "6e6f206c75636b" + "60c81b60445260646000fd"
	// pays all that it was sent to the fee recipient.
	payingCode = "6000600060006000" + "34415af100"
)

type sent struct{ BundleHash common.Hash }

func (r *rollup) bundleStatus(ref common.Hash) *ordorpc.BundleStatus {
	r.t.Helper()
	var s *ordorpc.BundleStatus
	r.call(&s, "ordo_bundleStatus", ref)
	return s
}

// sentOn waits until the gateway has handed a bundle to the sequencer.
func (r *rollup) sentOn(n int) {
	r.t.Helper()
	await.Until(r.t, "bundle sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pool) >= n })
}
