package evm

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

// A leg with terms is tried first, on a fork of the block, and applied if nothing spoke
// against it. One that is not applied costs whoever sent it no gas, only the bytes in the
// order. So that nobody can slow down the rollup with such legs, or fill its blocks for
// nothing, it is a rule of the chain that all of them in a block together use half of the
// block's gas limit at most, beside what is applied: what blocks hold, too, when they do
// not get dearer (EIP-1559). A leg whose next transaction might use more than what is left
// of it is not applied.

// maxReason bounds what a contract says of why it reverts.
const maxReason = 200

// Why a leg with terms is not applied, beside its own transactions.
var (
	errTogether = errors.New("all or nothing over rollups that are not executed together, or not all of whose legs say so")
	errOther    = errors.New("another leg of its bundle could not be")
	errWasted   = errors.New("the gas for legs that are not applied is used up in this block")
)

// termsOutcome is the outcome of the terms of a leg that was applied.
var termsOutcome = execution.Outcome(sha256.Sum256([]byte("ordo/evm/terms/applied/v1\x00")))

// part is a run of a block's transactions: a leg with terms, or any number of others.
type part struct {
	first int // in the block
	raw   [][]byte
	leg   *execution.Leg // with terms
}

// split parts a block's transactions into those that are applied one by one and those
// that are as one.
func split(raw [][]byte, legs []execution.Leg) (parts []part, err error) {
	if legs == nil {
		return []part{{raw: raw}}, nil
	}
	done, first := 0, 0 // transactions that are in parts, and in legs looked at
	for i := range legs {
		n := legs[i].Transactions
		if n < 0 || n > len(raw)-first {
			return nil, fmt.Errorf("leg %d of the block has %d transactions, %d are left", i, n, len(raw)-first)
		}
		if n > 0 && terms.Is(raw[first]) {
			if done < first {
				parts = append(parts, part{first: done, raw: raw[done:first]})
			}
			parts = append(parts, part{first: first, raw: raw[first : first+n], leg: &legs[i]})
			done = first + n
		}
		first += n
	}
	if first != len(raw) {
		return nil, fmt.Errorf("the block's legs have %d transactions, the block has %d", first, len(raw))
	}
	if done < first {
		parts = append(parts, part{first: done, raw: raw[done:]})
	}
	return parts, nil
}

// applyLeg applies a leg with terms, or skips all of it.
func (d *draft) applyLeg(leg execution.Leg, raw [][]byte, txs []*types.Transaction, failed []error) error {
	t, _, err := terms.Decode(raw[0])
	if err != nil {
		d.refuse(len(raw), err)
		return nil
	}
	verdict := execution.Undecided
	if t.AllOrNothing && len(leg.Rollups) > 1 {
		if verdict = leg.Verdict; verdict == execution.Undecided {
			d.refuse(len(raw), errTogether)
			return nil
		}
	}
	// A leg that is refused is tried all the same: so it was when that was decided, and
	// what it cost counts in the rest of the block.
	used, err := d.try(t, raw, txs, failed)
	switch {
	case err != nil && verdict == execution.Apply:
		return fmt.Errorf("leg %d of bundle %x is to be applied and cannot be: %w", leg.Index, leg.Bundle, err)
	case verdict == execution.Refuse:
		if err == nil {
			d.wasted += used
			err = errOther
		}
		if leg.Reason != "" {
			err = errors.New(leg.Reason)
		}
	}
	if err != nil {
		d.refuse(len(raw), err)
		return nil
	}
	return d.accept(t, raw, txs)
}

// refuse notes that the next n transactions, a leg, are not applied.
func (d *draft) refuse(n int, err error) {
	reason := "leg not applied: " + err.Error()
	for range n {
		d.skip(reason, false)
	}
}

// accept applies a leg that was tried.
func (d *draft) accept(t terms.Terms, raw [][]byte, txs []*types.Transaction) error {
	d.outcomes = append(d.outcomes, termsOutcome)
	for i := 1; i < len(raw); i++ {
		if err := d.addFor(t, txs[i], len(raw[i])); err != nil {
			return fmt.Errorf("transaction %s of a leg did something else than when it was tried: %w", txs[i].Hash(), err)
		}
		d.outcomes = append(d.outcomes, outcomeOf(d.receipts[len(d.receipts)-1]))
	}
	return nil
}

// try tries out a leg with terms, and returns the gas that it used. An error says why it is
// not to be applied; what it used is then counted.
func (b *body) try(t terms.Terms, raw [][]byte, txs []*types.Transaction, failed []error) (used uint64, err error) {
	if err := t.Allow(b.header.Number.Uint64(), b.header.Time); err != nil {
		return 0, err
	}
	for i := 1; i < len(raw); i++ {
		if failed[i] != nil {
			return 0, fmt.Errorf("transaction %d (%s): %w", i, crypto.Keccak256Hash(raw[i]), failed[i])
		}
	}
	fork, err := b.fork()
	if err != nil {
		return 0, err
	}
	defer fork.release()
	for i := 1; i < len(raw); i++ {
		used = fork.gas.Used() - b.gas.Used()
		if left := b.header.GasLimit/2 - b.wasted - used; txs[i].Gas() > left {
			err = fmt.Errorf("wants %d gas: %w", txs[i].Gas(), errWasted)
		} else {
			err = fork.addFor(t, txs[i], len(raw[i]))
		}
		if err != nil {
			b.wasted += fork.gas.Used() - b.gas.Used()
			return 0, fmt.Errorf("transaction %d (%s) %w", i, txs[i].Hash(), err)
		}
	}
	return fork.gas.Used() - b.gas.Used(), nil
}

// addFor applies a transaction of a leg under terms.
func (b *body) addFor(t terms.Terms, tx *types.Transaction, size int) error {
	result, err := b.add(tx, size)
	switch {
	case err != nil:
		return fmt.Errorf("cannot be applied: %w", err)
	case result.Failed() && !t.Tolerates(tx.Hash()):
		return fmt.Errorf("reverted: %s", revertReason(result))
	}
	return nil
}

// revertReason says why a transaction reverted, as far as it is known.
func revertReason(r *core.ExecutionResult) string {
	data := r.Revert()
	if !errors.Is(r.Err, vm.ErrExecutionReverted) {
		return r.Err.Error()
	}
	if reason, err := abi.UnpackRevert(data); err == nil {
		return fmt.Sprintf("%.*q", maxReason, reason)
	}
	if len(data) == 0 {
		return "no reason given"
	}
	return fmt.Sprintf("%#x", data[:min(len(data), maxReason/4)])
}
