package domain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/domain"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/test/killed"
)

var errFault = errors.New("the process is killed here")

// faults ends a node's life at one of the points at which it writes: before it, or
// behind it.
type faults struct {
	left int // points until then
}

// point returns an error where life ends.
func (f *faults) point() error {
	if f == nil {
		return nil
	}
	if f.left--; f.left < 0 {
		return errFault
	}
	return nil
}

// around runs a write between two points.
func around[T any](f *faults, write func() (T, error)) (out T, err error) {
	if err := f.point(); err != nil {
		return out, err
	}
	if out, err = write(); err != nil {
		return out, err
	}
	return out, f.point()
}

func (f *faults) client(c domain.Client) domain.Client {
	if f == nil {
		return c
	}
	return faultyClient{c, f}
}

func (f *faults) journal(j domain.Journal) domain.Journal {
	if f == nil {
		return j
	}
	return faultyJournal{j, f}
}

type faultyClient struct {
	domain.Client
	faults *faults
}

func (c faultyClient) Begin(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Making, error) {
	m, err := c.Client.Begin(ctx, parent, b)
	return faultyMaking{m, c.faults}, err
}

func (c faultyClient) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	return around(c.faults, func() (execution.Result, error) { return c.Client.Execute(ctx, parent, b) })
}

type faultyMaking struct {
	execution.Making
	faults *faults
}

func (m faultyMaking) Commit(ctx context.Context) (execution.Result, error) {
	return around(m.faults, func() (execution.Result, error) { return m.Making.Commit(ctx) })
}

type faultyJournal struct {
	domain.Journal
	faults *faults
}

func (j faultyJournal) Put(e domain.Entry) error {
	_, err := around(j.faults, func() (struct{}, error) { return struct{}{}, j.Journal.Put(e) })
	return err
}

// live lets the node execute random blocks with bundles of all kinds, and returns them.
func (x *node) live(blocks int) (history [][]execution.Block) {
	x.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	for height := uint64(2); height <= 2*uint64(blocks); height += 2 {
		var nonces [3][2]uint64
		for rollup, c := range x.clients {
			s, err := c.BlockChain().State()
			if err != nil {
				x.Fatal(err)
			}
			nonces[rollup] = [2]uint64{s.GetNonce(alice.Address), s.GetNonce(bob.Address)}
		}
		var bundles []bundle
		for range 2 + rng.IntN(7) {
			b, after := bundle{}, nonces
			together := rng.IntN(4) > 0
			for rollup := range x.clients {
				if rng.IntN(3) == 0 {
					continue
				}
				var txs [][]byte
				for range 1 + rng.IntN(2) {
					i := rollup % 2 // who has its token, mostly
					if rng.IntN(6) == 0 {
						i = 1 - i
					}
					from, to := []evm.DevAccount{alice, bob}[i], []evm.DevAccount{bob, alice}[i]
					txs = append(txs, pay(x.T, rollup, from, after[rollup][i], to.Address, int64(rng.IntN(supply/8))))
					after[rollup][i]++
				}
				if together {
					txs = all(txs...)
				}
				b[rollup] = txs
			}
			if len(b) > 0 {
				bundles = append(bundles, b)
			}
			if rng.IntN(3) > 0 { // else the next one takes the same nonces
				nonces = after
			}
		}
		history = append(history, order(len(x.clients), height, bundles...))
		x.execute(history[len(history)-1])
	}
	return history
}

// Every node that executes a domain comes to the same, and so does a client that executes
// one member's blocks with the verdicts.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	history := open(t, 3).live(25)
	one, two, told := open(t, 3), open(t, 3), open(t, 3)
	for _, blocks := range history {
		a := one.execute(blocks)
		if b := two.execute(blocks); !reflect.DeepEqual(a, b) {
			t.Fatalf("sequencer block %d: %+v, on another node %+v", blocks[0].Height, a, b)
		}
		entry, ok, err := one.journal.Last()
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		for i, b := range entry.Blocks {
			got, err := told.clients[i].Execute(t.Context(), told.parents()[i], b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, a[i]) {
				t.Fatalf("sequencer block %d: %s has %+v, with the verdicts %+v", b.Height, names[i], a[i], got)
			}
		}
	}
	if one.kept < 10 || one.refused < 10 {
		t.Errorf("%d legs applied with others, %d refused: the test shows little", one.kept, one.refused)
	}
}

