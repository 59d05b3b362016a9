package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

func testTxCommands(t *testing.T, n *network) {
	r := n.rollup(t, "beta")
	w := newWallet(t, r, dial(t, r.RPC), 0)
	to := common.HexToAddress("0x00000000000000000000000000000000000e2e04")
	hash := w.send(t, &to, ether, nil, 21_000).TxHash.Hex()

	t.Run("watch", func(t *testing.T) {
		out, err := ordo(t.Context(), "tx", "watch", hash, "--home", n.home)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		at := -1
		for _, step := range []string{"received", "ordered", "executed in block", "safe", "finalized"} {
			next := strings.Index(out, step)
			if next <= at {
				t.Fatalf("%q does not follow what comes before it:\n%s", step, out)
			}
			at = next
		}
	})
	t.Run("verify", func(t *testing.T) {
		out, err := ordo(t.Context(), "tx", "verify", hash, "--home", n.home)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("\n%s", out)
		for _, want := range []string{"signed by", "namespace proof", "digest", hash, "verified: ordered at height"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not told", want)
			}
		}
	})
	t.Run("verify from a trusted block", func(t *testing.T) {
		trusted := cometBlock(t, n.endpoints.CometRPC, 1)
		out, err := ordo(t.Context(), "tx", "verify", hash, "--home", n.home, "--trust-height", "1", "--trust-hash", trusted.hash)
		if err != nil || !strings.Contains(out, "verified: ordered") {
			t.Errorf("%v\n%s", err, out)
		}
		wrong := strings.Repeat("ab", 32)
		if out, err := ordo(t.Context(), "tx", "verify", hash, "--home", n.home, "--trust-height", "1", "--trust-hash", wrong); err == nil {
			t.Errorf("a trusted hash of another block is believed:\n%s", out)
		}
	})
	for name, lie := range map[string]func(*orderv1.RollupBlock){
		"altered transaction": func(b *orderv1.RollupBlock) { b.Legs[0].Transactions[0][20] ^= 1 },
		"leg left out":        func(b *orderv1.RollupBlock) { b.Legs = nil },
		"altered commit": func(b *orderv1.RollupBlock) {
			b.SignedHeader[len(b.SignedHeader)-1] ^= 1
		},
	} {
		t.Run("verify refuses "+name, func(t *testing.T) {
			out, err := ordo(t.Context(), "tx", "verify", hash, "--home", n.home, "--rpc", liar(t, r.RPC, lie))
			if err == nil || !strings.Contains(out, "NOT verified") || strings.Contains(out, "verified: ordered") {
				t.Errorf("it said (%v):\n%s", err, out)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		unknown := "0x" + strings.Repeat("11", 32)
		if out, err := ordo(t.Context(), "tx", "verify", unknown, "--home", n.home); err == nil || !strings.Contains(out, unknown) {
			t.Errorf("it said (%v):\n%s", err, out)
		}
	})
}

// liar is a rollup node whose inclusion proofs are altered on the way.
func liar(t *testing.T, honest string, lie func(*orderv1.RollupBlock)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := http.Post(honest, "application/json", r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		var answer map[string]any
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if err == nil {
			err = alter(answer, lie)
		}
		var raw []byte
		if err == nil {
			raw, err = json.Marshal(answer)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = bytes.NewReader(raw).WriteTo(w)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func alter(answer map[string]any, lie func(*orderv1.RollupBlock)) error {
	result, ok := answer["result"].(map[string]any)
	if !ok {
		return fmt.Errorf("no proof to alter: %v", answer)
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(result["rollupBlock"].(string), "0x"))
	if err != nil {
		return err
	}
	var b orderv1.RollupBlock
	if err := proto.Unmarshal(raw, &b); err != nil {
		return err
	}
	lie(&b)
	if raw, err = proto.Marshal(&b); err != nil {
		return err
	}
	result["rollupBlock"] = "0x" + hex.EncodeToString(raw)
	return nil
}
