package ethrpc

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/txpool"
	"github.com/ethereum/go-ethereum/core/txpool/legacypool"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

const (
	// maxTxBytes is what geth's pool takes, and what the chain executes.
	maxTxBytes = 128 << 10
	// maxGap is how far ahead of the sender's next free nonce a transaction may be.
	maxGap = 64
	// maxPooled bounds one sender's transactions. The gateway's own bound lies above it.
	maxPooled = 1536
	// priceBump is by how much a replacement must pay more, in percent, as in geth.
	priceBump = 10
)

// acceptTypes are the transaction types that the chain executes: all but blobs.
const acceptTypes = 1<<types.LegacyTxType | 1<<types.AccessListTxType | 1<<types.DynamicFeeTxType | 1<<types.SetCodeTxType

// door judges transactions by the soft head and by what the gateway holds.
type door struct {
	config      *params.ChainConfig
	signer      types.Signer
	chain       *Chain
	evm         EVM
	gateway     *gateway.Gateway
	feeCap      float64 // in ether; 0 for none
	unprotected bool
	metrics     *metrics

	// senders lets one transaction of a sender in at a time, by the address's last byte:
	// the next one is judged by all that were admitted.
	senders [256]sync.Mutex
}

// admit checks the transaction and hands it to the gateway, which has it on disk
// when the admission's Wait returns. Where ready is set, it refuses what cannot be
// executed at once.
func (d *door) admit(tx *types.Transaction, ready bool) (*gateway.Admission, error) {
	h, err := d.chain.head()
	if err != nil {
		return nil, err
	}
	if err := checkFee(tx, d.feeCap); err != nil {
		return nil, err
	}
	if !d.unprotected && !tx.Protected() {
		return nil, errors.New("only replay-protected (EIP-155) transactions allowed over RPC")
	}
	if d.known(tx.Hash()) {
		return nil, txpool.ErrAlreadyKnown
	}
	err = txpool.ValidateTransaction(tx, h.header, d.signer, &txpool.ValidationOptions{
		Config: d.config, Accept: acceptTypes, MaxSize: maxTxBytes, MinTip: new(big.Int),
	})
	if err != nil {
		return nil, err
	}
	from, err := types.Sender(d.signer, tx)
	if err != nil {
		return nil, err
	}
	// geth's pool would keep it until the base fee falls. Here it would be ordered,
	// skipped and gone, so the state transition's own refusal comes now.
	if base := eip1559.CalcBaseFee(d.config, h.header); tx.GasFeeCapIntCmp(base) < 0 {
		return nil, fmt.Errorf("%w: address %v, maxFeePerGas: %s, baseFee: %s", core.ErrFeeCapTooLow, from.Hex(), tx.GasFeeCap(), base)
	}
	raw, err := tx.MarshalBinary()
	if err != nil {
		return nil, err
	}
	lock := &d.senders[from[len(from)-1]]
	lock.Lock()
	defer lock.Unlock()
	if err := d.judge(from, tx, ready); err != nil {
		return nil, err
	}
	a, err := d.gateway.Admit(gateway.Tx{Hash: tx.Hash(), Sender: senderName(from), Nonce: tx.Nonce(), Raw: raw, Note: tx})
	return a, refusal(err)
}

func (d *door) known(hash common.Hash) bool {
	x, st, ok := d.gateway.Get(hash)
	// One that is held as part of a bundle alone has no bytes here: it may come by itself.
	return ok && x.Raw != nil && (st.Phase == gateway.PhaseQueued || st.Phase == gateway.PhaseInFlight)
}

