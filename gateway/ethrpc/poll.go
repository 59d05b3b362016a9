package ethrpc

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

const (
	// maxPolled is how many accepted transactions are remembered for filters, the newest, and
	// maxPolledBytes how much they are together.
	maxPolled      = 4096
	maxPolledBytes = 8 << 20
)

// pollers are the filters that clients ask for changes. Those of blocks and logs
// are geth's; those of accepted transactions are kept here.
type pollers struct {
	*filters.FilterAPI
	evm      EVM
	accepted *ordorpc.Recent[*types.Transaction]
	living   ordorpc.Filters[polled]
}

// polled is a filter: where it is among accepted transactions, if it is of those.
type polled struct {
	own, full bool
	place     uint64
}

func newPollers(api *filters.FilterAPI, evm EVM) *pollers {
	size := func(tx *types.Transaction) int { return int(tx.Size()) }
	return &pollers{FilterAPI: api, evm: evm, accepted: ordorpc.NewRecent(maxPolled, maxPolledBytes, size)}
}

// NewFilter makes a filter of logs.
func (p *pollers) NewFilter(ctx context.Context, crit filters.FilterCriteria) (rpc.ID, error) {
	if err := bounded(crit); err != nil {
		return "", err
	}
	return p.living.Make(ctx, polled{}, func() (rpc.ID, error) { return p.FilterAPI.NewFilter(settled(crit)) })
}

// NewBlockFilter makes a filter of block hashes.
func (p *pollers) NewBlockFilter(ctx context.Context) (rpc.ID, error) {
	return p.living.Make(ctx, polled{}, func() (rpc.ID, error) { return p.FilterAPI.NewBlockFilter(), nil })
}

// NewPendingTransactionFilter makes a filter of accepted transactions.
func (p *pollers) NewPendingTransactionFilter(ctx context.Context, full *bool) (rpc.ID, error) {
	its := polled{own: true, full: full != nil && *full, place: p.accepted.Place()}
	return p.living.Make(ctx, its, func() (rpc.ID, error) { return rpc.NewID(), nil })
}

// GetFilterChanges returns what is new since the last time.
func (p *pollers) GetFilterChanges(id rpc.ID) (any, error) {
	var f polled
	var txs []*types.Transaction
	known := p.living.Ask(id, func(its *polled) {
		if f = *its; f.own {
			txs, its.place = p.accepted.Since(f.place, maxPolled)
		}
	})
	switch {
	case !known: // geth, which looks seldom, would let it live on
		return nil, ordorpc.ErrNoFilter
	case !f.own:
		return p.FilterAPI.GetFilterChanges(id)
	case f.full:
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
	if f, found := p.living.Remove(id); found && f.own {
		return true
	}
	return p.FilterAPI.UninstallFilter(id)
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
