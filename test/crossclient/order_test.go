package crossclient

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
)

// subject is a client under test.
type subject struct {
	name   string
	client execution.Client
	tells  bool // what it skips
	peer   *peer
	crash  func(after time.Duration)
}

// reference is the embedded EVM in this process, whose word counts.
type reference struct {
	*evm.Client
	order  []execution.Block // by height, from 1
	heads  []execution.Head  // by number, genesis too
	result execution.Result
}

func newReference(t testing.TB, genesis []byte) *reference {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "genesis.json"), genesis, 0o644); err != nil {
		t.Fatal(err)
	}
	client, err := openEVM(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s, err := client.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &reference{Client: client, heads: []execution.Head{s.Soft}}
}

// next makes the next block of the order and executes it.
func (r *reference) next(t testing.TB, w *world) execution.Block {
	t.Helper()
	head := r.BlockChain().CurrentBlock()
	state, err := r.BlockChain().StateAt(head.Root, head.Number, head.Time)
	if err != nil {
		t.Fatal(err)
	}
	b := w.block(uint64(len(r.order)+1), state)
	if r.result, err = r.Execute(t.Context(), r.heads[len(r.heads)-1].Hash, b); err != nil {
		t.Fatal(err)
	}
	r.order, r.heads = append(r.order, b), append(r.heads, r.result.Head)
	return b
}

// TestOneStateRoot: random blocks give the same heads on all clients, which are killed at
// random.
func TestOneStateRoot(t *testing.T) {
	t.Parallel()
	genesis := genesis(t)
	ref := newReference(t, genesis)
	subjects := []*subject{grpcOf(t, genesis)}
	if p := newPeer(t, ethclients.Geth, genesis); p != nil {
		subjects = append(subjects, mirrorOf(t, genesis, p))
	} else {
		t.Log("geth is left out, for it is not built: make geth-bin")
	}
	if p := newPeer(t, ethclients.OPGeth, genesis); p != nil {
		subjects = append(subjects, opOf(t, genesis, p))
	} else {
		t.Log("op-geth is left out, for it is not built: make opgeth-bin")
	}
	w, dice := newWorld(t, *seed), rand.New(rand.NewPCG(*seed, 11))
	applied, skipped, crashes := 0, 0, 0
	for n := 1; n <= *blocks; n++ {
		b := ref.next(t, w)
		skipped += len(ref.result.Skipped)
		applied += len(b.Transactions) - len(ref.result.Skipped)
		for _, s := range subjects {
			if dice.IntN(25) == 0 {
				s.crash(time.Duration(dice.IntN(300)) * time.Millisecond)
				crashes++
			}
			s.follow(t, ref)
		}
		if dice.IntN(5) == 0 {
			firm := ref.heads[n-dice.IntN(min(n, 3))]
			for _, s := range subjects {
				s.settle(t, firm)
			}
		}
		if n%100 == 0 {
			t.Logf("block %d", n)
		}
		if t.Failed() {
			t.Fatalf("seed %d, block %d", *seed, n)
		}
	}
	for _, s := range subjects {
		s.whole(t, ref)
	}
	t.Logf("%d blocks, %d transactions applied, %d skipped, %d crashes; state root %s", *blocks, applied, skipped, crashes, ref.BlockChain().CurrentBlock().Root)
}

func grpcOf(t testing.TB, genesis []byte) *subject {
	h := newHost(t, genesis, "evm", nil)
	return &subject{name: "gRPC", client: h.dial(t), crash: h.crash}
}

func mirrorOf(t testing.TB, genesis []byte, p *peer) *subject {
	m, err := engine.NewMirror(newReference(t, genesis).Client, p.dial(t), quiet())
	if err != nil {
		t.Fatal(err)
	}
	return &subject{name: "geth", client: m, tells: true, peer: p, crash: p.crash}
}

