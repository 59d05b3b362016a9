package domain_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/domain"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/test/killed"
)

var (
	names     = []string{"alpha", "beta", "gamma"}
	tokenAddr = common.HexToAddress("0x70ce")
	alice     = evm.DevAccounts[0]
	bob       = evm.DevAccounts[1]
)

// supply is what Alice has of alpha's token, Bob of beta's, and both of gamma's.
const supply = 1000

func rollupID(i int) execution.Hash { return sha256.Sum256([]byte(names[i])) }

func chainID(i int) int64 { return int64(9000 + i) }

func genesis(i int) *core.Genesis {
	storage := map[common.Hash]common.Hash{}
	for j, owner := range []common.Address{alice.Address, bob.Address} {
		if i == j || i == 2 {
			storage[common.BytesToHash(owner[:])] = common.BigToHash(big.NewInt(supply))
		}
	}
	return evm.DevGenesis(uint64(chainID(i)), types.GenesisAlloc{tokenAddr: {Code: token(), Storage: storage}})
}

// node is a node that executes a domain.
type node struct {
	*testing.T
	dir     string
	clients []*evm.Client
	journal *domain.Store
	domain  *domain.Domain

	kept, refused int // legs of all or nothing
}

// newNode opens a node of the first n rollups in the directory. faults, if any, stands
// before what is written.
func newNode(t *testing.T, dir string, n int, faults *faults) *node {
	t.Helper()
	x := &node{T: t, dir: dir}
	var members []domain.Member
	for i := range n {
		c, err := evm.New(evm.Config{DataDir: filepath.Join(dir, names[i]), Genesis: genesis(i), CacheMB: 8})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		x.clients = append(x.clients, c)
		members = append(members, domain.Member{Rollup: rollupID(i), Client: faults.client(c)})
	}
	var err error
	if x.journal, err = domain.OpenStore(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.journal.Close() })
	if x.domain, err = domain.New(1, members, faults.journal(x.journal)); err != nil {
		t.Fatal(err)
	}
	return x
}

// open is newNode for a node that is well.
func open(t *testing.T, n int) *node {
	t.Helper()
	x := newNode(t, t.TempDir(), n, nil)
	x.recover()
	return x
}

func (x *node) recover() {
	x.Helper()
	if err := x.domain.Recover(x.Context()); err != nil {
		x.Fatal(err)
	}
}

// crashed is the node after its process was killed: on a copy of what it had handed to the
// operating system.
func (x *node) crashed(f *faults) *node {
	x.Helper()
	return newNode(x.T, killed.Copy(x, x.dir), len(x.clients), f)
}

func (x *node) heads() (out []execution.Head) {
	x.Helper()
	for _, c := range x.clients {
		s, err := c.Open(x.Context())
		if err != nil {
			x.Fatal(err)
		}
		out = append(out, s.Soft)
	}
	return out
}

func (x *node) parents() (out []execution.Hash) {
	for _, h := range x.heads() {
		out = append(out, h.Hash)
	}
	return out
}

func (x *node) execute(blocks []execution.Block) []execution.Result {
	x.Helper()
	res, err := x.domain.Execute(x.Context(), x.parents(), blocks)
	if err != nil {
		x.Fatal(err)
	}
	entry, ok, err := x.journal.Last()
	if !ok || err != nil {
		x.Fatalf("the journal has an entry: %t, error %v", ok, err)
	}
	for _, b := range entry.Blocks {
		for _, leg := range b.Legs {
			switch leg.Verdict {
			case execution.Apply:
				x.kept++
			case execution.Refuse:
				x.refused++
			}
		}
	}
	return res
}

// balance returns what an account has of a rollup's token.
func (x *node) balance(rollup int, owner common.Address) uint64 {
	x.Helper()
	s, err := x.clients[rollup].BlockChain().State()
	if err != nil {
		x.Fatal(err)
	}
	return s.GetState(tokenAddr, common.BytesToHash(owner[:])).Big().Uint64()
}

// bundle is one leg for each rollup that it names.
type bundle map[int][][]byte

