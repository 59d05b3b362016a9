package rollup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// testNode is a driver over a real EVM in a directory that outlives it.
type testNode struct {
	*driver
	evm      *evm.Client
	observed []uint64
}

func openNode(t *testing.T, dir string) *testNode {
	t.Helper()
	n, err := reopen(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reopen is openNode where the driver may refuse to.
func reopen(t *testing.T, dir string) (*testNode, error) {
	t.Helper()
	return reopenWith(t, dir, execution.Pace{})
}

// reopenWith is reopen of a rollup that goes at the pace.
func reopenWith(t *testing.T, dir string, pace execution.Pace) (*testNode, error) {
	t.Helper()
	client, err := evm.New(evm.Config{DataDir: dir + "/evm", Genesis: evm.DevGenesis(31337, nil), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	st, err := openStore(dir + "/store")
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{evm: client}
	n.driver = &driver{
		client: client, executor: alone{client, pace}, store: st, first: 1, metrics: newMetrics(prometheus.NewRegistry()), now: time.Now,
		observe: func(_ context.Context, o outcome) error {
			for _, b := range o.Blocks {
				n.observed = append(n.observed, b.Height)
			}
			return nil
		},
	}
	if err := n.open(t.Context()); err != nil {
		n.close(t)
		return nil, err
	}
	return n, nil
}

func (n *testNode) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(n.evm.Close(), n.store.close()); err != nil {
		t.Fatal(err)
	}
}

var genesisTime = time.Unix(1_800_000_000, 0)

// testBlock is a verified block of the order, 100 ms after the one before it.
func testBlock(height uint64, txs ...[]byte) *follower.Block {
	b := &follower.Block{
		Height: height, Hash: sha256.Sum256(fmt.Append(nil, "block", height, len(txs))),
		Time: genesisTime.Add(time.Duration(height) * 100 * time.Millisecond),
	}
	if len(txs) > 0 {
		b.Legs = []follower.Leg{{Transactions: txs}}
	}
	return b
}

func transferTx(t *testing.T, nonce uint64) []byte {
	t.Helper()
	key, err := crypto.HexToECDSA("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
	if err != nil {
		t.Fatal(err)
	}
	to := common.HexToAddress("0xbeef")
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(31337)), &types.DynamicFeeTx{
		ChainID: big.NewInt(31337), Nonce: nonce, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10 * params.GWei),
		Gas: params.TxGas, To: &to, Value: big.NewInt(1),
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// testOrder is 40 blocks: some hold transactions, most hold nothing.
func testOrder(t *testing.T) []*follower.Block {
	t.Helper()
	var blocks []*follower.Block
	nonce := uint64(0)
	for h := uint64(1); h <= 40; h++ {
		var txs [][]byte
		if h%7 == 0 {
			txs = [][]byte{transferTx(t, nonce), []byte("garbage"), transferTx(t, nonce+1)}
			nonce += 2
		}
		blocks = append(blocks, testBlock(h, txs...))
	}
	return blocks
}

func TestSoftThenFirm(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer n.close(t)
	blocks := testOrder(t)
	for _, b := range blocks {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	soft, height, firm := n.state()
	if height != 40 || firm != 0 {
		t.Fatalf("height %d, firm %d after 40 soft blocks", height, firm)
	}
	// Five blocks with data and one heartbeat for each second without: fewer than 40.
	if soft.Number < 5+3 || soft.Number > 12 {
		t.Fatalf("%d rollup blocks", soft.Number)
	}
	if got := n.evm.BlockChain().CurrentFinalBlock().Number.Uint64(); got != 0 {
		t.Fatalf("block %d is final before anything was read back", got)
	}
	for _, b := range blocks {
		if err := n.onFirm(t.Context(), b, []byte("cursor")); err != nil {
			t.Fatal(err)
		}
	}
	if got := n.evm.BlockChain().CurrentFinalBlock().Hash(); got != common.Hash(soft.Hash) {
		t.Fatalf("final block is %s, soft head %x", got, soft.Hash)
	}
	if at, ok := n.store.firmAt(13); !ok || time.Since(at) > time.Minute {
		t.Fatalf("firm time of height 13: %v %v", at, ok)
	}
}

func TestDAAloneGivesTheSameChain(t *testing.T) {
	blocks := testOrder(t)
	a, b := openNode(t, t.TempDir()), openNode(t, t.TempDir())
	defer a.close(t)
	defer b.close(t)
	for _, blk := range blocks {
		if err := a.onSoft(t.Context(), blk); err != nil {
			t.Fatal(err)
		}
		if err := b.onFirm(t.Context(), blk, nil); err != nil {
			t.Fatal(err)
		}
	}
	x, _, _ := a.state()
	y, _, firm := b.state()
	if x != y || firm != 40 {
		t.Fatalf("soft gives %+v, DA gives %+v, firm to %d", x, y, firm)
	}
	// A sequencer comes back and streams what DA has brought already.
	for _, blk := range blocks {
		if err := b.onSoft(t.Context(), blk); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.observed) != 40 {
		t.Fatalf("%d blocks observed, want each of 40 once", len(b.observed))
	}
}

func TestFirmThatDiffersStopsTheNode(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer n.close(t)
	if err := n.onSoft(t.Context(), testBlock(1)); err != nil {
		t.Fatal(err)
	}
	other := testBlock(1, []byte("x"))
	err := n.onFirm(t.Context(), other, nil)
	if !errors.Is(err, ErrFork) {
		t.Fatalf("got %v, want ErrFork", err)
	}
	for _, hash := range [][32]byte{testBlock(1).Hash, other.Hash} {
		if !strings.Contains(err.Error(), fmt.Sprintf("%x", hash)) {
			t.Fatalf("%q does not name %x", err, hash)
		}
	}
	if _, _, firm := n.state(); firm != 0 {
		t.Fatalf("firm moved to %d", firm)
	}
}

func TestGapIsRefused(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer n.close(t)
	if err := n.onSoft(t.Context(), testBlock(2)); err == nil || !strings.Contains(err.Error(), "gap") {
		t.Fatalf("got %v for block 2 after 0", err)
	}
}

// A crash leaves the directory as it is: nothing is closed in order.
func TestRestartGoesOnWhereItStopped(t *testing.T) {
	blocks := testOrder(t)
	whole := openNode(t, t.TempDir())
	defer whole.close(t)
	for _, b := range blocks {
		if err := whole.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	want, _, _ := whole.state()

	dir := t.TempDir()
	var seen []uint64
	for stop := 9; stop <= len(blocks)+8; stop += 9 {
		n := openNode(t, dir)
		_, height, _ := n.state()
		if height >= uint64(stop) {
			t.Fatalf("resumed at %d, only %d were given", height, stop-9)
		}
		for _, b := range blocks[height:min(stop, len(blocks))] {
			if err := n.onSoft(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		seen = append(seen, n.observed...)
		// What a crash between execution and its record leaves behind.
		_, height, _ = n.state()
		if err := n.store.db.Delete(heightKey(keyRecord, height), nil); err != nil {
			t.Fatal(err)
		}
		n.close(t)
	}
	n := openNode(t, dir)
	defer n.close(t)
	for _, b := range blocks {
		if err := n.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, _ := n.state(); got != want {
		t.Fatalf("restarted node has %+v, the other %+v", got, want)
	}
	var last uint64
	for _, h := range seen {
		if h > last+1 {
			t.Fatalf("observed %d after %d", h, last)
		}
		last = max(last, h)
	}
}

func TestOldRecordsArePruned(t *testing.T) {
	st, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.close(); err != nil {
			t.Error(err)
		}
	}()
	const last = keepRecords + 5000
	for h := uint64(1000); h <= last; h += 1000 {
		if err := errors.Join(st.db.Set(heightKey(keyRecord, h), record{Number: h}.encode(), pebble.NoSync), st.putFirm(h, time.UnixMilli(int64(h)), nil)); err != nil {
			t.Fatal(err)
		}
	}
	for h, want := range map[uint64]bool{1000: false, last - keepRecords - 1000: false, last - keepRecords: true, last: true} {
		if _, ok, err := st.record(h); err != nil || ok != want {
			t.Errorf("record of height %d: %v, %v, want %v", h, ok, err, want)
		}
	}
	if at, ok := st.firmAt(1); !ok || at.UnixMilli() != last-keepRecords {
		t.Errorf("oldest firm time is %v, %v", at.UnixMilli(), ok)
	}
}

// TestStoreIsBoundedWithoutDA: where no DA layer makes blocks firm, what is old is forgotten by
// how far the order was taken in.
func TestStoreIsBoundedWithoutDA(t *testing.T) {
	t.Parallel()
	st, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.close(); err != nil {
			t.Error(err)
		}
	}()
	st.neverFirm = true
	put := func(number uint64, heights ...uint64) {
		t.Helper()
		height := heights[len(heights)-1]
		r := record{Hash: execution.Hash{byte(height)}, Number: number, Head: execution.Hash{byte(number)}}
		o := outcome{Executed: true, Head: execution.Head{Number: number, Height: height}}
		for _, h := range heights {
			o.Blocks = append(o.Blocks, block{Height: h, Legs: []leg{{Leg: execution.Leg{Bundle: execution.Hash{1, byte(number)}}}}})
		}
		if err := st.putOutcome(r, o, nil); err != nil {
			t.Fatal(err)
		}
	}
	known := func(height, number uint64) bool {
		t.Helper()
		_, record, err := st.record(height)
		_, made, errMade := st.made(number)
		_, bundle, errBundle := st.bundleHeight(order.BundleID{1, byte(number)})
		if err := errors.Join(err, errMade, errBundle); err != nil {
			t.Fatal(err)
		}
		if record != made || made != bundle {
			t.Errorf("height %d: record %v, made %v, bundle %v", height, record, made, bundle)
		}
		return record
	}
	put(1, 1)
	put(2, 5000)
	put(3, 10_000) // the oldest that is kept
	put(4, keepRecords+9999)
	if !known(1, 1) || !known(5000, 2) {
		t.Error("forgotten before it is old")
	}
	put(5, keepRecords+10_000, keepRecords+10_001) // gathered blocks pass a height at which it is looked
	if known(1, 1) || known(5000, 2) || !known(10_000, 3) || !known(keepRecords+10_001, 5) {
		t.Error("what is old is kept, or what is not is forgotten")
	}
}

func TestRecordEncoding(t *testing.T) {
	r := record{Hash: sha256.Sum256([]byte("a")), SeenAt: time.UnixMilli(1234567), Number: 9, Head: sha256.Sum256([]byte("b"))}
	got, err := decodeRecord(r.encode())
	if err != nil || got.Hash != r.Hash || !got.SeenAt.Equal(r.SeenAt) || got.Number != r.Number || got.Head != r.Head {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := decodeRecord(bytes.Repeat([]byte{1}, recordLen-1)); err == nil {
		t.Fatal("short record accepted")
	}
}
