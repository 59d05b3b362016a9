package celestia

import (
	"context"
	"fmt"
	"math/big"

	"github.com/celestiaorg/go-square/v3/share"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

// txConfig is celestia-node's, as far as it is used. The node estimates gas, and
// its price where none is set.
type txConfig struct {
	GasPrice float64 `json:"gas_price,omitempty"`
	Set      bool    `json:"is_gas_price_set,omitempty"`
}

// Submit implements da.Layer. All blobs go in one transaction of the node's account.
//
// The node says at which height it landed once it has; should the answer be lost, the
// transaction goes on its way all the same. The error is da.ErrUnavailable then, and
// whoever wants to know looks for the blobs.
func (c *Client) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	if err := c.checkSubmit(blobs); err != nil {
		return nil, err
	}
	wire := make([]rpcBlob, len(blobs))
	refs := make([]da.Ref, len(blobs))
	for i, b := range blobs {
		ns := c.of(b.Namespace)
		sum, err := commit(ns, b.Data, share.ShareVersionZero, nil)
		if err != nil {
			return nil, fmt.Errorf("blob %d: share commitment: %w: %w", i, err, da.ErrRejected)
		}
		wire[i] = rpcBlob{Namespace: ns[:], Data: b.Data, Commitment: sum[:]}
		refs[i].Commitment = reference(ns, sum)
	}
	const method = "blob.Submit"
	config := txConfig{GasPrice: c.opts.GasPrice, Set: c.opts.GasPrice > 0}
	ctx, cancel := context.WithTimeout(ctx, c.opts.SubmitTimeout)
	defer cancel()
	var height uint64
	if err := c.node.Call(ctx, method, smallAnswer, &height, wire, config); err != nil {
		return nil, classSubmit(err)
	}
	if height == 0 {
		return nil, fmt.Errorf("%s: answered with height 0: %w", method, da.ErrUnavailable)
	}
	// Celestia has the block, the node perhaps not yet. A height that it never gets is
	// no place to send readers to.
	if _, err := c.WaitHead(ctx, height-1); err != nil {
		return nil, fmt.Errorf("wait for height %d, where the blobs are said to be: %w: %w", height, err, da.ErrUnavailable)
	}
	for i := range refs {
		refs[i].Height = height
	}
	return refs, nil
}

func (c *Client) checkSubmit(blobs []da.Blob) error {
	total := 0
	for i, b := range blobs {
		switch n := len(b.Data); {
		case n == 0:
			return fmt.Errorf("blob %d is empty: %w", i, da.ErrRejected)
		case n > c.limits.MaxBlobBytes:
			return fmt.Errorf("blob %d has %d bytes, at most %d: %w", i, n, c.limits.MaxBlobBytes, da.ErrTooLarge)
		}
		total += len(b.Data)
	}
	switch {
	case len(blobs) == 0:
		return fmt.Errorf("no blobs: %w", da.ErrRejected)
	case len(blobs) > c.limits.MaxSubmitBlobs:
		return fmt.Errorf("%d blobs, at most %d: %w", len(blobs), c.limits.MaxSubmitBlobs, da.ErrTooLarge)
	case total > c.limits.MaxSubmitBytes:
		return fmt.Errorf("%d bytes, at most %d: %w", total, c.limits.MaxSubmitBytes, da.ErrTooLarge)
	}
	return nil
}

// Gas of a transaction that pays for blobs, as celestia-app v9 counts it.
const (
	gasFixed       = 75_000
	gasPerBlob     = 70 * 10 // bytes that each blob adds to the transaction itself
	gasPerByte     = 8       // of the shares that the blob takes
	minGasPrice    = 0.004   // utia: the least that Celestia's nodes ask for by default
	utiaPerTIA     = 1e6
	bytesOfAMB     = 1_000_000
	maxBalanceText = 64
)

// Price implements da.Layer: what one blob of 1,000,000 bytes costs,
//
//	(75,000 + 700 + 8 * 512 * shares) * gas price,
//
// where a blob takes one share for its first 478 bytes and one for each 482 more.
// The gas price is the one that is set. Where the node estimates it, it is taken to
// be the least that Celestia's nodes accept, 0.004 utia, which is what the node
// offers while blocks are not full; the API does not tell its estimates.
func (c *Client) Price(context.Context) (da.Price, error) {
	price := c.opts.GasPrice
	if price == 0 {
		price = minGasPrice
	}
	gas := gasFixed + gasPerBlob + gasPerByte*share.ShareSize*share.SparseSharesNeeded(bytesOfAMB, false)
	return da.Price{PerMB: float64(gas) * price / utiaPerTIA, Unit: "TIA"}, nil
}

// Account is the account of the node, which pays for submissions.
type Account struct {
	Address string
	Balance *big.Int // utia, a millionth of a TIA
}

// Account returns who pays, and what there is left. Errors: da.ErrUnavailable,
// da.ErrRejected.
func (c *Client) Account(ctx context.Context) (Account, error) {
	address, err := read[string](ctx, c, smallAnswer, "state.AccountAddress")
	if err != nil {
		return Account{}, err
	}
	type coin struct {
		Denom  string `json:"denom"`
		Amount string `json:"amount"`
	}
	balance, err := read[coin](ctx, c, smallAnswer, "state.Balance")
	if err != nil {
		return Account{}, err
	}
	if balance.Denom != "utia" || len(balance.Amount) > maxBalanceText {
		return Account{}, fmt.Errorf("state.Balance: answer is no balance in utia: %w", da.ErrUnavailable)
	}
	amount, ok := new(big.Int).SetString(balance.Amount, 10)
	if !ok {
		return Account{}, fmt.Errorf("state.Balance: %q is not a number: %w", balance.Amount, da.ErrUnavailable)
	}
	return Account{Address: remote.Excerpt([]byte(address)), Balance: amount}, nil
}
