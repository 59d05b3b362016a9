package e2e

import (
	"context"
	"crypto/ed25519"
	enc "encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

const partitionChain = "ordo-partition"

// partitionEpoch is short, so that the validator that is cut off misses epochs.
const partitionEpoch = 20

// TestPartition cuts one validator of four off from the others, for several epochs,
// while all are handed bundles; another one changes its attestation key meanwhile. Each
// bundle that any of them acknowledged must be ordered once, at the same place for all.
func TestPartition(t *testing.T) {
	if testing.Short() {
		t.Skip("it is not part of the basic flow")
	}
	far := newNamespace(t)
	base, err := freeport.Claim(40)
	if err != nil {
		t.Fatal(err)
	}
	payer, err := keys.Generate(filepath.Join(t.TempDir(), "payer.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "net")
	out, err := ordo(t.Context(), "sequencer", "init-network", dir, "--chain-id", partitionChain, "--base-port", strconv.Itoa(base),
		"--hosts", fmt.Sprintf("%s,%s,%s,%s", far.near, far.near, far.near, far.far),
		"--account", keys.Address(payer.Public().(ed25519.PublicKey))+"=1000000000000")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i := range 4 {
		setEpoch(t, filepath.Join(dir, fmt.Sprintf("validator-%d", i)))
	}
	clients := make([]sequencerv1connect.SequencerServiceClient, 4)
	for i := range clients {
		command := []string{binary, "sequencer", "start", "--home", filepath.Join(dir, fmt.Sprintf("validator-%d", i))}
		host := far.near
		if i == 3 {
			command, host = append([]string{"ip", "netns", "exec", far.name}, command...), far.far
		}
		process(t, command...)
		clients[i] = sequencerv1connect.NewSequencerServiceClient(&http.Client{Timeout: 5 * time.Second}, fmt.Sprintf("http://%s:%d", host, base+10*i+2))
	}
	reach := func(i int, want uint64) {
		t.Helper()
		eventually(t, settleTime, fmt.Sprintf("height %d at validator-%d", want, i), func() error {
			got, err := chainHeight(t.Context(), clients[i])
			if err == nil && got < want {
				err = fmt.Errorf("it is at %d", got)
			}
			return err
		})
	}
	for i := range clients {
		reach(i, 2)
	}
	b := startBundles(t, clients, payer)
	b.more(t, 100, 0, 1, 2, 3)

	rotate(t, filepath.Join(dir, "validator-1"))
	far.link(t, "down")
	began, err := chainHeight(t.Context(), clients[0])
	if err != nil {
		t.Fatal(err)
	}
	b.more(t, 200, 0, 1, 2)
	reach(0, began+3*partitionEpoch)
	far.link(t, "up")
	end, err := chainHeight(t.Context(), clients[0])
	if err != nil {
		t.Fatal(err)
	}
	reach(3, end)
	t.Logf("validator-3 was away for %d blocks and is back", end-began)
	b.more(t, 100, 0, 1, 2, 3)

	rotated(t, filepath.Join(dir, "validator-1"))

	acked := b.stop()
	for _, id := range acked {
		awaitOrdered(t, clients[0], id)
	}
	last, err := chainHeight(t.Context(), clients[0])
	if err != nil {
		t.Fatal(err)
	}
	times := map[order.BundleID]int{}
	for h := uint64(1); h <= last; h++ {
		var want *sequencerv1.GetBlockResponse
		for i, c := range clients {
			reach(i, h)
			got, err := c.GetBlock(t.Context(), connect.NewRequest(&sequencerv1.GetBlockRequest{Height: h}))
			if err != nil {
				t.Fatalf("block %d of validator-%d: %v", h, i, err)
			}
			if want == nil {
				want = got.Msg
				for _, o := range want.Bundles {
					times[order.BundleID(o.BundleId)]++
				}
			}
			if string(got.Msg.Hash) != string(want.Hash) || len(got.Msg.Bundles) != len(want.Bundles) {
				t.Fatalf("block %d is %x with %d bundles on validator-0 and %x with %d on validator-%d",
					h, want.Hash, len(want.Bundles), got.Msg.Hash, len(got.Msg.Bundles), i)
			}
		}
	}
	for _, id := range acked {
		if times[id] != 1 {
			t.Errorf("acknowledged bundle %s is ordered %d times", id, times[id])
		}
	}
	t.Logf("%d bundles acknowledged and ordered once, in %d blocks that 4 validators agree on", len(acked), last)
}

func setEpoch(t *testing.T, home string) {
	t.Helper()
	path := filepath.Join(home, "config", "genesis.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := regexp.MustCompile(`"epoch_blocks": *"\d+"`).ReplaceAll(raw, fmt.Appendf(nil, `"epoch_blocks": "%d"`, partitionEpoch))
	if string(edited) == string(raw) {
		t.Fatalf("%s does not say how long an epoch is", path)
	}
	if err := os.WriteFile(path, edited, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rotate gives a validator another attestation key while it runs.
func rotate(t *testing.T, home string) {
	t.Helper()
	out, err := ordo(t.Context(), "sequencer", "attester", "rotate", "--home", home, "--from", "operator",
		"--keyring-backend", "test", "--fees", "500uordo", "--yes")
	if err != nil || !strings.Contains(out, `"code":0,`) {
		t.Fatalf("rotate: %v\n%s", err, out)
	}
}

// rotated waits until the validator attests with its second key alone.
func rotated(t *testing.T, home string) {
	t.Helper()
	eventually(t, settleTime, "the new key to be in use", func() error {
		out, err := ordo(t.Context(), "sequencer", "attester", "show", "--home", home)
		keys := strings.Split(out, "\n")
		if err == nil && (len(keys) < 2 || !strings.Contains(keys[0], "not in use") || !strings.Contains(keys[1], "attests in epoch")) {
			err = errors.New("it is not")
		}
		if err != nil {
			return fmt.Errorf("%w:\n%s", err, out)
		}
		return nil
	})
}

func chainHeight(ctx context.Context, c sequencerv1connect.SequencerServiceClient) (uint64, error) {
	info, err := c.GetInfo(ctx, connect.NewRequest(&sequencerv1.GetInfoRequest{}))
	if err != nil {
		return 0, err
	}
	return info.Msg.LatestHeight, nil
}

func awaitOrdered(t *testing.T, c sequencerv1connect.SequencerServiceClient, id order.BundleID) {
	t.Helper()
	eventually(t, settleTime, fmt.Sprintf("the order of bundle %s", id), func() error {
		s, err := c.GetBundleStatus(t.Context(), connect.NewRequest(&sequencerv1.GetBundleStatusRequest{BundleId: id[:]}))
		if err == nil && s.Msg.State != sequencerv1.BundleState_BUNDLE_STATE_ORDERED {
			err = fmt.Errorf("its state is %v %s", s.Msg.State, s.Msg.Reason)
		}
		return err
	})
}

// bundles keeps handing bundles in at each of several validators and remembers which
// were acknowledged.
type bundles struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu    sync.Mutex
	acked [][]order.BundleID // by validator
}

func startBundles(t *testing.T, clients []sequencerv1connect.SequencerServiceClient, payer ed25519.PrivateKey) *bundles {
	ctx, cancel := context.WithCancel(t.Context())
	b := &bundles{cancel: cancel, acked: make([][]order.BundleID, len(clients))}
	for i, c := range clients {
		b.wait.Go(func() {
			for n := uint64(0); ctx.Err() == nil; n++ {
				id, err := hand(ctx, c, payer, uint64(i)<<32|n)
				pause := loadPause
				if err == nil {
					b.mu.Lock()
					b.acked[i] = append(b.acked[i], id)
					b.mu.Unlock()
				} else {
					pause = poll
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	t.Cleanup(func() { b.stop() })
	return b
}

// expiryBlocks is nearly as far ahead as the chain allows: no bundle may expire while
// its validator is cut off.
const expiryBlocks = 580

// hand hands in a bundle that is unlike every other.
func hand(ctx context.Context, c sequencerv1connect.SequencerServiceClient, payer ed25519.PrivateKey, nonce uint64) (order.BundleID, error) {
	info, err := c.GetInfo(ctx, connect.NewRequest(&sequencerv1.GetInfoRequest{}))
	if err != nil {
		return order.BundleID{}, err
	}
	lane, err := order.OwnerFromBytes(info.Msg.LaneOwner)
	if err != nil {
		return order.BundleID{}, err
	}
	tx := enc.BigEndian.AppendUint64(make([]byte, 2000), nonce)
	b := &order.Bundle{Expiry: info.Msg.LatestHeight + expiryBlocks, FeeLimit: 1_000_000, Legs: []order.Leg{{RollupID: order.NewRollupID("alpha"), Transactions: [][]byte{tx}}}}
	b.Sign(partitionChain, lane, payer)
	_, err = c.SubmitBundle(ctx, connect.NewRequest(&sequencerv1.SubmitBundleRequest{Bundle: b.Encode()}))
	return b.ID(partitionChain), err
}

// more waits until each of the validators acknowledged so many more.
func (b *bundles) more(t *testing.T, n int, validators ...int) {
	t.Helper()
	counts := func() []int {
		b.mu.Lock()
		defer b.mu.Unlock()
		var out []int
		for _, i := range validators {
			out = append(out, len(b.acked[i]))
		}
		return out
	}
	before := counts()
	eventually(t, settleTime, fmt.Sprintf("%d more acknowledged bundles at each of %v", n, validators), func() error {
		for i, now := range counts() {
			if now < before[i]+n {
				return fmt.Errorf("at validator-%d there are %d", validators[i], now-before[i])
			}
		}
		return nil
	})
}

// stop ends it and returns what was acknowledged.
func (b *bundles) stop() []order.BundleID {
	b.cancel()
	b.wait.Wait()
	var all []order.BundleID
	for _, ids := range b.acked {
		all = append(all, ids...)
	}
	return all
}

// namespace is a network namespace, joined to this one by a cable that can be pulled.
type namespace struct {
	name, plug string // plug is the end in the namespace
	near, far  string // addresses of the ends
}

// newNamespace skips the test where namespaces are not to be had.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("the program ip is not installed: install iproute2 to run this test")
	}
	pid := os.Getpid()
	n := &namespace{
		name: fmt.Sprintf("ordo-e2e-%d", pid), plug: fmt.Sprintf("oe%df", pid),
		// From the block for tests of networks, RFC 2544.
		near: fmt.Sprintf("198.18.%d.1", pid%256), far: fmt.Sprintf("198.18.%d.2", pid%256),
	}
	if out, err := ip("netns", "add", n.name); err != nil {
		t.Skipf("no network namespace can be made here, which takes root: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := ip("netns", "del", n.name); err != nil { // the cable goes with it
			t.Errorf("remove the namespace: %v: %s", err, out)
		}
	})
	near := fmt.Sprintf("oe%dn", pid)
	for _, args := range [][]string{
		{"link", "add", near, "type", "veth", "peer", "name", n.plug, "netns", n.name},
		{"addr", "add", n.near + "/30", "dev", near},
		{"link", "set", near, "up"},
		{"-n", n.name, "addr", "add", n.far + "/30", "dev", n.plug},
		{"-n", n.name, "link", "set", n.plug, "up"},
		{"-n", n.name, "link", "set", "lo", "up"},
	} {
		if out, err := ip(args...); err != nil {
			t.Skipf("no network can be set up here: ip %v: %v: %s", args, err, out)
		}
	}
	return n
}

// link sets the namespace's end of the cable up or down. This end stays up, and what
// is sent into it is lost, as on a broken line.
func (n *namespace) link(t *testing.T, state string) {
	t.Helper()
	if out, err := ip("-n", n.name, "link", "set", n.plug, state); err != nil {
		t.Fatalf("set the link %s: %v: %s", state, err, out)
	}
}

func ip(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = ctx.Err()
	}
	return string(out), err
}