func opOf(t testing.TB, genesis []byte, p *peer) *subject {
	o, err := engine.NewOP(engine.OPConfig{API: p.dial(t), Dir: t.TempDir(), Genesis: genesis, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return &subject{name: "op-geth", client: o, tells: true, peer: p, crash: p.crash}
}

// follow executes what of the order the client has not, and compares. A client that was
// killed is opened anew and takes the order again from where it stands, as a node does.
func (s *subject) follow(t testing.TB, ref *reference) {
	t.Helper()
	last := uint64(len(ref.order))
	for {
		now, err := s.client.Open(t.Context())
		if err != nil {
			t.Fatalf("%s: open: %v", s.name, err)
		}
		if want := ref.heads[now.Soft.Number]; now.Soft.Hash != want.Hash {
			t.Fatalf("%s: block %d is %x, want %x", s.name, now.Soft.Number, now.Soft.Hash, want.Hash)
		}
		if now.Soft.Height == last {
			return
		}
		for h := now.Soft.Height + 1; h <= last; h++ {
			result, err := s.client.Execute(t.Context(), ref.heads[h-1].Hash, ref.order[h-1])
			if errors.Is(err, execution.ErrParent) {
				break // it fell back
			}
			if err != nil {
				t.Fatalf("%s: execute block %d: %v", s.name, h, err)
			}
			s.compare(t, ref, h, result)
		}
	}
}

func (s *subject) compare(t testing.TB, ref *reference, h uint64, got execution.Result) {
	t.Helper()
	if want := ref.heads[h]; got.Head.Hash != want.Hash || got.Head.Height != want.Height || !got.Head.Time.Equal(want.Time) {
		t.Errorf("%s: block %d is %+v, want %+v", s.name, h, got.Head, want)
	}
	if !s.tells || h != uint64(len(ref.order)) {
		return
	}
	reasons := map[int]string{}
	for _, x := range ref.result.Skipped {
		reasons[x.Index] = x.Reason
	}
	for _, x := range got.Skipped {
		if _, ok := reasons[x.Index]; !ok {
			t.Errorf("%s: block %d skips transaction %d, which applies: %s", s.name, h, x.Index, x.Reason)
		}
		delete(reasons, x.Index)
	}
	for i, reason := range reasons {
		t.Errorf("%s: block %d does not skip transaction %d: %s", s.name, h, i, reason)
	}
}

// settle makes a head firm.
func (s *subject) settle(t testing.TB, firm execution.Head) {
	t.Helper()
	now, err := s.client.Open(t.Context())
	if err != nil {
		t.Fatalf("%s: open: %v", s.name, err)
	}
	if now.Firm.Number >= firm.Number {
		return
	}
	if err := s.client.SetFirm(t.Context(), firm.Hash); err != nil {
		t.Errorf("%s: set firm to block %d: %v", s.name, firm.Number, err)
	}
}

// whole looks at the whole chain in the client's own words: no gap, and the same roots.
func (s *subject) whole(t testing.TB, ref *reference) {
	t.Helper()
	if s.peer == nil {
		return
	}
	for n, head := range ref.heads {
		got := s.peer.ask(t, hexutil.EncodeUint64(uint64(n)))
		root := ref.BlockChain().GetHeaderByNumber(uint64(n)).Root
		if execution.Hash(got.Hash) != head.Hash || got.Root != root {
			t.Fatalf("%s: block %d is %s with state %s, want %x with %s", s.name, n, got.Hash, got.Root, head.Hash, root)
		}
	}
	if latest := s.peer.ask(t, "latest"); uint64(latest.Number) != uint64(len(ref.order)) {
		t.Errorf("%s: latest is block %d, want %d", s.name, latest.Number, len(ref.order))
	}
	now, err := s.client.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"safe", "finalized"} {
		if got := s.peer.ask(t, tag); execution.Hash(got.Hash) != now.Firm.Hash {
			t.Errorf("%s: %s is block %d, firm is %d", s.name, tag, got.Number, now.Firm.Number)
		}
	}
}
