package crossclient

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
)

// optimism makes a genesis one by the rules of the OP Stack through Isthmus: with fee
// vaults, a deposit first in each block, and another base fee.
func optimism(t testing.TB, genesis []byte) []byte {
	t.Helper()
	genesis = edit(t, genesis, func(config map[string]any) {
		delete(config, "osakaTime")
		delete(config, "blobSchedule")
		for _, fork := range []string{"bedrockBlock", "regolithTime", "canyonTime", "ecotoneTime", "fjordTime", "graniteTime", "holoceneTime", "isthmusTime"} {
			config[fork] = 0
		}
		config["optimism"] = map[string]any{"eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250}
	})
	var all map[string]any
	if err := json.Unmarshal(genesis, &all); err != nil {
		t.Fatal(err)
	}
	all["extraData"] = "0x00000000fa00000006"
	out, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOptimism: by the rules of the OP Stack no other client can say what is right. Two
// op-geths that know nothing of each other, one of which is killed at random, come to the
// same heads and skip the same, and each serves receipts.
func TestOptimism(t *testing.T) {
	t.Parallel()
	genesis := optimism(t, genesis(t))
	one := newPeer(t, ethclients.OPGeth, genesis)
	if one == nil {
		t.Skip("op-geth is not built: make opgeth-bin")
	}
	other := newPeer(t, ethclients.OPGeth, genesis)
	first, second := opOf(t, genesis, one), opOf(t, genesis, other)
	w, dice := newWorld(t, *seed+200), rand.New(rand.NewPCG(*seed, 17))
	applied, skipped, rejected := 0, 0, 0
	for n := 1; n <= *blocks; n++ {
		b := w.block(uint64(n), first.nonces(t, w))
		if dice.IntN(15) == 0 {
			second.crash(time.Duration(dice.IntN(300)) * time.Millisecond)
		}
		x, y := first.execute(t, b), second.execute(t, b)
		if x.Head != y.Head {
			t.Fatalf("seed %d: block %d is %+v and %+v", *seed, n, x.Head, y.Head)
		}
		if !slices.Equal(x.Skipped, y.Skipped) {
			t.Fatalf("seed %d: block %d skips %v and %v", *seed, n, x.Skipped, y.Skipped)
		}
		for _, s := range x.Skipped {
			if len(b.Transactions[s.Index]) > 0 && b.Transactions[s.Index][0] == 0x7e {
				rejected++
			}
		}
		skipped += len(x.Skipped)
		applied += len(b.Transactions) - len(x.Skipped)
		first.receipts(t, n, 1+len(b.Transactions)-len(x.Skipped))
	}
	if applied == 0 || rejected == 0 {
		t.Errorf("%d transactions applied, %d deposits rejected: this shows nothing", applied, rejected)
	}
	t.Logf("%d blocks, %d transactions applied, %d skipped, %d deposits among them", *blocks, applied, skipped, rejected)
}

func (s *subject) execute(t testing.TB, b execution.Block) execution.Result {
	t.Helper()
	now, err := s.client.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	result, err := s.client.Execute(t.Context(), now.Soft.Hash, b)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// told are nonces that a client told.
type told map[common.Address]uint64

func (n told) GetNonce(a common.Address) uint64 { return n[a] }

// nonces asks the client for those of all accounts.
func (s *subject) nonces(t testing.TB, w *world) told {
	t.Helper()
	c, err := rpc.DialContext(t.Context(), s.peer.process.RPCURL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var batch []rpc.BatchElem
	for i := range w.keys {
		batch = append(batch, rpc.BatchElem{Method: "eth_getTransactionCount", Args: []any{w.address(i), "latest"}, Result: new(hexutil.Uint64)})
	}
	if err := c.BatchCallContext(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	all := told{}
	for i, answer := range batch {
		if answer.Error != nil {
			t.Fatal(answer.Error)
		}
		all[w.address(i)] = uint64(*answer.Result.(*hexutil.Uint64))
	}
	return all
}

// receipts reads those of a block, which must be as many, the deposit's too.
func (s *subject) receipts(t testing.TB, number, want int) {
	t.Helper()
	c, err := rpc.DialContext(t.Context(), s.peer.process.RPCURL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var receipts []struct {
		Type   hexutil.Uint64 `json:"type"`
		Status hexutil.Uint64 `json:"status"`
	}
	if err := c.CallContext(t.Context(), &receipts, "eth_getBlockReceipts", hexutil.EncodeUint64(uint64(number))); err != nil {
		t.Fatal(err)
	}
	if len(receipts) != want || receipts[0].Type != 0x7e || receipts[0].Status != 1 {
		t.Errorf("block %d has %d receipts, want %d, the first a deposit's: %v", number, len(receipts), want, receipts)
	}
}
