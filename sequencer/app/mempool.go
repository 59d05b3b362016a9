package app

import (
	abci "github.com/cometbft/cometbft/abci/types"

	errorsmod "cosmossdk.io/errors"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/ordo-network/ordo/sequencer/pool"
)

// InsertTx takes in what a peer's mempool sends.
func (a *App) InsertTx(req *abci.RequestInsertTx) (*abci.ResponseInsertTx, error) {
	return &abci.ResponseInsertTx{Code: code(a.pool.Insert(req.Tx))}, nil
}

// CheckTx takes in what a client sends by broadcast_tx_sync and its kin.
func (a *App) CheckTx(req *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	err := a.pool.Insert(req.Tx)
	if err == nil {
		return &abci.ResponseCheckTx{}, nil
	}
	if c := code(err); c == abci.CodeTypeRetry {
		return &abci.ResponseCheckTx{Code: c, Codespace: "pool", Log: err.Error()}, nil
	}
	space, c, log := errorsmod.ABCIInfo(err, false)
	if space == errorsmod.UndefinedCodespace {
		log = err.Error()
	}
	return &abci.ResponseCheckTx{Code: c, Codespace: space, Log: log}, nil
}

// ReapTxs hands out what is new, for peers.
func (a *App) ReapTxs(req *abci.RequestReapTxs) (*abci.ResponseReapTxs, error) {
	return &abci.ResponseReapTxs{Txs: a.pool.Reap(req.MaxBytes)}, nil
}

// code tells CometBFT whether the same bytes are worth another look later.
func code(err error) uint32 {
	switch {
	case err == nil:
		return abci.CodeTypeOK
	case pool.Temporary(err):
		return abci.CodeTypeRetry
	}
	return sdkerrors.ErrInvalidRequest.ABCICode()
}
