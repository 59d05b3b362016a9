package ethrpc

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
)

// bundled reads a transaction of a bundle and refuses what no state makes good. Nonces
// are only held against what is executed already: those before it may come in the bundle.
func (d *door) bundled(raw []byte) (gateway.Tx, error) {
	if terms.Is(raw) {
		return gateway.Tx{}, errors.New("these are terms and no transaction: they are made here of what the bundle asks for")
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return gateway.Tx{}, err
	}
	if err := checkFee(tx, d.feeCap); err != nil {
		return gateway.Tx{}, err
	}
	if !d.unprotected && !tx.Protected() {
		return gateway.Tx{}, errors.New("only replay-protected (EIP-155) transactions allowed over RPC")
	}
	h, err := d.chain.head()
	if err != nil {
		return gateway.Tx{}, err
	}
	err = txpool.ValidateTransaction(tx, h.header, d.signer, &txpool.ValidationOptions{
		Config: d.config, Accept: acceptTypes, MaxSize: maxTxBytes, MinTip: new(big.Int),
	})
	if err != nil {
		return gateway.Tx{}, err
	}
	from, err := types.Sender(d.signer, tx)
	if err != nil {
		return gateway.Tx{}, err
	}
	if next := h.nonce(from); tx.Nonce() < next {
		return gateway.Tx{}, fmt.Errorf("%w: address %v, next nonce %d, tx nonce %d", core.ErrNonceTooLow, from.Hex(), next, tx.Nonce())
	}
	return gateway.Tx{Hash: tx.Hash(), Sender: senderName(from), Nonce: tx.Nonce(), Raw: raw, Note: tx}, nil
}
