package evm_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution/evm"
)

// A payload is complete: its requests are those that the header has the hash of, and
// with them the block can be handed to a client that knows nothing else of it.
func TestPayload(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	for _, b := range eventful(t) {
		execute(t, c, b)
	}
	head := session(t, c).Soft
	with := 0
	for n := range head.Number + 1 {
		block, requests, err := c.Payload(n)
		if err != nil {
			t.Fatal(err)
		}
		if block.Hash() != c.BlockChain().GetCanonicalHash(n) || requests == nil {
			t.Errorf("payload %d is block %s with requests %v", n, block.Hash(), requests)
		}
		if got := types.CalcRequestsHash(requests); got != *block.RequestsHash() {
			t.Errorf("block %d: requests of hash %s, header has %s", n, got, block.RequestsHash())
		}
		with += len(requests)
	}
	if with != 1 {
		t.Errorf("%d requests in all blocks, want 1", with)
	}
	if _, _, err := c.Payload(head.Number + 1); err == nil {
		t.Error("payload above the head: want an error")
	}

	genesis := evm.DevGenesis(chainID, nil)
	genesis.Config.PragueTime, genesis.Config.OsakaTime = nil, nil
	before := openGenesis(t, t.TempDir(), genesis)
	execute(t, before, block(1))
	if _, requests, err := before.Payload(1); err != nil || requests != nil {
		t.Errorf("before Prague: requests %v, error %v; want none", requests, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Payload(1); err == nil {
		t.Error("payload after close: want an error")
	}
}
