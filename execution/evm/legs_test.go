package evm_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/terms"
)

// leg is a leg that a test orders; of one rollup where rollups is 0.
type leg struct {
	txs     [][]byte
	rollups int
	verdict execution.Verdict
}

// with puts terms before the transactions.
func with(t terms.Terms, txs ...[]byte) leg {
	return leg{txs: append([][]byte{t.Encode()}, txs...)}
}

func plain(txs ...[]byte) leg { return leg{txs: txs} }

// legged is the sequencer block of that height with the legs.
func legged(height uint64, legs ...leg) execution.Block {
	b := block(height)
	b.Legs = []execution.Leg{}
	for i, l := range legs {
		b.Transactions = append(b.Transactions, l.txs...)
		b.Legs = append(b.Legs, execution.Leg{
			Bundle: execution.Hash{byte(i + 1)}, Position: i, Transactions: len(l.txs), Verdict: l.verdict,
			Rollups: make([]execution.Hash, max(1, l.rollups)),
		})
	}
	return b
}

// applied returns the block with what was applied of it alone, as it could have come
// without legs.
func applied(b execution.Block, res execution.Result) execution.Block {
	skipped := map[int]bool{}
	for _, s := range res.Skipped {
		skipped[s.Index] = true
	}
	out := b
	out.Transactions, out.Legs = nil, nil
	for i, tx := range b.Transactions {
		if !skipped[i] && !terms.Is(tx) {
			out.Transactions = append(out.Transactions, tx)
		}
	}
	return out
}

// deployAngry is the creation of a contract that reverts with the reason "no".
func deployAngry() []byte {
	reason := common.FromHex("08c379a0" + fmt.Sprintf("%064x%064x", 0x20, 2) + "6e6f" + strings.Repeat("00", 30))
	runtime := append([]byte{0x60, byte(len(reason)), 0x60, 12, 0x5f, 0x39, 0x60, byte(len(reason)), 0x5f, 0xfd, 0, 0}, reason...)
	return append([]byte{0x60, byte(len(runtime)), 0x60, 10, 0x5f, 0x39, 0x60, byte(len(runtime)), 0x5f, 0xf3}, runtime...)
}

var (
	angry  = crypto.CreateAddress(evm.DevAccounts[9].Address, 0)
	logger = crypto.CreateAddress(evm.DevAccounts[9].Address, 1)
)

// withContracts returns the first block of a chain, with angry and logger in it.
func withContracts(t testing.TB) execution.Block {
	return block(1, dynamicFee(t, 9, 0, 300_000, nil, 0, deployAngry()), dynamicFee(t, 9, 1, 300_000, nil, 0, deployLogger))
}

// deployStore is the creation of a contract that stores the second word that it is called
// with under the first.
var deployStore = common.FromHex("60078060095f395ff3" + "6020355f355500")

var (
	store   = crypto.CreateAddress(evm.DevAccounts[9].Address, 2)
	factory = common.HexToAddress("0x4e59b44847b379578588920cA78FbF26c0B4956C")
)

func call(t testing.TB, from int, nonce uint64, to common.Address) []byte {
	return dynamicFee(t, from, nonce, 100_000, &to, 0, nil)
}

func hashOf(tx []byte) execution.Hash { return execution.Hash(crypto.Keccak256Hash(tx)) }

