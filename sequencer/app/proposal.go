package app

import (
	"bytes"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	cmttypes "github.com/cometbft/cometbft/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// errBlock is returned for a block that no honest proposer makes.
var errBlock = errors.New("invalid block")

// prepareProposal builds a block: the certificates that it has to carry and those that
// fit beside them, then ordinary transactions.
func (a *App) prepareProposal(ctx sdk.Context, req *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	rules, err := a.rules(ctx, req.Height)
	if err != nil {
		return nil, err
	}
	votes := a.presentable(ctx, req.Height, req.LocalLastCommit)
	last := lastCommit(req.LocalLastCommit)
	said, err := a.reports(ctx, req.Height, votes, last)
	if err != nil {
		return nil, err
	}
	required := rules.Required(said.power, said.reports)
	certs, err := a.choose(rules, required, req.MaxTxBytes, votes)
	if err != nil {
		return nil, fmt.Errorf("arrange what the lanes offer: %w", err)
	}
	raw, err := (&ordering.Manifest{Certificates: certs, Votes: votes}).Encode()
	if err != nil {
		return nil, err
	}
	result, err := rules.Evaluate(certs, required)
	if errors.Is(err, order.ErrCensored) {
		a.metrics.short.Inc()
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate what the lanes offer: %w", err)
	}
	key, err := keyOf(req.Height, ctx.BlockTime(), last, raw)
	if err != nil {
		return nil, err
	}
	a.last = evaluated{key, &evaluation{result, said}}
	// On the proposal's own branch of the state, so that a payer's transactions are
	// checked against what its bundles leave it.
	if err := a.keepers.ordering.Apply(ctx, result); err != nil {
		return nil, err
	}
	txs := [][]byte{result.Block.Header().Encode(), raw}
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
	if _, err := a.evaluate(ctx, req.Height, req.Txs, req.ProposedLastCommit); err != nil {
		a.metrics.refused.Inc()
		a.Logger().Error("proposal refused", "height", req.Height, "proposer", fmt.Sprintf("%X", req.ProposerAddress), "reason", err)
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// rules returns what the state in ctx says about the block of that height.
func (a *App) rules(ctx sdk.Context, height int64) (*ordering.Rules, error) {
	r, err := a.keepers.ordering.Rules(ctx, uint64(height), a.window)
	if err != nil {
		return nil, err
	}
	r.Verify = a.verifier.Verify
	r.Limits = blockLimits(r.Params, ctx.ConsensusParams())
	return r, nil
}

// evaluate checks all of a block's transactions against the state before it and the
// block's own last commit, and returns what it orders. Errors wrap errBlock, errVotes,
// or what is wrong with the manifest.
func (a *App) evaluate(ctx sdk.Context, height int64, txs [][]byte, last abci.CommitInfo) (*evaluation, error) {
	if len(txs) < ordering.OwnTxs {
		return nil, fmt.Errorf("%d transactions: %w", len(txs), ordering.ErrLayout)
	}
	key, err := keyOf(height, ctx.BlockTime(), last, txs[1])
	if err != nil {
		return nil, err
	}
	result := a.last.get(key)
	if result == nil {
		if result, err = a.evaluateManifest(ctx, height, txs[1], last); err != nil {
			return nil, err
		}
		a.last = evaluated{key, result}
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

// evaluateManifest returns what transaction 1 orders, and what it says of claims.
func (a *App) evaluateManifest(ctx sdk.Context, height int64, raw []byte, last abci.CommitInfo) (*evaluation, error) {
	manifest, err := ordering.DecodeManifest(raw)
	if err != nil {
		return nil, err
	}
	rules, err := a.rules(ctx, height)
	if err != nil {
		return nil, err
	}
	said, err := a.reports(ctx, height, manifest.Votes, last)
	if err != nil {
		return nil, err
	}
	result, err := rules.Evaluate(manifest.Certificates, rules.Required(said.power, said.reports))
	if err != nil {
		return nil, err
	}
	return &evaluation{result, said}, nil
}

// difference names the first field of the header that is not as the manifest makes it.
func difference(have, want order.Header) string {
	for _, f := range []struct {
		name       string
		have, want uint64
	}{
		{"height", have.Height, want.Height}, {"bundles", have.Bundles, want.Bundles}, {"legs", have.Legs, want.Legs},
		{"dropped", have.Dropped, want.Dropped}, {"bytes", have.Bytes, want.Bytes},
		{"first order time", have.Times.First, want.Times.First}, {"last order time", have.Times.Last, want.Times.Last},
	} {
		if f.have != f.want {
			return fmt.Sprintf("%s is %d, the certificates make it %d", f.name, f.have, f.want)
		}
	}
	return fmt.Sprintf("commitment is %x, the certificates make it %x", have.Commitment, want.Commitment)
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
