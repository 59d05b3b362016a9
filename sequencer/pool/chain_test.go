package pool

import (
	"errors"
	"sync"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// fakeChain is a chain whose state the test sets. The real one is in package app.
type fakeChain struct {
	mu      sync.Mutex
	height  uint64 // of the next block; 0: none yet
	params  ordering.Params
	balance uint64
	fates   map[order.BundleID]ordering.Fate
	bad     map[string]bool // transactions
	seen    map[string]bool
}

func newFakeChain() *fakeChain {
	return &fakeChain{
		height: 10, params: ordering.DefaultParams(), balance: 1 << 40,
		fates: map[order.BundleID]ordering.Fate{}, bad: map[string]bool{}, seen: map[string]bool{},
	}
}

func (f *fakeChain) Rules() (*ordering.Rules, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.height == 0 {
		return nil, ErrNotReady
	}
	balance := f.balance
	return &ordering.Rules{
		ChainID: chainID, Height: f.height, Params: f.params,
		Balance: func(order.Payer) uint64 { return balance },
		Fate: func(id order.BundleID) (ordering.Fate, bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			fate, ok := f.fates[id]
			return fate, ok
		},
	}, nil
}

var errTx = errors.New("bad transaction")

func (f *fakeChain) CheckTx(raw []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bad[string(raw)] || f.seen[string(raw)] {
		return errTx
	}
	f.seen[string(raw)] = true
	return nil
}

func (f *fakeChain) Recheck() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.seen)
}

func (f *fakeChain) set(edit func(*fakeChain)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(f)
}
