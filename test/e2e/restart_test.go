package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
)

// testSecondNode starts another node of alpha, which must make the same blocks.
func testSecondNode(t *testing.T, n *network) {
	r := n.rollup(t, "alpha")
	first := dial(t, r.RPC)
	home, rpc := newNode(t, n, r, n.endpoints.Sequencers)
	sameChain(t, mustChain(t, first, mustNumber(t, first)), startNode(t, home, rpc))
}

// startNode starts the node in home and returns a client of it.
func startNode(t *testing.T, home, rpc string) *ethclient.Client {
	t.Helper()
	role(t, "rollup", "start", "--home", home)
	client := dial(t, rpc)
	eventually(t, startTime, "the second node", func() error {
		_, err := client.BlockNumber(t.Context())
		return err
	})
	return client
}

// testResume stops the network and starts it again.
func testResume(t *testing.T, n *network) {
	restart(t, n, func() { n.stop(t) })
}

// testKilled does the same to a network whose devnet dies without a chance to stop
// anything.
func testKilled(t *testing.T, n *network) {
	restart(t, n, func() {
		if err := n.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-n.exited
	})
}

// restart ends the network in some way and starts it again: nothing may run on, and
// nothing may be forgotten. More are the names of other processes.
func restart(t *testing.T, n *network, end func(), more ...string) {
	t.Helper()
	before := map[string][]block{}
	for _, r := range n.endpoints.Rollups {
		c := dial(t, r.RPC)
		before[r.Name] = mustChain(t, c, mustNumber(t, c))
	}
	children := append([]string{"validator-0", "validator-1", "relayer", "rollup-alpha"}, more...)
	var pids []int
	for _, name := range children {
		pids = append(pids, n.pid(t, name))
	}
	end()
	for i, pid := range pids {
		// The kernel ends the children of a killed devnet in its own time.
		eventually(t, stopTime, "the end of "+children[i], func() error {
			if running(pid) {
				return fmt.Errorf("process %d runs", pid)
			}
			return nil
		})
	}
	n.start(t)
	for _, r := range n.endpoints.Rollups {
		w := newWallet(t, r, dial(t, r.RPC), 0)
		sameChain(t, before[r.Name], w.client)
		to := common.HexToAddress("0x00000000000000000000000000000000000e2e05")
		if rec := w.send(t, &to, ether, nil, 21_000); rec.Status != types.ReceiptStatusSuccessful || rec.BlockNumber.Uint64() < uint64(len(before[r.Name])) {
			t.Errorf("%s: the first transfer after the restart has status %d in block %v", r.Name, rec.Status, rec.BlockNumber)
		}
	}
}

// running tells whether a process is there and has not ended; one that has, and
// that nobody waits for, stays as a zombie where there is no init.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// testRebuild stops everything but the DA layer, which the relayer holds, and
// lets a node without history make the chain from it, and run.
func testRebuild(t *testing.T, n *network) {
	r := n.rollup(t, "alpha")
	first := dial(t, r.RPC)
	last := mustNumber(t, first)
	waitTag(t, first, "safe", last)
	want := mustChain(t, first, last)
	n.stop(t)

	role(t, "relayer", "start", "--home", filepath.Join(n.home, "relayer"))
	eventually(t, startTime, "the DA layer", func() error {
		resp, err := http.Get(n.endpoints.RelayerURL() + "/status")
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	})
	home, rpc := newNode(t, n, r, nowhere(t))
	number, hash := syncFromDA(t, home)
	if number < last || number == last && hash != want[last].Hash {
		t.Errorf("block %d with hash %s is the last that was rebuilt, and %d with %s was safe", number, hash, last, want[last].Hash)
	}
	second := startNode(t, home, rpc)
	sameChain(t, want, second)
	waitTag(t, second, "safe", last)
}

func testFresh(t *testing.T, n *network) {
	n.start(t, "--fresh")
	for _, r := range n.endpoints.Rollups {
		w := newWallet(t, r, dial(t, r.RPC), 0)
		if nonce, err := w.client.PendingNonceAt(t.Context(), w.address); err != nil || nonce != 0 {
			t.Errorf("%s: account 0 has nonce %d on a new network: %v", r.Name, nonce, err)
		}
		transfer(t, w)
	}
}

// TestBusyPort needs no network: nothing may be started, or made on disk.
func TestBusyPort(t *testing.T) {
	n := newHome(t)
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(n.basePort)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := ordo(t.Context(), "devnet", "--home", n.home, "--base-port", strconv.Itoa(n.basePort))
	want := fmt.Sprintf("ordo: port %d, asked for by the RPC of rollup alpha, is in use", n.basePort)
	if err == nil || !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
		t.Errorf("it said (%v), want one line that begins with %q:\n%s", err, want, out)
	}
	if made, err := filepath.Glob(filepath.Join(n.home, "validator-*")); err != nil || len(made) != 0 {
		t.Errorf("it made %v: %v", made, err)
	}
}
