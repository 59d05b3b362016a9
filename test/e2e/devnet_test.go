package e2e

import (
	"math/big"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/devnet"
)

// TestDevnet is the life of one network. Its parts come in this order: later ones
// count on what earlier ones left on chain.
func TestDevnet(t *testing.T) {
	n := newHome(t)
	n.start(t)
	run := func(name string, test func(*testing.T, *network)) {
		if !t.Failed() {
			t.Run(name, func(t *testing.T) { test(t, n) })
		}
	}
	run("a second devnet is refused", testSecondDevnet)
	run("status", testStatus)
	run("ethclient", testEthclient)
	run("viem", testViem)
	run("tx watch and verify", testTxCommands)
	run("rollups keep apart", testIsolation)
	run("da status", testDAStatus)
	if testing.Short() {
		return
	}
	run("a false claim", testFalseClaim)
	run("crashes under load", testCrashes)
	run("a second node agrees", testSecondNode)
	run("Ctrl-C and resume", testResume)
	run("kill -9 of the devnet and resume", testKilled)
	run("kill -9 of everything under load", testBlackout)
	run("rebuild from DA alone", testRebuild)
	run("fresh", testFresh)
}

func testSecondDevnet(t *testing.T, n *network) {
	out, err := ordo(t.Context(), "devnet", "--home", n.home)
	if err == nil || !strings.Contains(out, "a devnet is running in "+n.home) || strings.Count(out, "\n") != 1 {
		t.Errorf("it said (%v):\n%s", err, out)
	}
}

func testStatus(t *testing.T, n *network) {
	out, err := ordo(t.Context(), "status", "--home", n.home)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"validator-3", "alpha", "beta", n.endpoints.Sequencers[0], "ordered to"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not told:\n%s", want, out)
		}
	}
	if strings.Contains(out, "none  ") {
		t.Errorf("a validator has no lane:\n%s", out)
	}
}

func testEthclient(t *testing.T, n *network) {
	for _, r := range n.endpoints.Rollups {
		t.Run(r.Name, func(t *testing.T) {
			w := newWallet(t, r, dial(t, r.RPC), 0)
			transfer(t, w)
			contract(t, w, r)
		})
	}
}

func transfer(t *testing.T, w *wallet) {
	t.Helper()
	to := common.HexToAddress("0x00000000000000000000000000000000000e2e01")
	before, err := w.client.BalanceAt(t.Context(), to, nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	rec := w.send(t, &to, ether, nil, 21_000)
	t.Logf("receipt after %v", time.Since(began).Round(time.Millisecond))
	if rec.Status != types.ReceiptStatusSuccessful {
		t.Fatalf("the transfer has status %d", rec.Status)
	}
	after, err := w.client.BalanceAt(t.Context(), to, rec.BlockNumber)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Sub(after, before); got.Cmp(ether) != 0 {
		t.Errorf("%v wei arrived, want %v", got, ether)
	}
	for _, tag := range []string{"safe", "finalized"} {
		waitTag(t, w.client, tag, rec.BlockNumber.Uint64())
	}
	h, err := w.client.HeaderByNumber(t.Context(), rec.BlockNumber)
	if err != nil || h.Hash() != rec.BlockHash {
		t.Errorf("the block changed on its way to finalized: %v, %v", h, err)
	}
}

func contract(t *testing.T, w *wallet, r devnet.RollupEndpoint) {
	t.Helper()
	parsed, code := tally(t)
	start, err := parsed.Pack("", big.NewInt(10))
	if err != nil {
		t.Fatal(err)
	}
	deployed := w.send(t, nil, new(big.Int), append(code, start...), 500_000)
	if deployed.Status != types.ReceiptStatusSuccessful {
		t.Fatalf("the deployment has status %d", deployed.Status)
	}
	logs := make(chan types.Log, 16)
	query := ethereum.FilterQuery{Addresses: []common.Address{deployed.ContractAddress}}
	sub, err := dial(t, r.WS).SubscribeFilterLogs(t.Context(), query, logs)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()

	add, err := parsed.Pack("add", big.NewInt(32))
	if err != nil {
		t.Fatal(err)
	}
	called := w.send(t, &deployed.ContractAddress, new(big.Int), add, 100_000)
	if called.Status != types.ReceiptStatusSuccessful || len(called.Logs) != 1 {
		t.Fatalf("the call has status %d and %d logs", called.Status, len(called.Logs))
	}
	select {
	case log := <-logs:
		if log.TxHash != called.TxHash || log.BlockHash != called.BlockHash {
			t.Errorf("the event over WebSocket is of %s, want %s", log.TxHash, called.TxHash)
		}
	case err := <-sub.Err():
		t.Fatalf("the subscription ended: %v", err)
	case <-time.After(settleTime):
		t.Fatal("no event came over WebSocket")
	}
	found, err := w.client.FilterLogs(t.Context(), query)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d logs, want 1: %v", len(found), err)
	}
	args, err := parsed.Unpack("Counted", found[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	if total := args[1].(*big.Int); total.Int64() != 42 {
		t.Errorf("the event tells a total of %v, want 42", total)
	}
	// A call that reverts is on chain, with its fee paid and without effect.
	nothing, err := parsed.Pack("add", new(big.Int))
	if err != nil {
		t.Fatal(err)
	}
	if rec := w.send(t, &deployed.ContractAddress, new(big.Int), nothing, 100_000); rec.Status != types.ReceiptStatusFailed {
		t.Errorf("a call that reverts has status %d", rec.Status)
	}
}

func testViem(t *testing.T, n *network) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: install Node 20 or later to run this test", program)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = "viem"
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	flow := exec.CommandContext(t.Context(), "node", "flow.mjs", devnet.EndpointsFile(n.home))
	flow.Dir = "viem"
	out, err := flow.CombinedOutput()
	if err != nil {
		t.Fatalf("node flow.mjs: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// testIsolation looks whether any rollup executed, or even saw, a transaction of
// the other.
func testIsolation(t *testing.T, n *network) {
	alpha, beta := dial(t, n.rollup(t, "alpha").RPC), dial(t, n.rollup(t, "beta").RPC)
	w := newWallet(t, n.rollup(t, "alpha"), alpha, 0)
	to := common.HexToAddress("0x00000000000000000000000000000000000e2e02")
	only := w.send(t, &to, ether, nil, 21_000)
	if got, err := beta.BalanceAt(t.Context(), to, nil); err != nil || got.Sign() != 0 {
		t.Errorf("what was sent on alpha is %v on beta: %v", got, err)
	}
	nonce, err := w.client.PendingNonceAt(t.Context(), w.address)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := w.sign(nonce, &to, ether, nil, 21_000)
	if err != nil {
		t.Fatal(err)
	}
	if err := beta.SendTransaction(t.Context(), foreign); err == nil {
		t.Error("beta took a transaction that is signed for alpha")
	}
	// Beta must have passed the moment at which alpha executed it.
	waitTag(t, beta, "latest", mustNumber(t, beta)+2)
	seen := map[common.Hash]bool{}
	for _, b := range mustChain(t, alpha, mustNumber(t, alpha)) {
		for _, tx := range b.Txs {
			seen[tx] = true
		}
	}
	if !seen[only.TxHash] {
		t.Fatal("alpha's own transaction is not among its blocks")
	}
	for number, b := range mustChain(t, beta, mustNumber(t, beta)) {
		for _, tx := range b.Txs {
			if seen[tx] {
				t.Errorf("transaction %s of alpha is in block %d of beta", tx, number)
			}
		}
	}
}
