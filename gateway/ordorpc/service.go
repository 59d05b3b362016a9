package ordorpc

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway"
)

// Service answers the namespace ordo, from NewService to Close.
type Service struct {
	api     *api
	changes *changes
}

// NewService returns the service.
func NewService(b Backend) *Service {
	if b.Decode == nil {
		b.Decode = Opaque
	}
	if b.Hash == nil {
		b.Hash = func(raw []byte) [32]byte { return sha256.Sum256(raw) }
	}
	if b.Submit == nil {
		b.Submit = func(ctx context.Context, raw []byte) ([32]byte, error) {
			tx, err := b.Decode(raw)
			if err != nil {
				return tx.Hash, err
			}
			// What is known is promised already: a client that asks again has its answer.
			if err := b.Gateway.Submit(ctx, tx); err != nil && !errors.Is(err, gateway.ErrKnown) {
				return tx.Hash, err
			}
			return tx.Hash, nil
		}
	}
	if b.Silent == nil {
		b.Silent = func() bool { return false }
	}
	if b.Places == nil {
		b.Places = new(Places)
	}
	if b.Kick == nil {
		b.Kick = func(string) {}
	}
	return &Service{api: &api{Backend: b, blocks: newBlocks(b.Order)}, changes: newChanges(b.Chain, b.Places, b.Kick)}
}

// Register adds the namespace to a server. What it tells of by ordo_subscribe is to be
// had by eth_subscribe too: wallets' libraries know no other.
func (s *Service) Register(server *rpc.Server) error {
	subs := &subscriptions{api: s.api, changes: s.changes}
	return errors.Join(server.RegisterName("ordo", s.api), server.RegisterName("ordo", subs), server.RegisterName("eth", subs))
}

// Close ends the subscriptions. Idempotent.
func (s *Service) Close() { s.changes.close() }

// api holds the methods of the namespace ordo: each exported one is served.
type api struct {
	Backend
	blocks *blocks
}

// InfoResult is the answer of ordo_info.
type InfoResult struct {
	RollupID         Hash           `json:"rollupId"`
	Name             string         `json:"name"`
	SequencerChainID string         `json:"sequencerChainId"`
	SequencerHeight  hexutil.Uint64 `json:"sequencerHeight"`
	SoftHeight       hexutil.Uint64 `json:"softHeight"`
	FirmHeight       hexutil.Uint64 `json:"firmHeight"`
	Version          string         `json:"version"`
	Mode             string         `json:"mode"`
	BlockTime        hexutil.Uint64 `json:"blockTime"` // milliseconds; 0 where blocks are made as the order grows
	Payer            string         `json:"payer"`
	Domain           []string       `json:"domain"`
}

// Info describes the rollup and how far its node is.
func (a *api) Info() InfoResult {
	i := a.Order.Info()
	return InfoResult{
		RollupID: Hash(i.RollupID), Name: i.Name, SequencerChainID: i.SequencerChainID, Version: i.Version,
		SequencerHeight: hexutil.Uint64(i.SequencerHeight), SoftHeight: hexutil.Uint64(i.SoftHeight), FirmHeight: hexutil.Uint64(i.FirmHeight),
		Mode: i.Mode, BlockTime: hexutil.Uint64(i.BlockTime.Milliseconds()), Payer: i.Payer, Domain: append([]string{}, i.Domain...),
	}
}

// SendTransaction accepts a transaction in the rollup's own encoding: its hash is the
// promise that it is on disk and will be brought into the order.
func (a *api) SendTransaction(ctx context.Context, raw hexutil.Bytes) (Hash, error) {
	hash, err := a.Submit(ctx, raw)
	return hash, err
}

// GetReceipt returns the payer's signed word that the transaction was accepted here for
// ordering; null where it was not. docs/spec/receipts.md says what follows from one.
func (a *api) GetReceipt(ctx context.Context, hash Hash) (any, error) {
	r, err := a.Gateway.Receipt(ctx, hash)
	switch {
	case errors.Is(err, gateway.ErrUnknown):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return r, nil
}
