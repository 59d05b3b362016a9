package ethrpc

import (
	"fmt"
	"math"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// txpoolAPI shows the gateway's queue as geth shows its pool: pending is what
// follows without gap, queued what is held behind one.
type txpoolAPI struct{ door *door }

// each calls f for the senders and their transactions, up to that many of these.
func (a *txpoolAPI) each(limit int, f func(sender string, ready, held []*types.Transaction) error) error {
	held := a.door.gateway.Content() // first, as in account
	h, err := a.door.chain.head()
	if err != nil {
		return err
	}
	n := 0
	for name, txs := range held {
		addr, err := senderAddress(name)
		if err != nil {
			return err
		}
		if n += len(txs); n > limit {
			return nil
		}
		ready, held := newAccount(h.nonce(addr), 0, txs).split()
		if err := f(addr.Hex(), ready, held); err != nil {
			return err
		}
	}
	return nil
}

// Status counts what waits.
func (a *txpoolAPI) Status() (map[string]hexutil.Uint, error) {
	var ready, held int
	err := a.each(math.MaxInt, func(_ string, r, q []*types.Transaction) error {
		ready, held = ready+len(r), held+len(q)
		return nil
	})
	return map[string]hexutil.Uint{"pending": hexutil.Uint(ready), "queued": hexutil.Uint(held)}, err
}

// byNonce shows transactions under their nonces.
func byNonce[T any](txs []*types.Transaction, show func(*types.Transaction) (T, error)) (map[string]T, error) {
	out := make(map[string]T, len(txs))
	for _, tx := range txs {
		v, err := show(tx)
		if err != nil {
			return nil, err
		}
		out[fmt.Sprint(tx.Nonce())] = v
	}
	return out, nil
}

func content[T any](a *txpoolAPI, show func(*types.Transaction) (T, error)) (map[string]map[string]map[string]T, error) {
	pending, queued := map[string]map[string]T{}, map[string]map[string]T{}
	err := a.each(maxListed, func(sender string, ready, held []*types.Transaction) (err error) {
		for _, part := range []struct {
			out map[string]map[string]T
			txs []*types.Transaction
		}{{pending, ready}, {queued, held}} {
			if len(part.txs) == 0 {
				continue
			}
			if part.out[sender], err = byNonce(part.txs, show); err != nil {
				return err
			}
		}
		return nil
	})
	return map[string]map[string]map[string]T{"pending": pending, "queued": queued}, err
}

// Content shows what waits, up to a bound.
func (a *txpoolAPI) Content() (map[string]map[string]map[string]map[string]any, error) {
	return content(a, pendingJSON)
}

// Inspect is Content in short.
func (a *txpoolAPI) Inspect() (map[string]map[string]map[string]string, error) {
	return content(a, func(tx *types.Transaction) (string, error) {
		to := "contract creation"
		if tx.To() != nil {
			to = tx.To().Hex()
		}
		return fmt.Sprintf("%s: %v wei + %v gas × %v wei", to, tx.Value(), tx.Gas(), tx.GasPrice()), nil
	})
}

// ContentFrom shows what waits of one sender.
func (a *txpoolAPI) ContentFrom(addr common.Address) (map[string]map[string]map[string]any, error) {
	account, _, err := a.door.account(addr)
	if err != nil {
		return nil, err
	}
	ready, held := account.split()
	pending, err := byNonce(ready, pendingJSON)
	if err != nil {
		return nil, err
	}
	queued, err := byNonce(held, pendingJSON)
	return map[string]map[string]map[string]any{"pending": pending, "queued": queued}, err
}
