package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/node"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// homeOfChild makes this test's program a node of that home.
const homeOfChild = "ORDO_TEST_NODE_HOME"

func TestMain(m *testing.M) {
	if dir := os.Getenv(homeOfChild); dir != "" {
		err := node.Run(context.Background(), node.Options{Home: dir, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func (n *network) spawn(i int) *exec.Cmd {
	n.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), homeOfChild+"="+node.ValidatorHome(n.dir, i))
	cmd.Stderr = n.t.Output()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { kill(cmd) })
	n.running[i] = &running{client: n.client(i)}
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill() // it may be gone
	_ = cmd.Wait()         // says that it was killed
}

// What a node acknowledged is ordered once, although the node is killed with
// bundles coming in; what it said became of them, it says again.
func TestAcknowledgedBundlesSurviveKill(t *testing.T) {
	n := newNetwork(t, 1)
	var acked []order.BundleID
	for round := range 3 {
		child := n.spawn(0)
		n.reach(0, 1)
		n.lane(0)
		expiry := n.height(0) + 500
		ctx, stop := context.WithCancel(t.Context())
		var (
			mu      sync.Mutex
			writers sync.WaitGroup
		)
		for range 4 {
			writers.Go(func() {
				for ctx.Err() == nil {
					b := n.bundle(expiry, 300)
					_, err := n.running[0].client.SubmitBundle(ctx, connect.NewRequest(&v1.SubmitBundleRequest{Bundle: n.signed(0, b)}))
					if err == nil {
						mu.Lock()
						acked = append(acked, b.ID(chainID))
						mu.Unlock()
					}
				}
			})
		}
		want := (round + 1) * 200
		await.Until(t, "bundles are acknowledged", func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) >= want })
		kill(child)
		stop()
		writers.Wait()
	}
	n.spawn(0)
	n.reach(0, 1)
	for _, id := range acked {
		n.ordered(0, id)
	}
	seen := make(map[order.BundleID]bool)
	for height := uint64(1); height <= n.height(0); height++ {
		res, err := n.running[0].client.GetBlock(t.Context(), connect.NewRequest(&v1.GetBlockRequest{Height: height}))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range res.Msg.Bundles {
			if id := order.BundleID(o.BundleId); seen[id] {
				t.Fatalf("bundle %s is ordered twice", id)
			} else {
				seen[id] = true
			}
		}
	}
	t.Logf("%d bundles acknowledged, all ordered; %d ordered in all", len(acked), len(seen))
}
