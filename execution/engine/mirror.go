package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	geth "github.com/ethereum/go-ethereum/beacon/engine"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// Mirror is an execution.Client whose blocks are made by the embedded EVM and checked by
// an unmodified Ethereum client, which has them too when Execute returns.
type Mirror struct {
	inner  *evm.Client
	api    *API
	feeder feeder

	mu     sync.Mutex // one call at a time
	joined bool       // the client has what inner has
}

var (
	_ execution.Client        = (*Mirror)(nil)
	_ execution.LegSpeculator = (*Mirror)(nil)
	_ execution.Lockstep      = (*Mirror)(nil)
	_ execution.Recaller      = (*Mirror)(nil)
)

// NewMirror returns a Mirror, which closes inner when it is closed. nil logs to
// slog.Default.
func NewMirror(inner *evm.Client, api *API, log *slog.Logger) (*Mirror, error) {
	if inner == nil || api == nil {
		return nil, errors.New("mirror an EVM: needs the EVM and an execution client")
	}
	if log == nil {
		log = slog.Default()
	}
	return &Mirror{inner: inner, api: api, feeder: feeder{api: api, chain: mirrored{inner}, log: log}}, nil
}

// Open implements execution.Client. It waits for the client and gives it what it lacks.
// Errors: ErrGenesis, execution.ErrDisagree.
func (m *Mirror) Open(ctx context.Context) (execution.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.inner.Open(ctx)
	if err != nil || m.joined {
		return s, err
	}
	return s, m.bring(ctx, s, m.feeder.join)
}

// bring brings the client to where inner stands, in that way if it was there before.
func (m *Mirror) bring(ctx context.Context, s execution.Session, way func(ctx context.Context, soft, firm execution.Head) error) error {
	if !m.joined {
		way = m.feeder.join
	}
	err := way(ctx, s.Soft, s.Firm)
	m.joined = err == nil
	return err
}

// Execute implements execution.Client. The block is on the embedded EVM's disk before the
// client gets it: a crash in between leaves a client that lacks one block, which Open
// gives it.
func (m *Mirror) Execute(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, parent, b); err != nil {
		return execution.Result{}, err
	}
	result, err := m.inner.Execute(ctx, parent, b)
	if err != nil {
		return execution.Result{}, err
	}
	return result, m.follow(ctx, result)
}

// check refuses a block that the client would refuse for its time. What else may be wrong
// with it, inner says.
func (m *Mirror) check(ctx context.Context, parent execution.Hash, b execution.Block) error {
	s, err := m.inner.Open(ctx)
	if err != nil || s.Soft.Hash != parent || b.Height <= s.Soft.Height {
		return err
	}
	return rises(s.Soft, b)
}

// rises refuses a block that does not lie a second after the one before.
func rises(soft execution.Head, b execution.Block) error {
	if b.Time.Unix() > soft.Time.Unix() {
		return nil
	}
	return fmt.Errorf("sequencer block %d is of %s, the soft head of %s: %w", b.Height, b.Time, soft.Time, execution.ErrTime)
}

// follow gives the client the block that inner has just made.
func (m *Mirror) follow(ctx context.Context, result execution.Result) error {
	s, err := m.inner.Open(ctx)
	if err != nil {
		return err
	}
	if err := m.bring(ctx, s, m.feeder.deliver); err != nil {
		return fmt.Errorf("hand block %d to the execution client: %w", result.Head.Number, err)
	}
	return nil
}

// Recall implements execution.Recaller: the embedded EVM tells.
func (m *Mirror) Recall(ctx context.Context, b execution.Block) (execution.Result, bool, error) {
	return m.inner.Recall(ctx, b)
}

// SetFirm implements execution.Client: the client's safe and finalized block is then the
// firm head.
func (m *Mirror) SetFirm(ctx context.Context, firm execution.Hash) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.inner.SetFirm(ctx, firm); err != nil {
		return err
	}
	s, err := m.inner.Open(ctx)
	if err != nil {
		return err
	}
	if err := m.bring(ctx, s, m.feeder.adopt); err != nil {
		return fmt.Errorf("tell the execution client that block %d is firm: %w", s.Firm.Number, err)
	}
	return nil
}

// Speculate implements execution.Speculator: the embedded EVM tries alone.
func (m *Mirror) Speculate(ctx context.Context, parent execution.Hash, b execution.Block) ([]execution.Outcome, error) {
	return m.inner.Speculate(ctx, parent, b)
}

// Extend implements execution.Speculator.
func (m *Mirror) Extend(ctx context.Context, parent execution.Hash, txs [][]byte) ([]execution.Outcome, error) {
	return m.inner.Extend(ctx, parent, txs)
}

// ExtendLegs implements execution.LegSpeculator.
func (m *Mirror) ExtendLegs(ctx context.Context, parent execution.Hash, txs [][]byte, legs []execution.Leg) ([]execution.Outcome, error) {
	return m.inner.ExtendLegs(ctx, parent, txs, legs)
}

// Begin implements execution.Lockstep: the embedded EVM makes the block, and the client
// gets it when it is committed.
func (m *Mirror) Begin(ctx context.Context, parent execution.Hash, b execution.Block) (execution.Making, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.check(ctx, parent, b); err != nil {
		return nil, err
	}
	making, err := m.inner.Begin(ctx, parent, b)
	if err != nil {
		return nil, err
	}
	return mirroredMaking{making, m}, nil
}

type mirroredMaking struct {
	execution.Making
	mirror *Mirror
}

// Commit implements execution.Making.
func (m mirroredMaking) Commit(ctx context.Context) (execution.Result, error) {
	m.mirror.mu.Lock()
	defer m.mirror.mu.Unlock()
	result, err := m.Making.Commit(ctx)
	if err != nil {
		return execution.Result{}, err
	}
	return result, m.mirror.follow(ctx, result)
}

// Close implements execution.Client. The client goes on by itself.
func (m *Mirror) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.api.close()
	return m.inner.Close()
}

// mirrored is the embedded EVM's chain as a feeder reads it.
type mirrored struct{ inner *evm.Client }

func (m mirrored) hash(number uint64) (execution.Hash, error) {
	hash := m.inner.BlockChain().GetCanonicalHash(number)
	if hash == (execution.Hash{}) {
		return execution.Hash{}, fmt.Errorf("block %d is not on disk", number)
	}
	return execution.Hash(hash), nil
}

func (m mirrored) block(number uint64) (*block, error) {
	b, requests, err := m.inner.Payload(number)
	if err != nil {
		return nil, err
	}
	envelope := geth.BlockToExecutableData(b, nil, nil, requests)
	return &block{
		hash: execution.Hash(b.Hash()), time: b.Time(), payload: envelope.ExecutionPayload,
		beaconRoot: *b.BeaconRoot(), requests: hexed(requests),
	}, nil
}
