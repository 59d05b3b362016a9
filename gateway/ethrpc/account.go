package ethrpc

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/gateway"
)

// account is what one sender has in the gateway, on top of a state. What that
// state has executed already is left out.
type account struct {
	txs  []*types.Transaction // by nonce
	next uint64               // the first nonce that neither state, pending block nor txs has taken
}

// account returns what the sender has in the state of the head, which it returns too, and above it. What
// waits is read first: a transaction that leaves it meanwhile was executed before, so that the state
// tells of it. The other way round it would be in neither, and all behind it seem to lack one.
func (d *door) account(from common.Address) (account, *head, error) {
	held := d.gateway.Pending(senderName(from))
	pending, _, err := d.evm.Pending()
	if err != nil {
		return account{}, nil, err
	}
	h, err := d.chain.head()
	if err != nil {
		return account{}, nil, err
	}
	return newAccount(h.nonce(from), pending.Nonce(from), held), h, nil
}

// newAccount takes the account's nonces in the state and in the pending block: what
// is certified may have come through other gateways.
func newAccount(nonce, tried uint64, held []gateway.Tx) account {
	a := account{next: max(nonce, tried)}
	for _, x := range held {
		if x.Nonce < nonce {
			continue
		}
		if tx := decoded(x); tx != nil {
			a.txs = append(a.txs, tx)
			if x.Nonce == a.next {
				a.next++
			}
		}
	}
	return a
}

// decoded returns the transaction that the gateway holds as bytes.
func decoded(x gateway.Tx) *types.Transaction {
	if tx, ok := x.Note.(*types.Transaction); ok {
		return tx
	}
	tx := new(types.Transaction)
	if tx.UnmarshalBinary(x.Raw) != nil {
		return nil // nothing else was ever handed to the gateway
	}
	return tx
}

func (a account) at(nonce uint64) *types.Transaction {
	for _, tx := range a.txs {
		if tx.Nonce() == nonce {
			return tx
		}
	}
	return nil
}

// spent returns the most that the transactions can cost together.
func (a account) spent() *big.Int {
	sum := new(big.Int)
	for _, tx := range a.txs {
		sum.Add(sum, tx.Cost())
	}
	return sum
}

// split returns those that follow each other without gap, and those behind the gap.
func (a account) split() (ready, held []*types.Transaction) {
	for i, tx := range a.txs {
		if tx.Nonce() >= a.next {
			return a.txs[:i], a.txs[i:]
		}
	}
	return a.txs, nil
}
