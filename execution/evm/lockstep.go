package evm

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/terms"
)

var _ execution.Lockstep = (*Client)(nil)

// Begin implements execution.Lockstep. What the block is known to hold is decoded
// beforehand, for that goes faster all at once.
func (c *Client) Begin(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Making, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	soft, err := c.softHead(parent, b)
	if err != nil {
		return nil, fmt.Errorf("begin sequencer block %d: %w", b.Height, err)
	}
	body, err := begin(ctx, c.BlockChain(), soft, b)
	if err != nil {
		return nil, fmt.Errorf("begin sequencer block %d: %w", b.Height, err)
	}
	known := &c.speculation.known
	txs, failed := c.decodeBlock(body.signer, b)
	for i, raw := range b.Transactions {
		if failed[i] == nil {
			known.put(raw, txs[i])
		}
	}
	return &making{client: c, parent: parent, block: b, draft: draft{body: body}}, nil
}

// making is an execution.Making.
type making struct {
	client *Client
	parent execution.Hash
	block  execution.Block // without what is in it
	draft  draft
	trial  *trial // between Try and Keep
	over   bool
}

// trial is a leg that was tried.
type trial struct {
	raw   [][]byte
	txs   []*types.Transaction
	terms terms.Terms
	used  uint64
	err   error // why it cannot be applied
}

var (
	errOver    = errors.New("the block is not in the making any more")
	errTrial   = errors.New("a leg was tried and is neither kept nor given up")
	errNoTrial = errors.New("no leg was tried that could be kept")
)

// in runs f while nothing else uses the client.
func (m *making) in(f func() error) error {
	m.client.mu.Lock()
	defer m.client.mu.Unlock()
	switch {
	case m.client.closed:
		return ErrClosed
	case m.over:
		return errOver
	}
	if err := f(); err != nil {
		return fmt.Errorf("sequencer block %d: %w", m.block.Height, err)
	}
	return nil
}

// Add implements execution.Making.
func (m *making) Add(_ context.Context, leg execution.Leg, raw [][]byte) error {
	return m.in(func() error {
		if m.trial != nil {
			return errTrial
		}
		leg.Transactions = len(raw)
		parts, err := split(raw, []execution.Leg{leg})
		if err != nil {
			return err
		}
		txs, failed := decode(m.draft.signer, raw, nil, &m.client.speculation.known)
		for _, p := range parts {
			if err := m.draft.apply(p, txs, failed); err != nil {
				return err
			}
		}
		return nil
	})
}

// Try implements execution.Making.
func (m *making) Try(_ context.Context, leg execution.Leg, raw [][]byte) (ok bool, reason string, err error) {
	err = m.in(func() error {
		if m.trial != nil {
			return errTrial
		}
		if len(raw) == 0 || !terms.Is(raw[0]) {
			return fmt.Errorf("try leg %d of bundle %x: it has no terms", leg.Index, leg.Bundle)
		}
		m.trial = &trial{raw: raw}
		x := m.trial
		if x.terms, _, x.err = terms.Decode(raw[0]); x.err == nil {
			var failed []error
			x.txs, failed = decode(m.draft.signer, raw, nil, &m.client.speculation.known)
			x.used, x.err = m.draft.try(x.terms, raw, x.txs, failed)
		}
		if ok = x.err == nil; !ok {
			reason = x.err.Error()
		}
		return nil
	})
	return ok, reason, err
}

// Keep implements execution.Making.
func (m *making) Keep(_ context.Context, keep bool, reason string) error {
	return m.in(func() error {
		x := m.trial
		if x == nil || keep && x.err != nil {
			return errNoTrial
		}
		m.trial = nil
		if keep {
			return m.draft.accept(x.terms, x.raw, x.txs)
		}
		m.draft.wasted += x.used
		m.draft.refuse(len(x.raw), errors.New(reason))
		return nil
	})
}

// Commit implements execution.Making.
func (m *making) Commit(ctx context.Context) (res execution.Result, err error) {
	err = m.in(func() error {
		if m.trial != nil {
			return errTrial
		}
		// Execute may have come between.
		if _, err := m.client.softHead(m.parent, m.block); err != nil {
			return err
		}
		m.over = true
		defer m.draft.release()
		// The block's outcome must not hang on the caller giving up half way.
		built, err := m.draft.seal(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		res, err = m.client.finish(built)
		return err
	})
	return res, err
}

// Drop implements execution.Making.
func (m *making) Drop() {
	m.client.mu.Lock()
	defer m.client.mu.Unlock()
	if !m.over {
		m.over = true
		m.draft.release()
	}
}
