package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/internal/freeport"
)

// token is the code of an ERC-20 whose source stands beside the tests of execution/domain.
// An owner's balance is in the storage slot of the owner's address.
var token = common.FromHex("60003560e01c8063a9059cbb14602b576370a0823114601e5760006000fd5b6004355460005260206000f35b6024353354818110607c578190033355600435805482019055600052600435337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a3600160005260206000f35b6308c379a060e01b6000526020600452600f6024526e62616c616e636520746f6f206c6f7760881b60445260646000fd")

var tokenAddress = common.HexToAddress("0x70ce")

// supply is what one account has of each token in the beginning: Alice, account 0, of
// left's, and Bob, account 1, of right's.
const supply = 1000

var domainNames = []string{"left", "right"}

// twins are the two rollups of a domain, in one process.
type twins struct {
	homes   []string
	rollups []devnet.RollupEndpoint
	wallets []*wallet // that pay: Alice on left, Bob on right
	cmd     *exec.Cmd
	output  *lockedBuffer
	exited  chan struct{} // closed when the process is gone
}

// newTwins lays out a node of the domain, which begins with the order; the second home takes
// that from the first.
func newTwins(t *testing.T, n *network) *twins {
	t.Helper()
	x := &twins{}
	port, err := freeport.Claim(len(domainNames))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, name := range domainNames {
		chainID := uint64(7001 + i)
		owner := common.HexToAddress(devnet.Accounts[i].Address)
		genesis, err := json.Marshal(evm.DevGenesis(chainID, types.GenesisAlloc{tokenAddress: {Balance: new(big.Int), Code: token, Storage: map[common.Hash]common.Hash{
			common.BytesToHash(owner[:]): common.BigToHash(big.NewInt(supply)),
		}}}))
		if err != nil {
			t.Fatal(err)
		}
		file, home := filepath.Join(dir, name+"-genesis.json"), filepath.Join(dir, name)
		if err := os.WriteFile(file, genesis, 0o600); err != nil {
			t.Fatal(err)
		}
		listen := fmt.Sprintf("127.0.0.1:%d", port+i)
		args := []string{"rollup", "init", "--home", home, "--name", name, "--genesis", file, "--devnet", n.home, "--listen", listen, "--domain", strings.Join(domainNames, ",")}
		if i == 0 {
			args = append(args, "--start-height", "1")
		}
		if out, err := ordo(t.Context(), args...); err != nil {
			t.Fatalf("lay out %s: %v\n%s", home, err, out)
		}
		r := devnet.RollupEndpoint{Name: name, ChainID: chainID, RPC: "http://" + listen}
		x.homes, x.rollups = append(x.homes, home), append(x.rollups, r)
		x.wallets = append(x.wallets, newWallet(t, r, dial(t, r.RPC), i))
	}
	t.Cleanup(func() {
		if t.Failed() && x.output != nil {
			t.Logf("the domain's node said:\n%s", tail(x.output.String(), 4000))
		}
		x.stop(os.Interrupt)
	})
	return x
}

// start starts the node and waits until both doors answer.
func (x *twins) start(t *testing.T) {
	t.Helper()
	x.cmd = exec.Command(binary, "rollup", "start", "--home", x.homes[1], "--home", x.homes[0])
	x.output = new(lockedBuffer)
	exited := make(chan struct{})
	x.exited = exited
	x.cmd.Stdout, x.cmd.Stderr = x.output, x.output
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // killed, or what it said tells why
		close(exited)
	}(x.cmd)
	for _, w := range x.wallets {
		eventually(t, startTime, "the door of "+w.chainID.String(), func() error {
			select {
			case <-x.exited:
				x.cmd = nil
				t.Fatalf("the node ended:\n%s", x.output)
			default:
			}
			_, err := w.client.BlockNumber(t.Context())
			return err
		})
	}
}

// stop ends the node by the signal.
func (x *twins) stop(signal os.Signal) {
	if x.cmd == nil {
		return
	}
	_ = x.cmd.Process.Signal(signal)
	select {
	case <-x.exited:
	case <-time.After(stopTime):
		_ = x.cmd.Process.Kill()
		<-x.exited
	}
	x.cmd = nil
}