func TestTerms(t *testing.T) {
	t.Parallel()
	to := common.HexToAddress("0x1234")
	good, next := transfer(t, 0, 0, to), transfer(t, 0, 1, to)
	bad := call(t, 1, 0, angry)
	logs := call(t, 2, 0, logger)
	gap := transfer(t, 0, 7, to)
	apart := leg{txs: with(terms.Terms{AllOrNothing: true}, good).txs, rollups: 2}
	decided := func(v execution.Verdict) leg { return leg{txs: apart.txs, rollups: 2, verdict: v} }
	malformed := plain(append(terms.Terms{}.Encode(), 0), good)
	now := uint64(epoch.Unix())

	for _, test := range []struct {
		name    string
		legs    []leg
		skipped []int
		reason  string // of the first; %s is the first transaction's hash that is named
	}{
		{"all apply", []leg{with(terms.Terms{}, good, logs, next)}, nil, ""},
		{"nothing but terms", []leg{with(terms.Terms{})}, nil, ""},
		{"one reverts", []leg{with(terms.Terms{}, good, bad, next)}, []int{0, 1, 2, 3}, `transaction 2 (` + common.Hash(hashOf(bad)).Hex() + `) reverted: "no"`},
		{"one may revert", []leg{with(terms.Terms{MayRevert: [][32]byte{hashOf(bad)}}, good, bad, next)}, nil, ""},
		{"another may revert", []leg{with(terms.Terms{MayRevert: [][32]byte{hashOf(good)}}, good, bad)}, []int{0, 1, 2}, `reverted: "no"`},
		{"may revert, is not applicable", []leg{with(terms.Terms{MayRevert: [][32]byte{hashOf(gap)}}, good, gap)}, []int{0, 1, 2}, "transaction 2 (" + common.Hash(hashOf(gap)).Hex() + ") cannot be applied: nonce too high"},
		{"one is no transaction", []leg{with(terms.Terms{}, good, []byte("garbage"))}, []int{0, 1, 2}, "transaction 2 (" + common.Hash(hashOf([]byte("garbage"))).Hex() + "): decode transaction"},
		{"one comes twice", []leg{with(terms.Terms{}, good, good)}, []int{0, 1, 2}, "cannot be applied: nonce too low"},
		{"one is out of gas", []leg{with(terms.Terms{}, dynamicFee(t, 3, 0, 21_100, &logger, 0, nil))}, []int{0, 1}, "reverted: out of gas"},
		{"without legs before and behind", []leg{plain(good), with(terms.Terms{}, bad, logs), plain(next)}, []int{1, 2, 3}, `reverted: "no"`},
		{"refused, then applied by itself", []leg{with(terms.Terms{}, good, bad), plain(good, next)}, []int{0, 1, 2}, `reverted: "no"`},
		{"in this block", []leg{with(terms.Terms{MinBlock: 2, MaxBlock: 2, MinTime: now, MaxTime: now}, good)}, nil, ""},
		{"in a later block", []leg{with(terms.Terms{MinBlock: 3}, good)}, []int{0, 1}, "block 2 is before the first, 3"},
		{"in an earlier block", []leg{with(terms.Terms{MaxBlock: 1}, good)}, []int{0, 1}, "block 2 is after the last, 1"},
		{"at a later time", []leg{with(terms.Terms{MinTime: now + 1}, good)}, []int{0, 1}, "is before the first"},
		{"at an earlier time", []leg{with(terms.Terms{MaxTime: now - 1}, good)}, []int{0, 1}, "is after the last"},
		{"malformed", []leg{malformed, plain(good)}, []int{0, 1}, "terms are not valid"},
		{"terms behind a transaction", []leg{plain(good, terms.Terms{MaxBlock: 1}.Encode(), next)}, []int{1}, "terms: they stand first in a leg"},
		{"terms twice", []leg{with(terms.Terms{}, terms.Terms{}.Encode(), good)}, []int{0, 1, 2}, "terms: they stand first in a leg"},
		{"all or nothing, alone", []leg{with(terms.Terms{AllOrNothing: true}, good)}, nil, ""},
		{"all or nothing over two rollups", []leg{apart, plain(good)}, []int{0, 1}, "all or nothing over rollups that are not executed together"},
		{"decided to apply", []leg{decided(execution.Apply)}, nil, ""},
		{"decided to refuse", []leg{decided(execution.Refuse), plain(good)}, []int{0, 1}, "another leg of its bundle could not be"},
		{"no leg of all or nothing, over two rollups", []leg{{txs: with(terms.Terms{}, good).txs, rollups: 2, verdict: execution.Refuse}}, nil, ""},
		{"legs without transactions", []leg{plain(), with(terms.Terms{}, bad), plain(), plain(good)}, []int{0, 1}, `reverted: "no"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, twin := open(t, t.TempDir()), open(t, t.TempDir())
			execute(t, c, withContracts(t))
			execute(t, twin, withContracts(t))
			b := legged(2, test.legs...)
			tried := speculate(t, c, b)
			res := execute(t, c, b)
			var skipped []int
			for _, s := range res.Skipped {
				skipped = append(skipped, s.Index)
				if s.Retry {
					t.Errorf("transaction %d of a leg with terms may be tried again", s.Index)
				}
			}
			if !slices.Equal(skipped, test.skipped) {
				t.Fatalf("skipped %+v, want %v", res.Skipped, test.skipped)
			}
			if len(skipped) > 0 && !strings.Contains(res.Skipped[0].Reason, test.reason) {
				t.Errorf("skipped for %q, want %q", res.Skipped[0].Reason, test.reason)
			}
			if !slices.Equal(tried, res.Outcomes) {
				t.Errorf("tried %x, executed %x", tried, res.Outcomes)
			}
			for i, o := range res.Outcomes {
				if slices.Contains(skipped, i) != (o == execution.Outcome{}) {
					t.Errorf("transaction %d has outcome %x, skipped %v", i, o, skipped)
				}
			}
			if head := execute(t, twin, applied(b, res)).Head; head != res.Head {
				t.Errorf("head %+v, of what was applied alone %+v", res.Head, head)
			}
		})
	}
}

// A block with legs is the block of what was applied of them, and geth's own processor
// accepts it: any client of Ethereum executes it without knowing of legs. Whether it was
// tried out before makes no difference.
func TestLegsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	c, twin := open(t, t.TempDir()), open(t, t.TempDir())
	first := withContracts(t)
	first.Transactions = append(first.Transactions, dynamicFee(t, 9, 2, 300_000, nil, 0, deployStore))
	execute(t, c, first)
	execute(t, twin, first)
	rng := rand.New(rand.NewPCG(5, 7))
	nonces := make([]uint64, 9)
	to := common.HexToAddress("0x1234")
	random := func(guess []uint64) []byte {
		from := rng.IntN(len(guess))
		nonce := guess[from]
		if rng.IntN(12) == 0 {
			nonce += uint64(rng.IntN(3))
		}
		guess[from] = nonce + 1
		word := func() []byte { return common.LeftPadBytes([]byte{byte(rng.IntN(3))}, 32) }
		switch rng.IntN(16) {
		case 8, 9, 10, 11: // slots that are set, cleared and set again: gas by what they were before
			return dynamicFee(t, from, nonce, 100_000, &store, 0, append(word(), word()...))
		case 12, 13: // contracts that are made where one was, is, or was destroyed at once
			code := [][]byte{common.FromHex("33ff"), deployStore}[rng.IntN(2)]
			return dynamicFee(t, from, nonce, 300_000, &factory, 0, append(word(), code...))
		case 14: // an account becomes a contract, or none again
			at := []common.Address{store, {}}[rng.IntN(2)]
			auth, err := types.SignSetCode(key(t, 8), types.SetCodeAuthorization{ChainID: *uint256.NewInt(chainID), Address: at, Nonce: nonces[8]})
			if err != nil {
				t.Fatal(err)
			}
			return sign(t, key(t, from), &types.SetCodeTx{
				ChainID: uint256.NewInt(chainID), Nonce: nonce, Gas: 200_000, To: evm.DevAccounts[8].Address, Data: append(word(), word()...),
				GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(10_000_000_000), AuthList: []types.SetCodeAuthorization{auth},
			})
		case 15: // too little gas, mostly
			return dynamicFee(t, from, nonce, 21_000+uint64(rng.IntN(30_000)), &store, 0, append(word(), word()...))
		case 0:
			return call(t, from, nonce, angry)
		case 1, 2:
			return call(t, from, nonce, logger)
		case 3:
			return dynamicFee(t, from, nonce, 300_000, nil, 0, deployLogger)
		case 4:
			fresh := common.BigToAddress(new(big.Int).SetUint64(rng.Uint64()))
			return transfer(t, from, nonce, fresh)
		}
		return transfer(t, from, nonce, to)
	}
	legsApplied, legsRefused := 0, 0
	for height := uint64(2); height < 60; height++ {
		var legs []leg
		for range rng.IntN(12) {
			guess := slices.Clone(nonces)
			var l leg
			for range 1 + rng.IntN(4) {
				l.txs = append(l.txs, random(guess))
			}
			if rng.IntN(3) > 0 {
				var x terms.Terms
				for _, tx := range l.txs {
					if rng.IntN(3) == 0 {
						x.MayRevert = append(x.MayRevert, hashOf(tx))
					}
				}
				l = with(x, l.txs...)
			}
			legs = append(legs, l)
			nonces = guess // as if it would apply
		}
		b := legged(height, legs...)
		cut := rng.IntN(len(legs) + 1)
		first := legged(height, legs[:cut]...)
		tried := speculate(t, c, first)
		rest := legged(height, legs[cut:]...)
		more, err := c.ExtendLegs(t.Context(), session(t, c).Soft.Hash, rest.Transactions, rest.Legs)
		if err != nil {
			t.Fatal(err)
		}
		parent := c.BlockChain().CurrentBlock()
		shown, _ := pending(t, c).Block()
		res := execute(t, c, b)
		if got := append(tried, more...); !slices.Equal(got, res.Outcomes) {
			t.Errorf("block %d: what was tried is not what was executed", height)
		}
		made := c.BlockChain().GetBlockByHash(res.Head.Hash)
		if shown.ReceiptHash() != made.ReceiptHash() {
			t.Errorf("block %d: the pending block had other receipts", height)
		}
		if _, err := c.BlockChain().ProcessBlock(context.Background(), parent.Root, made, core.ExecuteConfig{}); err != nil {
			t.Errorf("block %d: %v", height, err)
		}
		if head := execute(t, twin, applied(b, res)).Head; head != res.Head {
			t.Fatalf("block %d: head %+v, of what was applied alone %+v", height, res.Head, head)
		}
		n := 0
		for _, l := range b.Legs {
			if terms.Is(b.Transactions[n]) {
				if res.Outcomes[n] == (execution.Outcome{}) {
					legsRefused++
				} else {
					legsApplied++
				}
			}
			n += l.Transactions
		}
		state, err := c.BlockChain().State()
		if err != nil {
			t.Fatal(err)
		}
		for i := range nonces {
			nonces[i] = state.GetNonce(evm.DevAccounts[i].Address)
		}
	}
	if legsApplied < 20 || legsRefused < 20 {
		t.Errorf("%d legs with terms applied and %d refused: the test shows little", legsApplied, legsRefused)
	}
}

// What legs that are undone may cost is bounded, and takes no room from others.
func TestLegsAreBounded(t *testing.T) {
	t.Parallel()
	to := common.HexToAddress("0x1234")
	burn := func(from int, nonce uint64) []byte { // of 16.7 million gas; 60 million are in a block, half of it for legs that are not applied
		return dynamicFee(t, from, nonce, params.MaxTxGas, nil, 0, []byte{0xfe})
	}
	mayRevert := func(txs ...[]byte) (t terms.Terms) {
		for _, tx := range txs {
			t.MayRevert = append(t.MayRevert, hashOf(tx))
		}
		return t
	}
	t.Run("gas", func(t *testing.T) {
		t.Parallel()
		c := open(t, t.TempDir())
		one := burn(0, 0)
		wasteful := with(mayRevert(one), one, transfer(t, 1, 99, to)) // not applied at its end
		res := execute(t, c, legged(1,
			wasteful,
			with(terms.Terms{}, burn(2, 0)), // is not tried any more
			with(terms.Terms{}, transfer(t, 3, 0, to)), // is small enough
			plain(burn(4, 0), burn(5, 0), burn(6, 0)),  // there is room as before
			wasteful,
		))
		var applied []int
		for i, o := range res.Outcomes {
			if o != (execution.Outcome{}) {
				applied = append(applied, i)
			}
		}
		if !slices.Equal(applied, []int{5, 6, 7, 8, 9}) {
			t.Errorf("applied %v of %+v", applied, res.Skipped)
		}
		const usedUp = "wants 16777216 gas: the gas for legs that are not applied is used up"
		for i, want := range map[int]string{0: "nonce too high", 3: usedUp, 5: usedUp} {
			if got := res.Skipped[i].Reason; !strings.Contains(got, want) {
				t.Errorf("transaction %d skipped for %q, want %q", res.Skipped[i].Index, got, want)
			}
		}
	})
	t.Run("bytes", func(t *testing.T) {
		t.Parallel()
		genesis := evm.DevGenesis(chainID, nil)
		genesis.GasLimit = 1_000_000_000
		c := openGenesis(t, t.TempDir(), genesis)
		var txs [][]byte
		for nonce := range uint64(70) {
			txs = append(txs, dynamicFee(t, 2, nonce, 1_300_000, &to, 0, make([]byte, 120_000)))
		}
		res := execute(t, c, legged(1, with(terms.Terms{}, txs...), plain(transfer(t, 1, 0, to))))
		if len(res.Skipped) != 71 || !strings.Contains(res.Skipped[0].Reason, "block is full") {
			t.Errorf("skipped %d transactions, want the leg", len(res.Skipped))
		}
	})
}

// Legs that do not fit the transactions are the caller's fault; so is a verdict that is
// not this chain's.
func TestWrongLegs(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	to := common.HexToAddress("0x1234")
	head := session(t, c).Soft
	wrong := legged(1, leg{txs: with(terms.Terms{AllOrNothing: true}, transfer(t, 0, 5, to)).txs, rollups: 2, verdict: execution.Apply})
	for _, legs := range [][]execution.Leg{{}, {{Transactions: 1}}, {{Transactions: 3}}, {{Transactions: -1}, {Transactions: 3}}, wrong.Legs} {
		b := wrong
		b.Legs = legs
		if _, err := c.Execute(t.Context(), head.Hash, b); err == nil {
			t.Errorf("legs %+v: want an error", legs)
		}
		if _, err := c.Speculate(t.Context(), head.Hash, b); err == nil {
			t.Errorf("speculate on legs %+v: want an error", legs)
		}
	}
	if got := session(t, c).Soft; got != head {
		t.Errorf("soft head %+v, want %+v", got, head)
	}
}

// FuzzLegs: no bytes in a leg with terms stop the chain, and what geth's processor would
// refuse never gets into a block.
func FuzzLegs(f *testing.F) {
	to := common.HexToAddress("0x1234")
	f.Add(terms.Terms{}.Encode(), transfer(f, 0, 0, to), call(f, 1, 0, angry))
	f.Add(terms.Terms{AllOrNothing: true, MaxBlock: 9}.Encode(), []byte{}, []byte("\xffordo"))
	f.Add([]byte("\xffordo\x02"), transfer(f, 0, 0, to), transfer(f, 0, 1, to))
	c := open(f, f.TempDir())
	execute(f, c, withContracts(f))
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		parent := c.BlockChain().CurrentBlock()
		txs := [][]byte{first, second, third}
		res := execute(t, c, legged(evm.SequencerHeight(parent)+1, leg{txs: txs}, leg{txs: txs, rollups: 2}, leg{txs: txs[1:]}))
		made := c.BlockChain().GetBlockByHash(res.Head.Hash)
		if _, err := c.BlockChain().ProcessBlock(context.Background(), parent.Root, made, core.ExecuteConfig{}); err != nil {
			t.Fatal(err)
		}
		if len(made.Transactions())+len(res.Skipped) > 8 {
			t.Errorf("%d transactions applied and %d skipped of 8", len(made.Transactions()), len(res.Skipped))
		}
	})
}
