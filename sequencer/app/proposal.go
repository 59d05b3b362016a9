package app

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// errBlock is returned for a block that no honest proposer makes.
var errBlock = errors.New("invalid block")

// headerRoom is more than an ordering header and the batch's framing take.
const headerRoom = 512

// prepareProposal builds a block from the pool.
func (a *App) prepareProposal(ctx sdk.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	rules, err := a.rules(ctx, req.Height)
	if err != nil {
		return nil, err
	}
	// An eighth of the block is left to ordinary transactions, so that governance is
	// heard under load.
	batch := a.pool.Select(rules, int(req.MaxTxBytes-req.MaxTxBytes/8)-headerRoom)
	inline := ordering.EncodeInline(batch)
	result, err := a.last.evaluate(rules, ctx.BlockTime(), inline, batch)
	if err != nil {
		return nil, fmt.Errorf("evaluate what the pool selected: %w", err)
	}
	// On the proposal's own branch of the state, so that a payer's transactions are
	// checked against what its bundles leave it.
	if err := a.keepers.ordering.Apply(ctx, result); err != nil {
		return nil, err
	}
	txs := [][]byte{result.Block.Header().Encode(), inline}
	room := req.MaxTxBytes - cmttypes.ComputeProtoSizeForTxs(cmttypes.ToTxs(txs))
	gas := newGasBudget(ctx)
	for _, raw := range a.pool.Txs() {
		size := cmttypes.ComputeProtoSizeForTxs([]cmttypes.Tx{raw})
		if size > room {
			continue
		}
		tx, err := a.enc.TxConfig.TxDecoder()(raw)
		if err != nil || !gas.fits(tx) {
			continue
		}
		if _, _, _, err := a.RunTx(sdk.ExecModePrepareProposal, raw, tx, -1, nil, nil); err != nil {
			continue
		}
		gas.spend(tx)
		room -= size
		txs = append(txs, raw)
	}
	return &abci.ResponsePrepareProposal{Txs: txs}, nil
}

// processProposal accepts what an honest proposer could have built.
func (a *App) processProposal(ctx sdk.Context, req *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if _, err := a.evaluate(ctx, req.Height, req.Txs); err != nil {
		a.metrics.refused.Inc()
		a.Logger().Error("proposal refused", "height", req.Height, "proposer", fmt.Sprintf("%X", req.ProposerAddress), "reason", err)
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// rules returns what the state in ctx says about the block of that height.
func (a *App) rules(ctx sdk.Context, height int64) (*ordering.Rules, error) {
	return a.keepers.ordering.Rules(ctx, uint64(height), a.window, a.verifier)
}

// evaluate checks all of a block's transactions against the state before it, and
// returns what it orders. Errors wrap errBlock or what is wrong with the batch.
func (a *App) evaluate(ctx sdk.Context, height int64, txs [][]byte) (*ordering.Evaluation, error) {
	if len(txs) < ordering.OwnTxs {
		return nil, fmt.Errorf("%d transactions: %w", len(txs), ordering.ErrLayout)
	}
	batch, err := ordering.DecodeInline(txs[1])
	if err != nil {
		return nil, err
	}
	rules, err := a.rules(ctx, height)
	if err != nil {
		return nil, err
	}
	result, err := a.last.evaluate(rules, ctx.BlockTime(), txs[1], batch)
	if err != nil {
		return nil, err
	}
	if want := result.Block.Header(); !bytes.Equal(txs[0], want.Encode()) {
		have, err := order.DecodeHeader(txs[0])
		if err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("ordering header: %s: %w", difference(have, want), errBlock)
	}
	gas := newGasBudget(ctx)
	for i, raw := range txs[ordering.OwnTxs:] {
		tx, err := a.enc.TxConfig.TxDecoder()(raw)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i+ordering.OwnTxs, err)
		}
		if len(tx.GetMsgs()) == 0 {
			return nil, fmt.Errorf("transaction %d has no message: %w", i+ordering.OwnTxs, errBlock)
		}
		if !gas.fits(tx) {
			return nil, fmt.Errorf("transaction %d goes past the block's gas: %w", i+ordering.OwnTxs, errBlock)
		}
		gas.spend(tx)
	}
	return result, nil
}

// difference names the first field of the header that is not as the batch makes it.
func difference(have, want order.Header) string {
	for _, f := range []struct {
		name       string
		have, want uint64
	}{
		{"height", have.Height, want.Height}, {"bundles", have.Bundles, want.Bundles}, {"legs", have.Legs, want.Legs},
		{"dropped", have.Dropped, want.Dropped}, {"bytes", have.Bytes, want.Bytes},
	} {
		if f.have != f.want {
			return fmt.Sprintf("%s is %d, the batch makes it %d", f.name, f.have, f.want)
		}
	}
	return fmt.Sprintf("commitment is %x, the batch makes it %x", have.Commitment, want.Commitment)
}

// evaluated remembers the last evaluation: a block is evaluated where it is built,
// checked and executed, each time on the same state. That state is the committed
// one, so height, time (which decides what is vested) and batch say all.
type evaluated struct {
	height uint64
	time   time.Time
	batch  [sha256.Size]byte
	result *ordering.Evaluation
}

func (e *evaluated) evaluate(rules *ordering.Rules, at time.Time, raw []byte, batch *order.Batch) (*ordering.Evaluation, error) {
	digest := sha256.Sum256(raw)
	if e.result != nil && e.height == rules.Height && e.time.Equal(at) && e.batch == digest {
		return e.result, nil
	}
	result, err := rules.Evaluate(batch)
	if err != nil {
		return nil, err
	}
	*e = evaluated{rules.Height, at, digest, result}
	return result, nil
}

// gasBudget is what a block's ordinary transactions may want in gas.
type gasBudget struct {
	limited bool
	left    uint64
}

func newGasBudget(ctx sdk.Context) gasBudget {
	if b := ctx.ConsensusParams().Block; b != nil && b.MaxGas >= 0 {
		return gasBudget{limited: true, left: uint64(b.MaxGas)}
	}
	return gasBudget{}
}

func (g gasBudget) fits(tx sdk.Tx) bool { return !g.limited || wanted(tx) <= g.left }

func (g *gasBudget) spend(tx sdk.Tx) {
	if g.limited {
		g.left -= wanted(tx)
	}
}

func wanted(tx sdk.Tx) uint64 {
	if t, ok := tx.(sdk.FeeTx); ok {
		return t.GetGas()
	}
	return 0
}