// pay signs a transfer of a rollup's token to the other's payer, and returns it with its hash.
func (x *twins) pay(t *testing.T, i int, nonce uint64, amount int64) (raw hexutil.Bytes) {
	t.Helper()
	to := x.wallets[1-i].address
	data := append(common.FromHex("a9059cbb"), common.LeftPadBytes(to[:], 32)...)
	data = append(data, common.LeftPadBytes(big.NewInt(amount).Bytes(), 32)...)
	tx, err := x.wallets[i].sign(nonce, &tokenAddress, new(big.Int), data, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = tx.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	return raw
}

// balances are what has come by swaps: to Bob of left's token, and to Alice of right's.
func (x *twins) balances(t *testing.T) (out [2]uint64) {
	t.Helper()
	for i, w := range x.wallets {
		owner := x.wallets[1-i].address
		raw, err := w.client.StorageAt(t.Context(), tokenAddress, common.BytesToHash(owner[:]), nil)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = new(big.Int).SetBytes(raw).Uint64()
	}
	return out
}

// swapped is what ordo_bundleStatus tells.
type swapped struct {
	Status       string
	Reason       string
	BlockNumber  *hexutil.Uint64
	Transactions []struct {
		Executed bool
		Reason   string
	}
}

// swap sends a swap to one of the doors and waits until it is executed or refused. Alice's
// nonce on left and Bob's on right are those given, and so are the amounts.
func (x *twins) swap(t *testing.T, door int, nonces [2]uint64, amounts [2]int64) swapped {
	t.Helper()
	var legs []any
	for i, r := range x.rollups {
		legs = append(legs, map[string]any{"rollup": r.Name, "transactions": []hexutil.Bytes{x.pay(t, i, nonces[i], amounts[i])}})
	}
	var ref common.Hash
	client := x.wallets[door].client.Client()
	if err := client.CallContext(t.Context(), &ref, "ordo_sendBundle", map[string]any{"legs": legs, "allOrNothing": true}); err != nil {
		t.Fatal(err)
	}
	var got *swapped
	eventually(t, settleTime, "the swap", func() error {
		got = nil
		if err := client.CallContext(t.Context(), &got, "ordo_bundleStatus", ref); err != nil {
			return err
		}
		if got == nil || got.BlockNumber == nil && got.Status != "dropped" {
			return fmt.Errorf("it is %+v", got)
		}
		return nil
	})
	return *got
}

// reasons are why transactions of the leg were refused; empty where they were executed.
func (s swapped) reasons() string {
	var out []string
	for _, tx := range s.Transactions {
		if !tx.Executed {
			out = append(out, tx.Reason)
		}
	}
	return strings.Join(out, "\n")
}

// settled waits until what both rollups have executed came back from the DA layer.
func (x *twins) settled(t *testing.T) {
	t.Helper()
	for i, w := range x.wallets {
		head := mustNumber(t, w.client)
		for tag, number := range map[string]rpc.BlockNumber{"safe": rpc.SafeBlockNumber, "finalized": rpc.FinalizedBlockNumber} {
			eventually(t, settleTime, fmt.Sprintf("block %d of %s as %s", head, x.rollups[i].Name, tag), func() error {
				h, err := w.client.HeaderByNumber(t.Context(), big.NewInt(number.Int64()))
				if err == nil && h.Number.Uint64() < head {
					err = fmt.Errorf("%s is block %d", tag, h.Number)
				}
				return err
			})
		}
	}
}

// synced lays out another node, brings it to the head of the DA layer from what stands there
// alone, and looks whether it has x's blocks.
func (x *twins) synced(t *testing.T, n *network) {
	t.Helper()
	third := newTwins(t, n)
	var heads []uint64 // who joins makes the order make blocks
	for _, w := range x.wallets {
		heads = append(heads, mustNumber(t, w.client))
	}
	x.settled(t)
	if out, err := ordo(t.Context(), "rollup", "sync", "--from-da", "--home", third.homes[0]); err == nil || !strings.Contains(out, "ordo rollup sync --from-da --home "+third.homes[0]+" --home HOME-OF-RIGHT") {
		t.Errorf("one rollup of a domain is synced without the other (%v):\n%s", err, out)
	}
	out, err := ordo(t.Context(), "rollup", "sync", "--from-da", "--home", third.homes[1], "--home", third.homes[0])
	got := caughtUp.FindAllStringSubmatch(out, -1)
	if err != nil || len(got) != len(x.wallets) {
		t.Fatalf("sync the domain from DA: %v\n%s", err, out)
	}
	for i, w := range x.wallets {
		number, _ := new(big.Int).SetString(got[i][1], 10) // digits, by the pattern
		h, err := w.client.HeaderByNumber(t.Context(), number)
		if err != nil {
			t.Fatal(err)
		}
		if number.Uint64() < heads[i] || h.Hash().Hex() != got[i][2] {
			t.Errorf("%s is synced to block %s with hash %s, want %s, and the head was %d", x.rollups[i].Name, number, got[i][2], h.Hash(), heads[i])
		}
	}
}

// TestDomain swaps tokens of two rollups that are executed together, through the doors of
// one node, up to the DA layer and back; another node, which comes later, has the same blocks.
func TestDomain(t *testing.T) {
	n := newHome(t)
	n.start(t, "--validators", "1", "--rollups", "1")
	x := newTwins(t, n)
	if out, err := ordo(t.Context(), "rollup", "start", "--home", x.homes[0]); err == nil || !strings.Contains(out, "--home HOME-OF-RIGHT") {
		t.Errorf("one rollup of a domain runs without the other (%v):\n%s", err, out)
	}
	x.start(t)

	if got := x.swap(t, 0, [2]uint64{0, 0}, [2]int64{30, 70}); got.reasons() != "" {
		t.Fatalf("the swap was refused: %+v", got)
	}
	expect := func(what string, want [2]uint64) {
		t.Helper()
		eventually(t, settleTime, what, func() error {
			if got := x.balances(t); got != want {
				return fmt.Errorf("Bob has %d of left's token and Alice %d of right's, want %d", got[0], got[1], want)
			}
			return nil
		})
	}
	expect("both legs", [2]uint64{30, 70})
	for _, test := range []struct {
		what    string
		door    int
		amounts [2]int64
		reason  string
	}{
		{"left's leg fails, asked at left", 0, [2]int64{supply, 1}, `reverted: "balance too low"`},
		{"left's leg fails, asked at right", 1, [2]int64{supply, 1}, "the bundle's leg of rollup"},
		{"right's leg fails, asked at left", 0, [2]int64{1, supply}, "the bundle's leg of rollup"},
		{"right's leg fails, asked at right", 1, [2]int64{1, supply}, `reverted: "balance too low"`},
	} {
		got := x.swap(t, test.door, [2]uint64{1, 1}, test.amounts)
		if !strings.Contains(got.reasons(), test.reason) {
			t.Errorf("%s: %+v, want the reason %q", test.what, got, test.reason)
		}
		expect(test.what, [2]uint64{30, 70})
	}

	// Killed, and on with it.
	x.stop(os.Kill)
	x.start(t)
	if got := x.swap(t, 1, [2]uint64{1, 1}, [2]int64{5, 6}); got.reasons() != "" {
		t.Errorf("the swap after a kill was refused: %+v", got)
	}
	expect("a swap after a kill", [2]uint64{35, 76})

	x.settled(t)

	second := newTwins(t, n)
	second.start(t)
	for i := range x.rollups {
		head := mustNumber(t, x.wallets[i].client)
		eventually(t, settleTime, "the second node", func() error {
			if got := mustNumber(t, second.wallets[i].client); got < head {
				return fmt.Errorf("it is at block %d of %d", got, head)
			}
			return nil
		})
		read := func(x *twins) []block {
			blocks, err := chain(context.WithoutCancel(t.Context()), x.wallets[i].client, 0, head)
			if err != nil {
				t.Fatal(err)
			}
			return blocks
		}
		if !slices.EqualFunc(read(x), read(second), func(a, b block) bool { return a.Hash == b.Hash }) {
			t.Errorf("%s: the second node has other blocks", x.rollups[i].Name)
		}
	}
	second.settled(t)
	x.synced(t, n)
}