// Killed at any point, a node comes back to the same blocks: with the verdicts that it had
// reached, where a member's block is on disk already.
func TestCrash(t *testing.T) {
	t.Parallel()
	const rollups = 2
	want := open(t, rollups)
	history := want.live(2)
	if want.kept == 0 || want.refused == 0 {
		t.Errorf("%d legs are applied with others, %d refused: the test shows little", want.kept, want.refused)
	}
	points := 0
	for ; ; points++ {
		x := newNode(t, t.TempDir(), rollups, &faults{left: points})
		x.recover()
		done := 0
		for ; done < len(history); done++ {
			if _, err := x.domain.Execute(t.Context(), x.parents(), history[done]); errors.Is(err, errFault) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if done == len(history) {
			break
		}
		if _, err := x.domain.Execute(t.Context(), x.parents(), history[done]); !errors.Is(err, domain.ErrRecover) {
			t.Errorf("execute after an error: %v, want ErrRecover", err)
		}
		y := x.crashed(nil)
		x.close()
		// Killed again and again while it recovers, and then not.
		for left := 0; ; left++ {
			z := y.crashed(&faults{left: left})
			y.close()
			err := z.domain.Recover(t.Context())
			if y = z.crashed(nil); err == nil {
				z.close()
				break
			} else if !errors.Is(err, errFault) {
				t.Fatal(err)
			}
			z.close()
		}
		y.recover()
		heads := y.heads()
		for _, h := range heads {
			if h.Height != heads[0].Height && h.Number > 0 {
				t.Fatalf("recovered at point %d, rollups stand apart: %+v", points, heads)
			}
		}
		for _, blocks := range history {
			if blocks[0].Height > heads[0].Height {
				y.execute(blocks)
			}
		}
		if got := y.heads(); !slices.Equal(got, want.heads()) {
			t.Fatalf("killed at point %d: heads %+v, want %+v", points, got, want.heads())
		}
		y.close()
	}
	// Two of the journal in each block, and two of each rollup.
	if n := len(history) * (2 + 2*rollups); points != n {
		t.Errorf("%d points at which a node may be killed, want %d", points, n)
	}
}

func (x *node) close() {
	x.Helper()
	for _, c := range x.clients {
		if err := c.Close(); err != nil {
			x.Fatal(err)
		}
	}
	if err := x.journal.Close(); err != nil {
		x.Fatal(err)
	}
}

// Members that stand apart are noticed; where all were removed, the order is executed anew.
func TestApart(t *testing.T) {
	t.Parallel()
	x := open(t, 3)
	history := x.live(3)
	heads := x.heads()
	x.close()
	again := func(remove ...string) *node {
		dir := killed.Copy(x, x.dir)
		for _, name := range remove {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return newNode(t, dir, 3, nil)
	}
	if err := again("beta").domain.Recover(t.Context()); !errors.Is(err, domain.ErrApart) {
		t.Errorf("beta's chain was removed: %v, want ErrApart", err)
	}
	alone := again()
	if _, err := alone.clients[1].Execute(t.Context(), heads[1].Hash, order(3, 100)[1]); err != nil {
		t.Fatal(err)
	}
	if err := alone.domain.Recover(t.Context()); !errors.Is(err, domain.ErrApart) {
		t.Errorf("beta was executed alone: %v, want ErrApart", err)
	}
	fewer := again()
	smaller, err := domain.New(1, []domain.Member{{Rollup: rollupID(0), Client: fewer.clients[0]}}, fewer.journal)
	if err != nil {
		t.Fatal(err)
	}
	if err := smaller.Recover(t.Context()); !errors.Is(err, domain.ErrApart) {
		t.Errorf("the domain became smaller: %v, want ErrApart", err)
	}
	anew := again(names...)
	anew.recover()
	for _, blocks := range history {
		anew.execute(blocks)
	}
	if got := anew.heads(); !slices.Equal(got, heads) {
		t.Errorf("executed anew: %+v, want %+v", got, heads)
	}
}

// What does not fit is refused before anything is executed.
func TestRefused(t *testing.T) {
	t.Parallel()
	x := newNode(t, t.TempDir(), 2, nil)
	blocks := order(2, 1, bundle{0: all(pay(t, 0, alice, 0, bob.Address, 1)), 1: all(pay(t, 1, bob, 0, alice.Address, 1))}, bundle{0: {}})
	if _, err := x.domain.Execute(t.Context(), x.parents(), blocks); !errors.Is(err, domain.ErrRecover) {
		t.Errorf("execute before recover: %v, want ErrRecover", err)
	}
	heads := x.heads()
	for name, change := range map[string]func([]execution.Block) []execution.Block{
		"one block":                   func(b []execution.Block) []execution.Block { return b[:1] },
		"heights":                     func(b []execution.Block) []execution.Block { b[1].Height++; return b },
		"hashes":                      func(b []execution.Block) []execution.Block { b[1].Hash[0]++; return b },
		"two bundles in one place":    func(b []execution.Block) []execution.Block { b[1].Legs[0].Bundle[0]++; return b },
		"legs that do not rise":       func(b []execution.Block) []execution.Block { b[0].Legs[1].Position = 0; return b },
		"transactions of no leg":      func(b []execution.Block) []execution.Block { b[0].Legs = nil; return b },
		"legs without a transaction":  func(b []execution.Block) []execution.Block { b[0].Legs[1].Transactions = 1; return b },
		"a height that does not rise": func(b []execution.Block) []execution.Block { b[0].Height, b[1].Height = 0, 0; return b },
	} {
		x.recover()
		changed := slices.Clone(blocks)
		for i := range changed {
			changed[i].Legs = slices.Clone(changed[i].Legs)
		}
		if _, err := x.domain.Execute(t.Context(), x.parents(), change(changed)); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	x.recover()
	if _, err := x.domain.Execute(t.Context(), make([]execution.Hash, 2), blocks); !errors.Is(err, execution.ErrParent) {
		t.Errorf("other parents: %v, want ErrParent", err)
	}
	if got := x.heads(); !slices.Equal(got, heads) {
		t.Errorf("heads %+v, want %+v", got, heads)
	}
	for _, members := range [][]domain.Member{nil, {{}}, {{Client: x.clients[0]}, {Client: x.clients[1]}}} {
		if _, err := domain.New(1, members, x.journal); err == nil {
			t.Errorf("a domain of %+v: want an error", members)
		}
	}
}
