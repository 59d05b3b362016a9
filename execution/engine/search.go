package engine

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/ethereum/go-ethereum/common"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
)

// fewest is how many transactions the client is given at least, behind those that it took.
const fewest = 256

// make makes the client build the block, without the transactions that do not apply.
func (o *OP) make(ctx context.Context, s site, all []candidate) (*made, []execution.Skipped, error) {
	d := newDraft(all, uint64(s.attributes.GasLimit), s.reserved)
	// Where one was refused more often follow soon, and the client decodes all that it is
	// given before it looks at the first: it is given a few, and more when it takes them.
	few := len(all)
	for {
		places, skipped := d.pick()
		n := min(few, len(places))
		txs := make([]candidate, n)
		for i, place := range places[:n] {
			txs[i] = all[place]
		}
		built, err := o.build(ctx, s, txs)
		var refused *refusedError
		if err == nil && n < len(places) {
			few *= 4
			continue
		}
		if !errors.As(err, &refused) {
			return built, skipped, err
		}
		// Nearly all blocks get by without looking at the state.
		if d.facts == nil {
			if d.facts, err = o.facts(ctx, s, all); err != nil {
				return nil, nil, err
			}
			continue
		}
		if len(txs) == 0 {
			return nil, nil, fmt.Errorf("%w: it refuses to build an empty block: %w", ErrAnswer, refused)
		}
		first, used, err := o.firstRefused(ctx, s, txs, d.facts.used, refused)
		if err != nil {
			return nil, nil, err
		}
		o.api.metrics.refused.Inc()
		o.log.Debug("execution client refuses a transaction", "block", s.number, "transaction", txs[first].tx.Hash(), "why", refused)
		d.refuse(places[first], used)
		few = 2*first + fewest
	}
}

// facts reads what the state before the block says of the candidates. The base fee is
// that of an empty block.
func (o *OP) facts(ctx context.Context, s site, all []candidate) (*facts, error) {
	empty, err := o.build(ctx, s, nil)
	if err != nil {
		return nil, fmt.Errorf("build an empty block: %w", err)
	}
	baseFee, overflow := uint256.FromBig(empty.baseFee.ToInt())
	if overflow {
		return nil, fmt.Errorf("%w: a base fee of more than 256 bits", ErrAnswer)
	}
	accounts, err := o.api.accounts(ctx, common.Hash(s.parent), all)
	return &facts{baseFee: baseFee, used: empty.gasUsed, accounts: accounts}, err
}

// firstRefused returns the first of the transactions that the client refuses, which all
// together it does, and the gas that the block uses before it, at least that of an empty
// one. What the client says of it is
// where the search begins, and no more: that it is the first is seen by a block that
// ends before it and is built, and one that ends with it and is not.
func (o *OP) firstRefused(ctx context.Context, s site, txs []candidate, empty uint64, refused *refusedError) (first int, used uint64, err error) {
	used = empty
	built, not := 0, len(txs) // a block of the first `built` is built, of the first `not` refused
	probe := func(n int) error {
		if n <= built || n >= not {
			return nil
		}
		block, err := o.build(ctx, s, txs[:n])
		var refused *refusedError
		switch {
		case err == nil:
			built, used = n, block.gasUsed
		case errors.As(err, &refused):
			not, err = n, nil
		}
		return err
	}
	if guess, ok := named(refused, txs); ok {
		if err := errors.Join(probe(guess), probe(guess+1)); err != nil {
			return 0, 0, err
		}
	}
	for built+1 < not {
		if err := probe((built + not) / 2); err != nil {
			return 0, 0, err
		}
	}
	// Clients answer so whatever goes wrong while they build, a failed read too: what one
	// of them left out for that, no other would.
	switch _, err := o.build(ctx, s, txs[:not]); {
	case err == nil:
		return 0, 0, fmt.Errorf("%w: it refuses transactions and then takes them", ErrUnreachable)
	case !errors.As(err, &refused):
		return 0, 0, err
	}
	return built, used, nil
}

var hashPattern = regexp.MustCompile(`0x[0-9a-fA-F]{64}`)

// named returns the transaction whose hash stands first in what the client says.
func named(refused *refusedError, txs []candidate) (int, bool) {
	hash := common.HexToHash(hashPattern.FindString(refused.Error()))
	for i, c := range txs {
		if c.tx.Hash() == hash {
			return i, true
		}
	}
	return 0, false
}
