package ordorpc_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// startAccounts starts a rollup whose transactions are an account and a nonce.
func startAccounts(t *testing.T, nonceWait time.Duration) *rollup {
	t.Helper()
	_, srv := serveClient(t)
	return start(t, behind(srv.URL, func(c *ordorpc.Config) {
		c.ChainID, c.NonceWait = 31337, nonceWait
		c.Backend.Decode = func(raw []byte) (gateway.Tx, error) {
			tx, err := ordorpc.Opaque(raw)
			var address string
			var nonce uint64
			if _, err := fmt.Sscanf(string(raw), "%s %d", &address, &nonce); err != nil {
				return tx, err
			}
			tx.Note = ordorpc.Account{Address: address, Nonce: nonce, Cost: new(big.Int)}
			return tx, err
		}
	}))
}

func (r *rollup) sendNonce(address string, nonce int) error {
	return r.rpc.CallContext(r.t.Context(), nil, "eth_sendRawTransaction", hexutil.Bytes(fmt.Appendf(nil, "%s %d", address, nonce)))
}

// TestNoncesInAnyOrder: what is sent at once by one account is taken, whatever comes first,
// by one connection as by many, and handed on in the order of the nonces.
func TestNoncesInAnyOrder(t *testing.T) {
	t.Parallel()
	r := startAccounts(t, time.Minute) // on a busy machine all of them take long to arrive
	const n = 40
	results := make(chan error, 2*n)
	for nonce := n - 1; nonce >= 0; nonce-- {
		if nonce == 0 { // all others wait for it
			select {
			case err := <-results:
				t.Fatalf("answered before nonce 0 came: %v", err)
			case <-time.After(50 * time.Millisecond):
			}
		}
		for _, address := range []string{"0xa", "0xb"} {
			go func() { results <- r.sendNonce(address, nonce) }()
		}
	}
	for range 2 * n {
		if err := await.Receive(t, "answer", results); err != nil {
			t.Error(err)
		}
	}
	next := make(map[string]int)
	await.Until(t, "all sent on", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		clear(next)
		for _, b := range r.pool {
			for _, raw := range b.Legs[0].Transactions {
				var address string
				var nonce int
				if _, err := fmt.Sscanf(string(raw), "%s %d", &address, &nonce); err != nil || nonce != next[address] {
					t.Fatalf("%q was handed on, want nonce %d: %v", raw, next[address], err)
				}
				next[address]++
			}
		}
		return next["0xa"] == n && next["0xb"] == n
	})
}

// TestNoTurn: who waits for nonces that do not come is refused after a moment, others of
// the same message at once; one who leaves does not wait, and other accounts are not held up.
func TestNoTurn(t *testing.T) {
	t.Parallel()
	r := startAccounts(t, 0)
	began := time.Now()
	waits := make(chan error, 1)
	go func() { waits <- r.sendNonce("0xa", 7) }()
	if err := r.sendNonce("0xb", 0); err != nil {
		t.Error(err)
	}
	if err := await.Receive(t, "refusal", waits); err == nil || !strings.Contains(err.Error(), "nonce too high: next nonce 0, tx nonce 7") {
		t.Errorf("a gap: %v", err)
	}
	if took := time.Since(began); took < 400*time.Millisecond || took > 10*time.Second {
		t.Errorf("refused after %s", took)
	}
	began = time.Now()
	for nonce := 8; nonce < 48; nonce++ {
		if err := r.sendNonce("0xa", nonce); err == nil || !strings.Contains(err.Error(), "nonce too high") {
			t.Errorf("a gap of many: %v", err)
		}
	}
	if took := time.Since(began); took > 15*time.Second { // each by itself would be 20
		t.Errorf("40 gaps in a row took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.rpc.CallContext(ctx, nil, "eth_sendRawTransaction", hexutil.Bytes("0xb 9")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who leaves: %v", err)
	}
	// What was refused comes again with those before it.
	for nonce := range 8 {
		if err := r.sendNonce("0xa", nonce); err != nil {
			t.Error(err)
		}
	}
}
