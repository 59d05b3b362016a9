package rollup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/test/await"
)

// shared is a tally that is asked while it executes.
type shared struct {
	mu sync.Mutex
	*tally
}

func (s *shared) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tally.Execute(ctx, parent, b)
}

func (s *shared) SetFirm(ctx context.Context, firm execution.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tally.SetFirm(ctx, firm)
}

func (s *shared) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(len(s.txs))
}

// freeAddress is one where nothing listens right now.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// running is a node with a machine of its own.
type running struct {
	url  string
	stop func()
}

func runOwn(t *testing.T, home string, vm *shared) running {
	t.Helper()
	return runNode(t, home, Options{Version: "test", Logger: slog.New(slog.DiscardHandler), Client: vm, Handler: vm})
}

func runNode(t *testing.T, home string, o Options) running {
	t.Helper()
	cfg, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- RunWith(ctx, home, o) }()
	r := running{url: "http://" + cfg.RPC.Listen}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the node ends with %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// ask calls the door; it fails while the door is not open.
func (r running) ask(method string, answer any, params ...any) error {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	resp, err := http.Post(r.url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return err
	}
	if out.Error != nil {
		return errors.New(out.Error.Message)
	}
	return json.Unmarshal(out.Result, answer)
}

// A rollup with a machine of its own: it is fed from DA, gathered by its block time, and
// tells over the plain door what became of transactions, also after a restart.
func TestMachineOfItsOwn(t *testing.T) {
	t.Parallel()
	p := publish(t)
	p.put(t, p.blob(t, 1, 40))
	address := freeAddress(t)
	home := p.home(t, func(o *InitOptions) {
		o.ChainID, o.Listen = 0, address
		o.Execution = Execution{Mode: ModeGo, BlockTime: time.Second}
	})
	vm := &shared{tally: newTally()}
	vm.heads[0].Time = p.doc.GenesisTime
	node := runOwn(t, home, vm)
	executed, skipped := "0x"+digest(transferTx(t, 0)), "0x"+digest([]byte("garbage"))
	status := func(hash string) (s struct {
		Status      string
		Executed    bool
		BlockNumber string
	}) {
		_ = node.ask("ordo_transactionStatus", &s, hash)
		return s
	}
	await.Until(t, "the first transaction is finalized", func() bool { return status(executed).Status == "finalized" })
	if s := status(executed); !s.Executed || s.BlockNumber != "0x1" {
		t.Errorf("%+v", s)
	}
	if s := status(skipped); s.Executed {
		t.Errorf("garbage is executed: %+v", s)
	}
	var info struct{ Mode, Name string }
	if err := node.ask("ordo_info", &info); err != nil || info.Mode != ModeGo || info.Name != "alpha" {
		t.Errorf("%+v, %v", info, err)
	}
	// What is ordered is told who asks for what is certain, also where no node said before
	// that it is.
	ws, err := rpc.Dial("ws" + strings.TrimPrefix(node.url, "http"))
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	hashes, whole := make(chan string, 100), make(chan string, 100)
	if _, err := ws.Subscribe(t.Context(), "ordo", hashes, "certifiedTransactions"); err != nil {
		t.Fatal(err)
	}
	if _, err := ws.EthSubscribe(t.Context(), whole, "certifiedTransactions", true); err != nil {
		t.Fatal(err)
	}
	p.order(t, []byte("certain"))
	p.put(t, p.blob(t, 41, 41))
	for ch, want := range map[chan string]string{hashes: "0x" + digest([]byte("certain")), whole: "0x" + hex.EncodeToString([]byte("certain"))} {
		late := time.After(await.Limit)
		for got := ""; got != want; { // behind what is ordered already, and still comes in
			select {
			case got = <-ch:
			case <-late:
				t.Fatal("what is ordered is not told within 30s")
			}
		}
	}
	resp, err := http.Get(node.url + "/vm/transactions")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || strings.TrimSpace(string(body)) == "0" {
		t.Errorf("the machine answers %q, %v", body, err)
	}
	node.stop()
	before := vm.soft()
	node = runOwn(t, home, vm)
	await.Until(t, "the door is open again", func() bool { return status(executed).Status == "finalized" })
	node.stop()
	if vm.soft() != before {
		t.Errorf("after a restart the head is %+v, before it was %+v", vm.soft(), before)
	}
	if err := Run(t.Context(), home, "test", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "program of its own") {
		t.Errorf("without its machine the node ends with %v", err)
	}
	// What made the chain does not change any more.
	cfg, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Execution.BlockTime = 0
	if err := config.Write(filepath.Join(home, "config.toml"), cfg); err != nil {
		t.Fatal(err)
	}
	if err := RunWith(t.Context(), home, Options{Logger: slog.New(slog.DiscardHandler), Client: vm}); err == nil || !strings.Contains(err.Error(), "execution.block_time is 0s and was 1s") {
		t.Errorf("with another block time the node ends with %v", err)
	}
}

func digest(tx []byte) string {
	h := sha256.Sum256(tx)
	return hex.EncodeToString(h[:])
}

// Legs with terms do not reach a machine that does not keep them.
func TestLegsWithTermsAreKeptFromMachines(t *testing.T) {
	t.Parallel()
	bound := terms.Terms{MaxBlock: 7}.Encode()
	vm := newTally()
	b := block{Height: 1, Legs: []leg{
		{Leg: execution.Leg{Height: 1, Transactions: 2}, Txs: [][]byte{[]byte("garbage 0"), []byte("a")}},
		{Leg: execution.Leg{Height: 1, Transactions: 2}, Txs: [][]byte{bound, []byte("b")}},
		{Leg: execution.Leg{Height: 1}},
		{Leg: execution.Leg{Height: 1, Transactions: 2}, Txs: [][]byte{[]byte("c"), []byte("garbage 5")}},
	}}
	res, err := noTerms{vm}.Execute(t.Context(), vm.soft().Hash, b.behind(nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, s := range inOrder(res.Skipped, 6) {
		got = append(got, s.Index)
	}
	if want := []int{0, 2, 3, 5}; len(vm.txs) != 2 || vm.txs[1] != "c" || !slices.Equal(got, want) {
		t.Errorf("executed %v, skipped %v", vm.txs, got)
	}
}
