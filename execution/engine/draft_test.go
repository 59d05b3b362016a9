package engine

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
)

var alice, bob, carol = common.Address{1}, common.Address{2}, common.Address{3}

// from makes a candidate that costs up to 10 in all.
func from(who common.Address, nonce, gas uint64) candidate {
	return candidate{
		raw: []byte{1}, from: who, cost: uint256.NewInt(10),
		tx: types.NewTx(&types.DynamicFeeTx{Nonce: nonce, Gas: gas, GasFeeCap: big.NewInt(5), GasTipCap: big.NewInt(1)}),
	}
}

func known(accounts map[common.Address]account) *facts {
	return &facts{baseFee: uint256.NewInt(5), accounts: accounts}
}

func holds(amount uint64) account { return account{balance: uint256.NewInt(amount)} }

// picks wants these to be tried.
func picks(t *testing.T, what string, d *draft, want ...int) {
	t.Helper()
	if got, _ := d.pick(); !slices.Equal(got, want) {
		t.Errorf("%s: picks %v, want %v", what, got, want)
	}
}

func TestDraftFollowsNonces(t *testing.T) {
	t.Parallel()
	d := newDraft([]candidate{from(alice, 1, 100), from(alice, 0, 100), from(alice, 0, 100), from(alice, 1, 100), from(alice, 1, 100), from(bob, 7, 100)}, 1000, 0)
	picks(t, "nothing is known", d, 0, 1, 2, 3, 4, 5)
	d.facts = known(map[common.Address]account{alice: holds(0), bob: {nonce: 7, balance: new(uint256.Int)}})
	picks(t, "the state is known", d, 1, 3, 5)
	_, skipped := d.pick()
	if !skipped[0].Retry || skipped[1].Retry {
		t.Errorf("skipped %+v: a nonce too high may come again, one too low not", skipped)
	}
	// Where the first has no funds, its nonce is free for the next one.
	d.refuse(1, 0)
	picks(t, "one was refused", d, 2, 3, 5)
	if !errors.Is(d.refused[1], core.ErrInsufficientFunds) {
		t.Errorf("refused for %v", d.refused[1])
	}
}

func TestDraftLeavesTangledAccountsToTheClient(t *testing.T) {
	t.Parallel()
	d := newDraft([]candidate{from(alice, 3, 100), from(alice, 1, 100), from(alice, 0, 100)}, 1000, 0)
	d.facts = known(map[common.Address]account{alice: {nonce: 1, balance: uint256.NewInt(100), tangled: true}})
	picks(t, "another may raise its nonce", d, 0)
	d.refuse(0, 0)
	picks(t, "nobody did", d, 1)
}

func TestDraftKnowsTheRoom(t *testing.T) {
	t.Parallel()
	d := newDraft([]candidate{from(alice, 0, 900), from(bob, 0, 600), from(bob, 0, 500), from(carol, 0, 399), from(carol, 0, 1000)}, 1000, 50)
	d.facts = known(map[common.Address]account{alice: holds(100), bob: holds(100), carol: holds(100)})
	picks(t, "at first", d, 0, 1, 3)
	d.refuse(1, 400) // alice's used that much
	if !errors.Is(d.refused[1], core.ErrInsufficientFunds) {
		t.Errorf("refused for %v: 600 are left", d.refused[1])
	}
	picks(t, "600 are left", d, 0, 2, 3)
	d.refuse(2, 550)
	if !errors.Is(d.refused[2], core.ErrGasLimitReached) {
		t.Errorf("refused for %v: 450 are left", d.refused[2])
	}
	picks(t, "450 are left", d, 0, 3)
}

// TestDraftEndsWithSureOnes: after the limit only what nothing can keep from applying.
func TestDraftEndsWithSureOnes(t *testing.T) {
	t.Parallel()
	var all []candidate
	accounts := map[common.Address]account{alice: holds(25), bob: holds(100), carol: {balance: uint256.NewInt(100), tangled: true}}
	for i := range maxRefused {
		stranger := common.Address{9, byte(i)}
		accounts[stranger] = holds(0)
		all = append(all, from(stranger, 0, 1))
	}
	n := len(all)
	all = append(all, from(alice, 0, 100), from(alice, 1, 100), from(alice, 2, 100), from(carol, 0, 100), from(bob, 0, 500), from(bob, 0, 400))
	d := newDraft(all, 1000, 400)
	d.facts = known(accounts)
	for i := range n {
		d.refuse(i, 0)
	}
	d.room = 650
	// alice pays for two, carol may lose all to another, bob's first has no room for sure.
	picks(t, "after the limit", d, n, n+1, n+5)
	_, skipped := d.pick()
	for _, s := range skipped[n:] {
		if !s.Retry {
			t.Errorf("left out for the limit and not to come again: %+v", s)
		}
	}
	for i := range maxRefused {
		d.refused[1000+i] = errRefused
	}
	delete(d.refused, 1000)
	d.refuse(n+1, 0)
	picks(t, "after the limit once more", d, n)
}