// judge checks the transaction against the state and the sender's others.
func (d *door) judge(from common.Address, tx *types.Transaction, ready bool) error {
	account, h, err := d.account(from)
	if err != nil {
		return err
	}
	opts := &txpool.ValidationOptionsWithState{
		State: h.state,
		FirstNonceGap: func(common.Address) uint64 {
			if ready {
				return account.next
			}
			return account.next + maxGap
		},
		UsedAndLeftSlots:    func(common.Address) (int, int) { return len(account.txs), maxPooled - len(account.txs) },
		ExistingExpenditure: func(common.Address) *big.Int { return account.spent() },
		ExistingCost: func(_ common.Address, nonce uint64) *big.Int {
			if old := account.at(nonce); old != nil {
				return old.Cost()
			}
			return nil
		},
	}
	h.mu.Lock()
	err = txpool.ValidateTransactionWithState(tx, d.signer, opts)
	code := h.state.GetCodeHash(from)
	h.mu.Unlock()
	delegated := code != (common.Hash{}) && code != types.EmptyCodeHash
	if err != nil {
		if ready && errors.Is(err, core.ErrNonceTooHigh) {
			return &ordorpc.SyncError{Code: ordorpc.CodeNonceGap, Msg: err.Error(), Data: fmt.Sprintf("0x%x", account.next)}
		}
		return err
	}
	old := account.at(tx.Nonce())
	if old != nil && !outbids(tx, old) {
		return txpool.ErrReplaceUnderpriced
	}
	// The code of a delegated account can spend its funds in any transaction, so that
	// the ones after it would be ordered for nothing. geth lets one wait at a time.
	if old == nil && delegated {
		if len(account.txs) > 0 {
			return txpool.ErrInflightTxLimitReached
		}
		if tx.Nonce() != account.next {
			return legacypool.ErrOutOfOrderTxFromDelegated
		}
	}
	return nil
}

// outbids reports whether both of the transaction's prices are high enough to
// replace the old one.
func outbids(tx, old *types.Transaction) bool {
	if tx.GasFeeCapCmp(old) <= 0 || tx.GasTipCapCmp(old) <= 0 {
		return false
	}
	threshold := func(price *big.Int) *big.Int {
		price = new(big.Int).Mul(price, big.NewInt(100+priceBump))
		return price.Div(price, big.NewInt(100))
	}
	return tx.GasFeeCapIntCmp(threshold(old.GasFeeCap())) >= 0 && tx.GasTipCapIntCmp(threshold(old.GasTipCap())) >= 0
}

// refusal says what the gateway says in the words of geth, where it has any.
func refusal(err error) error {
	switch {
	case errors.Is(err, gateway.ErrKnown):
		return txpool.ErrAlreadyKnown
	case errors.Is(err, gateway.ErrNonceInFlight):
		return fmt.Errorf("%w: %w", txpool.ErrReplaceUnderpriced, err)
	case errors.Is(err, gateway.ErrTooLarge):
		return fmt.Errorf("%w: %w", txpool.ErrOversizedData, err)
	case errors.Is(err, gateway.ErrFull):
		return fmt.Errorf("%w: %w", legacypool.ErrTxPoolOverflow, err)
	}
	return err
}

// checkFee refuses a fee that is likely a mistake, as geth's RPC does.
func checkFee(tx *types.Transaction, limit float64) error {
	if limit == 0 {
		return nil
	}
	wei := new(big.Float).SetInt(new(big.Int).Mul(tx.GasPrice(), new(big.Int).SetUint64(tx.Gas())))
	fee, _ := wei.Quo(wei, big.NewFloat(params.Ether)).Float64()
	if fee > limit {
		return fmt.Errorf("tx fee (%.2f ether) exceeds the configured cap (%.2f ether)", fee, limit)
	}
	return nil
}

// submit admits a transaction and waits until it is on disk; so is one that is
// known already.
func (d *door) submit(ctx context.Context, tx *types.Transaction, ready bool) (err error) {
	defer func() { d.metrics.sent(err) }()
	a, err := d.admit(tx, ready)
	if errors.Is(err, txpool.ErrAlreadyKnown) {
		if flushed := d.gateway.Flush(ctx); flushed != nil {
			return flushed
		}
	}
	if err != nil {
		return err
	}
	return a.Wait(ctx)
}
