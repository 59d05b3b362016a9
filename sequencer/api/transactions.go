package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	abci "github.com/cometbft/cometbft/abci/types"

	"github.com/ordo-network/ordo/sequencer/ordering"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// Account is what whoever signs an ordinary transaction must know.
type Account struct {
	Number   uint64
	Sequence uint64 // of its next transaction
	Balance  uint64 // in uordo
}

// ErrNoAccount is returned for an address that the chain does not know.
var ErrNoAccount = errors.New("no such account: send it some uordo first")

// Transactions is what a node does with ordinary transactions. Its methods are called
// from many goroutines.
type Transactions interface {
	// Account reads the last state. Errors: ErrNoAccount, those of an address.
	Account(address string) (Account, error)
	// CheckTx takes a transaction in, to be put into a block, or says why not.
	CheckTx(*abci.RequestCheckTx) (*abci.ResponseCheckTx, error)
}

// submitPatience is for how long SubmitTransaction waits for a block.
const submitPatience = 30 * time.Second

// executed is what became of an ordinary transaction in a block.
type executed struct {
	code      uint32
	codespace string
	log       string
	gas       uint64
}

// executedOf returns the ordinary transactions of a block, by their hashes.
func executedOf(txs [][]byte, results []*abci.ExecTxResult) map[[sha256.Size]byte]executed {
	if len(txs) <= ordering.OwnTxs {
		return nil
	}
	out := make(map[[sha256.Size]byte]executed, len(txs)-ordering.OwnTxs)
	for i := ordering.OwnTxs; i < min(len(txs), len(results)); i++ {
		r := results[i]
		out[sha256.Sum256(txs[i])] = executed{r.Code, r.Codespace, r.Log, uint64(max(r.GasUsed, 0))}
	}
	return out
}

// GetAccount implements SequencerServiceHandler.
func (s *Server) GetAccount(_ context.Context, req *connect.Request[v1.GetAccountRequest]) (*connect.Response[v1.GetAccountResponse], error) {
	a, err := s.opts.Transactions.Account(req.Msg.GetAddress())
	switch {
	case errors.Is(err, ErrNoAccount):
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("%s: %w", req.Msg.GetAddress(), err))
	case err != nil:
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	return connect.NewResponse(&v1.GetAccountResponse{AccountNumber: a.Number, Sequence: a.Sequence, Balance: a.Balance}), nil
}

// SubmitTransaction implements SequencerServiceHandler.
func (s *Server) SubmitTransaction(ctx context.Context, req *connect.Request[v1.SubmitTransactionRequest]) (*connect.Response[v1.SubmitTransactionResponse], error) {
	raw := req.Msg.GetTransaction()
	ctx, cancel := context.WithTimeout(ctx, submitPatience)
	defer cancel()
	next := s.chain.latest() + 1 // no earlier block has what is taken in now
	taken, err := s.opts.Transactions.CheckTx(&abci.RequestCheckTx{Tx: raw})
	switch {
	case err != nil:
		return nil, connect.NewError(connect.CodeInternal, err)
	case taken.Code == abci.CodeTypeRetry:
		return nil, connect.NewError(connect.CodeUnavailable, errors.New(taken.Log))
	case !taken.IsOK():
		return connect.NewResponse(&v1.SubmitTransactionResponse{Code: taken.Code, Codespace: taken.Codespace, Log: taken.Log}), nil
	}
	key := sha256.Sum256(raw)
	for ; ; next++ {
		if err := s.chain.head.wait(ctx, next); err != nil {
			return nil, s.readError(fmt.Errorf("wait for a block with the transaction: %w", err))
		}
		b, err := s.chain.at(ctx, next)
		if err != nil {
			return nil, s.readError(err)
		}
		if r, ok := b.executed[key]; ok {
			return connect.NewResponse(&v1.SubmitTransactionResponse{
				Height: next, Code: r.code, Codespace: r.codespace, Log: r.log, GasUsed: r.gas,
			}), nil
		}
	}
}