// order returns the blocks of n rollups of a sequencer block that orders the bundles.
func order(n int, height uint64, bundles ...bundle) []execution.Block {
	blocks := make([]execution.Block, n)
	for i := range blocks {
		blocks[i] = execution.Block{
			Height: height, Hash: sha256.Sum256(binary.BigEndian.AppendUint64(nil, height)),
			Time: time.Unix(1_800_000_000, 0).Add(time.Duration(height) * 100 * time.Millisecond),
		}
	}
	for position, b := range bundles {
		var rollups []execution.Hash
		for i := range names {
			if _, ok := b[i]; ok {
				rollups = append(rollups, rollupID(i))
			}
		}
		index := 0
		for i := range names {
			txs, ok := b[i]
			if !ok {
				continue
			}
			if i < n {
				blocks[i].Transactions = append(blocks[i].Transactions, txs...)
				blocks[i].Legs = append(blocks[i].Legs, execution.Leg{
					Height: height, Position: position, Bundle: execution.Hash{byte(height), byte(position), 1},
					Index: index, Rollups: rollups, Transactions: len(txs),
				})
			}
			index++
		}
	}
	return blocks
}

// pay is a transfer of the rollup's token.
func pay(t testing.TB, rollup int, from evm.DevAccount, nonce uint64, to common.Address, amount int64) []byte {
	t.Helper()
	data := append(common.FromHex("a9059cbb"), common.LeftPadBytes(to[:], 32)...)
	data = append(data, common.LeftPadBytes(big.NewInt(amount).Bytes(), 32)...)
	id := big.NewInt(chainID(rollup))
	raw, err := types.MustSignNewTx(key(t, from), types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: nonce, Gas: 100_000, To: &tokenAddr, Data: data, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func key(t testing.TB, a evm.DevAccount) *ecdsa.PrivateKey {
	t.Helper()
	k, err := crypto.HexToECDSA(a.PrivateKey[2:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// all is a leg that wants all or nothing.
func all(txs ...[]byte) [][]byte {
	return append([][]byte{terms.Terms{AllOrNothing: true}.Encode()}, txs...)
}

// A swap: Alice pays Bob on alpha, and Bob pays Alice on beta, both or neither. Whatever
// makes one leg fail leaves both rollups untouched.
func TestSwap(t *testing.T) {
	t.Parallel()
	give, take := pay(t, 0, alice, 0, bob.Address, 30), pay(t, 1, bob, 0, alice.Address, 70)
	tooMuch, late := pay(t, 1, bob, 0, alice.Address, supply+1), pay(t, 1, bob, 7, alice.Address, 70)
	bounded := terms.Terms{AllOrNothing: true, MinBlock: 9}.Encode()
	for _, test := range []struct {
		name    string
		bundle  bundle
		applied bool
		reasons [2]string
	}{
		{"both legs apply", bundle{0: all(give), 1: all(take)}, true, [2]string{}},
		{"beta's reverts", bundle{0: all(give), 1: all(tooMuch)}, false, [2]string{`the bundle's leg of rollup `, `transaction 1 (0x`}},
		{"alpha's reverts", bundle{0: all(pay(t, 0, alice, 0, bob.Address, supply+1)), 1: all(take)}, false, [2]string{`reverted: "balance too low"`, `could not be: transaction 1 (0x`}},
		{"beta's cannot be applied", bundle{0: all(give), 1: all(late)}, false, [2]string{"could not be: transaction 1", "cannot be applied: nonce too high"}},
		{"beta's is garbage", bundle{0: all(give), 1: all([]byte("garbage"))}, false, [2]string{"could not be: transaction 1", "decode transaction"}},
		{"beta's is for a later block", bundle{0: all(give), 1: [][]byte{bounded, take}}, false, [2]string{"could not be: block 1 is before", "leg not applied: block 1 is before the first, 9"}},
		{"both fail", bundle{0: all(pay(t, 0, alice, 3, bob.Address, 1)), 1: all(tooMuch)}, false, [2]string{"nonce too high", "balance too low"}},
		{"only one says so", bundle{0: all(give), 1: {take}}, false, [2]string{"or not all of whose legs say so", ""}},
		{"the other says something else", bundle{0: all(give), 1: {terms.Terms{}.Encode(), take}}, false, [2]string{"or not all of whose legs say so", ""}},
		{"the other's terms are malformed", bundle{0: all(give), 1: {append(terms.Terms{}.Encode(), 1), take}}, false, [2]string{"or not all of whose legs say so", "terms are not valid"}},
		{"the other has no data", bundle{0: all(give), 1: {}}, false, [2]string{"or not all of whose legs say so", ""}},
		{"a third is not of the domain", bundle{0: all(give), 1: all(take), 2: all(pay(t, 2, alice, 0, bob.Address, 1))}, false, [2]string{"not executed together", "not executed together"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := open(t, 2)
			res := x.execute(order(2, 1, bundle{0: {[]byte("before")}}, test.bundle))
			for i, reason := range test.reasons {
				got := ""
				if n := len(res[i].Skipped); n > 0 {
					got = res[i].Skipped[n-1].Reason
				}
				if !strings.Contains(got, reason) || reason != "" && len(got) == 0 {
					t.Errorf("%s skipped for %q, want %q", names[i], got, reason)
				}
			}
			others := test.bundle[1]
			single := len(others) > 0 && !terms.Is(others[0]) || test.name == "the other says something else"
			want := [2]uint64{0, 0}
			if test.applied {
				want = [2]uint64{30, 70}
			} else if single { // it did not ask for the other leg
				want[1] = 70
			}
			if got := [2]uint64{x.balance(0, bob.Address), x.balance(1, alice.Address)}; got != want {
				t.Errorf("Bob has %d of alpha's token and Alice %d of beta's, want %d", got[0], got[1], want)
			}
			if a, b := x.balance(0, alice.Address), x.balance(1, bob.Address); a != supply-want[0] || b != supply-want[1] {
				t.Errorf("Alice has %d of alpha's token left and Bob %d of beta's", a, b)
			}
		})
	}
}

// Bundles are tried behind what is ordered before them, on all members: a swap can pay
// with what the one before it brought.
func TestChainOfSwaps(t *testing.T) {
	t.Parallel()
	x := open(t, 3)
	x.execute(order(3, 5,
		bundle{0: all(pay(t, 0, alice, 0, bob.Address, supply)), 1: all(pay(t, 1, bob, 0, alice.Address, 400)), 2: all(pay(t, 2, alice, 0, bob.Address, 1))},
		bundle{0: all(pay(t, 0, bob, 0, alice.Address, supply+1)), 1: all(pay(t, 1, alice, 0, bob.Address, 1))}, // more than Bob got
		bundle{0: all(pay(t, 0, bob, 0, alice.Address, supply)), 1: all(pay(t, 1, alice, 0, bob.Address, 400))}, // what they got
		bundle{2: {pay(t, 2, bob, 0, alice.Address, 1)}},
		bundle{1: all(pay(t, 1, alice, 1, bob.Address, 1)), 2: all(pay(t, 2, bob, 1, alice.Address, 1))}, // Alice has nothing left of it
	))
	for i, want := range [][2]uint64{{supply, 0}, {0, supply}, {supply, supply}} {
		if got := [2]uint64{x.balance(i, alice.Address), x.balance(i, bob.Address)}; got != want {
			t.Errorf("%s: Alice and Bob have %d, want %d", names[i], got, want)
		}
	}
}

// A domain of one is a rollup like any other: its blocks are those that Execute makes.
func TestAlone(t *testing.T) {
	t.Parallel()
	x, twin := open(t, 1), open(t, 1)
	blocks := order(1, 1, bundle{0: all(pay(t, 0, alice, 0, bob.Address, 1))}, bundle{0: all(pay(t, 0, alice, 1, bob.Address, 1)), 1: all()})
	res := x.execute(blocks)
	want, err := twin.clients[0].Execute(context.Background(), twin.parents()[0], blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	if res[0].Head != want.Head || len(res[0].Skipped) != 2 || len(want.Skipped) != 2 {
		t.Errorf("%+v, alone %+v", res[0], want)
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	soft := make([]execution.Head, 2)
	for i := range soft {
		soft[i].Time = time.Unix(100, 0)
	}
	blocks := []execution.Block{{Time: time.Unix(100, 0)}, {Time: time.Unix(100, 0)}}
	if domain.Due(execution.Pace{}, soft, blocks) {
		t.Error("nothing is ordered, and a block is due")
	}
	blocks[1].Transactions = [][]byte{{1}}
	if !domain.Due(execution.Pace{}, soft, blocks) {
		t.Error("something is ordered for one, and no block is due")
	}
}
