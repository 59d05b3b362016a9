package evm_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/test/await"
)

// dial serves the client's services in this process.
func dial(t *testing.T, c *evm.Client) *rpc.Client {
	t.Helper()
	server := rpc.NewServer()
	t.Cleanup(server.Stop)
	for _, api := range c.APIs() {
		if err := server.RegisterName(api.Namespace, api.Service); err != nil {
			t.Fatal(err)
		}
	}
	client := rpc.DialInProc(server)
	t.Cleanup(client.Close)
	return client
}

func TestAPIs(t *testing.T) {
	t.Parallel()
	ctx := await.Context(t)
	c := open(t, t.TempDir())
	client := dial(t, c)
	eth := ethclient.NewClient(client)

	heads := make(chan *types.Header, 16)
	sub, err := eth.SubscribeNewHead(ctx, heads)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	logs := make(chan types.Log, 16)
	logSub, err := eth.SubscribeFilterLogs(ctx, ethereum.FilterQuery{}, logs)
	if err != nil {
		t.Fatal(err)
	}
	defer logSub.Unsubscribe()

	blocks := eventful(t)
	for _, b := range blocks {
		head := execute(t, c, b).Head
		select {
		case got := <-heads:
			if got.Hash() != common.Hash(head.Hash) {
				t.Errorf("subscription brings head %s, want %x", got.Hash(), head.Hash)
			}
		case <-ctx.Done():
			t.Fatal("no head came by subscription")
		}
	}
	select {
	case got := <-logs:
		if got.BlockNumber != 3 || got.Data[31] != 42 {
			t.Errorf("subscription brings log %+v", got)
		}
	case <-ctx.Done():
		t.Fatal("no log came by subscription")
	}
	third := c.BlockChain().GetCanonicalHash(3)
	if err := c.SetFirm(ctx, third); err != nil {
		t.Fatal(err)
	}

	// call asks one method and compares what comes back, as JSON, with want.
	call := func(want, method string, args ...any) {
		t.Helper()
		var got any
		err := client.CallContext(ctx, &got, method, args...)
		switch text, ok := strings.CutPrefix(want, "error: "); {
		case ok && (err == nil || !strings.Contains(err.Error(), text)):
			t.Errorf("%s%v: %v, error %v, want error %s", method, args, got, err, text)
		case !ok && err != nil:
			t.Errorf("%s%v: %v", method, args, err)
		case !ok && want != "" && got != parse(want):
			t.Errorf("%s%v is %v, want %s", method, args, got, want)
		}
	}
	alice := evm.DevAccounts[0].Address
	bob := evm.DevAccounts[1].Address
	call("0x7a69", "eth_chainId")
	call("0x5", "eth_blockNumber")
	call("false", "eth_syncing")
	call("31337", "net_version")
	call("true", "net_listening")
	call("0x0", "net_peerCount")
	call("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470", "web3_sha3", "0x")
	call("", "web3_clientVersion")
	call("", "eth_gasPrice")
	call("", "eth_maxPriorityFeePerGas")
	call("", "eth_feeHistory", "0x5", "latest", []int{50})
	call("0x5208", "eth_estimateGas", map[string]any{"from": alice, "to": bob, "value": "0x1"})
	call("", "eth_getProof", alice, []string{}, "latest")
	call("", "eth_getBlockReceipts", "0x3")
	call("", "eth_createAccessList", map[string]any{"from": alice, "to": bob})
	call("", "txpool_status")
	call("", "txpool_content")

	// Tags.
	for tag, number := range map[string]uint64{"latest": 5, "safe": 3, "finalized": 3, "earliest": 0} {
		var got *types.Header
		if err := client.CallContext(ctx, &got, "eth_getBlockByNumber", tag, false); err != nil || got == nil || got.Number.Uint64() != number {
			t.Errorf("block %s is %v, error %v, want number %d", tag, got, err, number)
		}
	}
	// There is no pending block of its own; what asks for it gets sensible answers.
	call("", "eth_getBlockByNumber", "pending", true)
	call("0x5", "eth_getTransactionCount", bob, "latest")
	call("0x5", "eth_getTransactionCount", bob, "pending")
	call("0x1", "eth_getTransactionCount", bob, "0x1")
	call("0x", "eth_call", map[string]any{"from": alice, "to": bob, "value": "0x1"}, "pending")
	call("", "eth_getBalance", alice, "pending")
	call("0x5208", "eth_estimateGas", map[string]any{"from": alice, "to": bob}, "pending")

	// State of every height, and the sequencer's block by EIP-4788.
	call("0x0", "eth_getBalance", "0x0000000000000000000000000000000000001234", "0x0")
	call("0x1", "eth_getBalance", "0x0000000000000000000000000000000000001234", "0x1")
	header := c.BlockChain().GetHeaderByNumber(4)
	call(hexutil.Encode(blocks[4].Hash[:]), "eth_call", map[string]any{
		"to": params.BeaconRootsAddress, "data": hexutil.Encode(common.BigToHash(new(big.Int).SetUint64(header.Time)).Bytes()),
	}, "latest")

	found, err := eth.FilterLogs(ctx, ethereum.FilterQuery{
		FromBlock: big.NewInt(0), Addresses: []common.Address{crypto.CreateAddress(alice, 0)}, Topics: [][]common.Hash{{common.BigToHash(big.NewInt(1))}},
	})
	if err != nil || len(found) != 3 || found[0].BlockHash != third {
		t.Errorf("logs %v, error %v, want three of block 3", found, err)
	}
	tx := c.BlockChain().GetBlockByHash(third).Transactions()[0].Hash()
	receipt, err := eth.TransactionReceipt(ctx, tx)
	if err != nil || receipt.BlockHash != third || len(receipt.Logs) != 1 {
		t.Errorf("receipt %+v, error %v", receipt, err)
	}
	call("", "debug_traceTransaction", tx, map[string]any{"tracer": "callTracer"})
	call("", "debug_traceTransaction", tx)
	call("", "debug_traceBlockByNumber", "0x3", map[string]any{"tracer": "callTracer"})
	call("", "debug_traceCall", map[string]any{"from": alice, "to": bob}, "latest")
	call("", "debug_getRawBlock", "0x3")
	call("", "debug_getRawTransaction", tx)

	raw := hexutil.Encode(transfer(t, 0, 2, bob))
	const noDoor = "error: this service takes no transactions"
	call(noDoor, "eth_sendRawTransaction", raw)
	call(noDoor, "eth_sendRawTransactionSync", raw)
	call(noDoor, "eth_sendTransaction", map[string]any{"from": alice, "to": bob})
	call(noDoor, "eth_fillTransaction", map[string]any{"from": alice, "to": bob})
	for _, method := range []string{
		"admin_peers", "admin_exportChain", "miner_start", "debug_setHead", "debug_chaindbCompact", "debug_writeMemProfile",
		"debug_setTrieFlushInterval", "debug_clearTxpool", "debug_dumpBlock", "engine_newPayloadV4", "personal_listAccounts",
	} {
		call("error: does not exist", method)
	}
	for _, method := range []string{"debug_traceBlockFromFile", "debug_standardTraceBlockToFile", "debug_standardTraceBadBlockToFile", "debug_traceBadBlock", "debug_traceBlock"} {
		call("error: this service traces", method, third)
	}
	call("error: unknown tracer", "debug_traceTransaction", tx, map[string]any{"tracer": "{fault: function() {}, result: function() {}}"})
}

// parse turns the words true and false into what JSON makes of them.
func parse(s string) any {
	switch s {
	case "true":
		return true
	case "false":
		return false
	}
	return s
}
