package ethrpc

import (
	"context"
	"errors"
	"math/big"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	// maxFilters bounds the filters made within their lifetime and not taken away:
	// each collects what its owner may never come to fetch.
	maxFilters = 10_000
	// maxPolled is how many transactions a filter keeps, the newest.
	maxPolled = 4096
	// filterTimeout is how long a filter lives without being asked, as in geth.
	filterTimeout = 5 * time.Minute
)

var errFilters = errors.New("too many filters, uninstall some or try again later")

// pollers are the filters that clients ask for changes. Those of blocks and logs
// are geth's; those of accepted transactions are kept here.
type pollers struct {
	*filters.FilterAPI
	evm EVM

	mu      sync.Mutex
	made    []time.Time // when geth's living filters were made, oldest first
	pending map[rpc.ID]*pendingFilter
}

type pendingFilter struct {
	full  bool
	txs   []*types.Transaction
	asked time.Time
}

func newPollers(api *filters.FilterAPI, evm EVM) *pollers {
	return &pollers{FilterAPI: api, evm: evm, pending: make(map[rpc.ID]*pendingFilter)}
}

// room forgets what has timed out, and refuses where there is too much else.
func (p *pollers) room(now time.Time) error {
	for len(p.made) > 0 && now.Sub(p.made[0]) > filterTimeout {
		p.made = p.made[1:]
	}
	for id, f := range p.pending {
		if now.Sub(f.asked) > filterTimeout {
			delete(p.pending, id)
		}
	}
	if len(p.made)+len(p.pending) >= maxFilters {
		return errFilters
	}
	return nil
}

func (p *pollers) make() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if err := p.room(now); err != nil {
		return err
	}
	p.made = append(p.made, now)
	return nil
}

// NewFilter makes a filter of logs.
func (p *pollers) NewFilter(crit filters.FilterCriteria) (rpc.ID, error) {
	if err := bounded(crit); err != nil {
		return "", err
	}
	if err := p.make(); err != nil {
		return "", err
	}
	return p.FilterAPI.NewFilter(settled(crit))
}

// NewBlockFilter makes a filter of block hashes.
func (p *pollers) NewBlockFilter() (rpc.ID, error) {
	if err := p.make(); err != nil {
		return "", err
	}
	return p.FilterAPI.NewBlockFilter(), nil
}

// NewPendingTransactionFilter makes a filter of accepted transactions.
func (p *pollers) NewPendingTransactionFilter(full *bool) (rpc.ID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if err := p.room(now); err != nil {
		return "", err
	}
	id := rpc.NewID()
	p.pending[id] = &pendingFilter{full: full != nil && *full, asked: now}
	return id, nil
}

// accepted notes a transaction for the filters of such.
func (p *pollers) accepted(tx *types.Transaction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for id, f := range p.pending {
		if now.Sub(f.asked) > filterTimeout {
			delete(p.pending, id)
			continue
		}
		if len(f.txs) == maxPolled {
			f.txs = f.txs[1:]
		}
		f.txs = append(f.txs, tx)
	}
}

// GetFilterChanges returns what is new since the last time.
func (p *pollers) GetFilterChanges(id rpc.ID) (any, error) {
	p.mu.Lock()
	f := p.pending[id]
	if f == nil {
		p.mu.Unlock()
		return p.FilterAPI.GetFilterChanges(id)
	}
	txs := f.txs
	f.txs, f.asked = nil, time.Now()
	p.mu.Unlock()
	if f.full {
		return allPendingJSON(txs)
	}
	hashes := make([]common.Hash, len(txs))
	for i, tx := range txs {
		hashes[i] = tx.Hash()
	}
	return hashes, nil
}

// UninstallFilter takes a filter away.
func (p *pollers) UninstallFilter(id rpc.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending[id] != nil {
		delete(p.pending, id)
		return true
	}
	found := p.FilterAPI.UninstallFilter(id)
	if found && len(p.made) > 0 {
		p.made = p.made[1:]
	}
	return found
}

// GetLogs searches logs. Those of the pending block come last and, as all that is not in
// a block, without the hash of one.
func (p *pollers) GetLogs(ctx context.Context, crit filters.FilterCriteria) ([]any, error) {
	if err := bounded(crit); err != nil {
		return nil, err
	}
	out := []any{}
	if !isPendingNumber(crit.FromBlock) {
		logs, err := p.FilterAPI.GetLogs(ctx, settled(crit))
		if err != nil {
			return nil, err
		}
		for _, log := range logs {
			out = append(out, log)
		}
	}
	if !isPendingNumber(crit.ToBlock) || crit.BlockHash != nil {
		return out, nil
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, receipts := pending.Block()
	for i, tx := range block.Transactions() {
		for _, log := range receipts[i].Logs {
			if matches(log, crit) {
				out = append(out, pendingLog(receipts[i], tx.Hash(), log, i))
			}
		}
	}
	return out, nil
}

func isPendingNumber(n *big.Int) bool {
	return n != nil && n.IsInt64() && n.Int64() == rpc.PendingBlockNumber.Int64()
}

// settled takes pending for latest, for geth, who knows no such block.
func settled(crit filters.FilterCriteria) filters.FilterCriteria {
	for _, at := range []**big.Int{&crit.FromBlock, &crit.ToBlock} {
		if isPendingNumber(*at) {
			*at = big.NewInt(rpc.LatestBlockNumber.Int64())
		}
	}
	return crit
}
