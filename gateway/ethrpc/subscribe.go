package ethrpc

import (
	"context"
	"errors"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/rpc"
)

// subscriptions are the kinds of eth_subscribe.
type subscriptions struct {
	*hub
	geth *rpc.Client
}

func isBlock(ev hubEvent) bool { return ev.block != nil }

// NewHeads sends the header of each new block.
func (s subscriptions) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	return s.subscribe(ctx, isBlock, func(ev hubEvent, send func(any)) { send(ev.block.Header) })
}

// Logs sends the logs of new blocks that match.
func (s subscriptions) Logs(ctx context.Context, crit filters.FilterCriteria) (*rpc.Subscription, error) {
	if err := bounded(crit); err != nil {
		return nil, err
	}
	return s.subscribe(ctx, isBlock, func(ev hubEvent, send func(any)) {
		for _, receipt := range ev.block.Receipts {
			for _, log := range receipt.Logs {
				if matches(log, crit) {
					send(log)
				}
			}
		}
	})
}

// maxAddresses bounds the addresses of a search for logs. Topics are bounded where the
// search is decoded.
const maxAddresses = 1000

// bounded refuses a search that asks for too much, in geth's words.
func bounded(crit filters.FilterCriteria) error {
	if len(crit.Addresses) > maxAddresses {
		return errors.New("exceed max addresses or topics per search position")
	}
	return nil
}

// matches follows eth_getLogs: any of the addresses, and at each position any of
// its topics; an empty list matches all.
func matches(log *types.Log, crit filters.FilterCriteria) bool {
	if len(crit.Addresses) > 0 && !slices.Contains(crit.Addresses, log.Address) || len(crit.Topics) > len(log.Topics) {
		return false
	}
	for i, any := range crit.Topics {
		if len(any) > 0 && !slices.Contains(any, log.Topics[i]) {
			return false
		}
	}
	return true
}

// NewPendingTransactions sends each accepted transaction: its hash, or all of it.
func (s subscriptions) NewPendingTransactions(ctx context.Context, full *bool) (*rpc.Subscription, error) {
	return s.subscribe(ctx, func(ev hubEvent) bool { return ev.tx != nil }, func(ev hubEvent, send func(any)) {
		if full == nil || !*full {
			send(ev.tx.Hash())
		} else if v, err := pendingJSON(ev.tx); err == nil {
			send(v)
		}
	})
}

// CertifiedTransactions sends each transaction that is certain to be ordered, its hash or
// all of it, as soon as that is known here: when the pending block takes it in, or at the
// latest when a block holds it.
func (s subscriptions) CertifiedTransactions(ctx context.Context, full *bool) (*rpc.Subscription, error) {
	s.wantCertified()
	return s.subscribe(ctx, func(ev hubEvent) bool { return len(ev.certified) > 0 }, func(ev hubEvent, send func(any)) {
		for _, tx := range ev.certified {
			if full == nil || !*full {
				send(tx.Hash())
			} else if v, err := pendingJSON(tx); err == nil {
				send(v)
			}
		}
	})
}

// TransactionReceipts sends the receipts of each new block: those asked for, or all.
func (s subscriptions) TransactionReceipts(ctx context.Context, query *filters.TransactionReceiptsQuery) (*rpc.Subscription, error) {
	var hashes []common.Hash
	if query != nil {
		hashes = query.TransactionHashes
	}
	if len(hashes) > 200 {
		return nil, errors.New("exceed max number of transaction hashes allowed per transactionReceipts subscription")
	}
	want := func(tx common.Hash) bool { return len(hashes) == 0 || slices.Contains(hashes, tx) }
	return s.subscribe(ctx, isBlock, func(ev hubEvent, send func(any)) {
		if !slices.ContainsFunc(ev.block.Transactions, func(tx *types.Transaction) bool { return want(tx.Hash()) }) {
			return
		}
		var receipts []map[string]any
		if err := s.geth.CallContext(context.Background(), &receipts, "eth_getBlockReceipts", ev.block.Header.Hash()); err != nil {
			return // the server is closing
		}
		receipts = slices.DeleteFunc(receipts, func(r map[string]any) bool {
			hash, _ := r["transactionHash"].(string)
			return !want(common.HexToHash(hash))
		})
		send(receipts)
	})
}
