package engine

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
)

// The client builds a block of all its transactions or of none: one that it refuses has
// to be found and left out. Which are left out depends on the order and the state alone,
// never on what the client says about it:
//
// Transactions are taken in order. One that cannot apply for what it is, is left out
// before. The others are tried; where the client refuses, the first that it refuses is
// found by trying shorter blocks, left out, and the rest tried again. What is certain to
// be refused after what stands before it (its nonce is another, its fee too low) is
// left out without a try.
//
// Each try makes the client execute the block once more, so there is a limit, lest a list
// of refused transactions, which cost their senders nothing here, hold the chain up. From
// the transaction that is the maxRefused-th to be refused on, only those are taken that
// are sure to apply by the state before the block: of ordinary accounts, with the right
// nonce, with funds and room for all that they and those before may use. After
// another maxRefused, which sure ones hardly yield, the block ends. All that is left out
// for the limit may be tried again in a later block.

const (
	maxRefused = 24
	// maxBody is that of the embedded EVM: below EIP-7934's bound.
	maxBody = params.MaxBlockSize - 1_000_000
)

var (
	errSize    = fmt.Errorf("block is full: %d bytes of transactions", maxBody)
	errLimit   = fmt.Errorf("the client refused %d transactions of the block before: only those are taken that are sure to apply", maxRefused)
	errRefused = errors.New("refused by the execution client")
)

// draft is a block's transactions while it is found out which of them apply.
type draft struct {
	candidates []candidate
	gasLimit   uint64
	free       uint64 // of it, for the candidates

	facts *facts // nil until something was refused
	// refused are candidates that the client refused, by their place.
	refused map[int]error
	// The room that was left at a candidate, the last that was refused.
	roomAt  int
	room    uint64
	sureAt  int // from here on only sure ones are taken
	endedAt int // from here on none
}

// facts are what the state before the block says of the candidates.
type facts struct {
	baseFee  *uint256.Int
	used     uint64 // gas, by an empty block
	accounts map[common.Address]account
}

// account is a sender's.
type account struct {
	nonce    uint64
	balance  *uint256.Int
	contract bool // has code that is no delegation: it can send nothing
	// tangled says that others' transactions may change its nonce and take from its
	// balance: it is delegated, or may become so in this block (EIP-7702).
	tangled bool
}

func newDraft(all []candidate, gasLimit, reserved uint64) *draft {
	free := gasLimit - min(reserved, gasLimit)
	return &draft{candidates: all, gasLimit: gasLimit, free: free, refused: map[int]error{}, room: free, sureAt: len(all), endedAt: len(all)}
}

// refuse notes that the client refused a candidate, where the gas used before was used.
func (d *draft) refuse(at int, used uint64) {
	c := d.candidates[at]
	d.roomAt, d.room = at, d.gasLimit-min(used, d.gasLimit)
	reason := errRefused
	switch account := d.facts.accounts[c.from]; {
	case c.tx.Gas() > d.room:
		reason = core.ErrGasLimitReached
	case !account.tangled: // its nonce and fee are right
		reason = core.ErrInsufficientFunds
	}
	d.refused[at] = reason
	switch len(d.refused) {
	case maxRefused:
		d.sureAt = at + 1
	case 2 * maxRefused:
		d.endedAt = at + 1
	}
}

// pick returns the places of the candidates to try, and why the others are left out.
func (d *draft) pick() (kept []int, skipped []execution.Skipped) {
	t := tally{gas: d.free, sent: map[common.Address]uint64{}, spent: map[common.Address]*uint256.Int{}}
	for i, c := range d.candidates {
		if i == d.roomAt {
			t.gas = d.room
		}
		if err := d.leaveOut(i, &t); err != nil {
			skipped = append(skipped, execution.Skipped{Index: c.index, Reason: err.Error(), Retry: mayRetry(err)})
			continue
		}
		t.add(c)
		kept = append(kept, i)
	}
	return kept, skipped
}

// mayRetry reports whether what was left out for that reason may apply later.
func mayRetry(err error) bool {
	return errors.Is(err, core.ErrNonceTooHigh) || errors.Is(err, core.ErrGasLimitReached) || errors.Is(err, errSize) || errors.Is(err, errLimit)
}

// leaveOut says why a candidate is left out behind those of the tally, if it is.
func (d *draft) leaveOut(i int, t *tally) error {
	c := d.candidates[i]
	switch {
	case d.refused[i] != nil:
		return d.refused[i]
	case i >= d.endedAt:
		return errLimit
	case t.size+len(c.raw) > maxBody:
		return errSize
	case c.tx.Gas() > d.free || (i >= d.roomAt && c.tx.Gas() > d.room):
		return core.ErrGasLimitReached
	case d.facts == nil:
		return nil
	}
	a := d.facts.accounts[c.from]
	nonce := a.nonce + t.sent[c.from]
	switch {
	case c.tx.GasFeeCapIntCmp(d.facts.baseFee.ToBig()) < 0:
		return fmt.Errorf("%w: max fee per gas %s, base fee %s", core.ErrFeeCapTooLow, c.tx.GasFeeCap(), d.facts.baseFee)
	case a.contract:
		return core.ErrSenderNoEOA
	case c.tx.Nonce() < nonce:
		return fmt.Errorf("%w: address %s, tx: %d state: %d", core.ErrNonceTooLow, c.from, c.tx.Nonce(), nonce)
	case c.tx.Nonce() > nonce && !a.tangled:
		return fmt.Errorf("%w: address %s, tx: %d state: %d", core.ErrNonceTooHigh, c.from, c.tx.Nonce(), nonce)
	case i >= d.sureAt && !t.sure(c, a):
		return errLimit
	}
	return nil
}

// tally sums up the candidates taken so far.
type tally struct {
	size  int
	gas   uint64 // left, if each used all that it may
	sent  map[common.Address]uint64
	spent map[common.Address]*uint256.Int // at most
}

func (t *tally) add(c candidate) {
	t.size += len(c.raw)
	t.gas -= min(t.gas, c.tx.Gas())
	t.sent[c.from]++
	spent := t.spent[c.from]
	if spent == nil {
		spent = new(uint256.Int)
		t.spent[c.from] = spent
	}
	if _, overflow := spent.AddOverflow(spent, c.cost); overflow {
		spent.SetAllOne()
	}
}

// sure reports whether a candidate applies whatever those before it do.
func (t *tally) sure(c candidate, a account) bool {
	if a.tangled || c.tx.Gas() > t.gas {
		return false
	}
	need := c.cost.Clone()
	if spent := t.spent[c.from]; spent != nil {
		if _, overflow := need.AddOverflow(need, spent); overflow {
			return false
		}
	}
	return a.balance.Cmp(need) >= 0
}
