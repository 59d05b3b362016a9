package ordering

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

func TestParams(t *testing.T) {
	require.NoError(t, ValidateParams(DefaultParams()))
	for name, edit := range map[string]func(*Params){
		"fee":                 func(p *Params) { p.FeePerKilobyte = 1<<40 + 1 },
		"no expiry":           func(p *Params) { p.MaxExpiryBlocks = 0 },
		"long expiry":         func(p *Params) { p.MaxExpiryBlocks = 1<<20 + 1 },
		"no bundle":           func(p *Params) { p.MaxBundleBytes = 0 },
		"large bundle":        func(p *Params) { p.MaxBundleBytes = order.MaxBundleBytes + 1 },
		"large batch":         func(p *Params) { p.MaxBatchBytes = order.MaxBatchBytes + 1 },
		"small batch":         func(p *Params) { p.MaxBatchBytes = p.MaxBundleBytes },
		"small block":         func(p *Params) { p.MaxBlockBytes = 2*order.MaxBatchBytes - 1 },
		"no certificates":     func(p *Params) { p.MaxBlockCertificates = 0 },
		"no certificate fits": func(p *Params) { p.MaxBlockCertificateBytes = order.MaxCertificateBytes - 1 },
		"no epoch":            func(p *Params) { p.EpochBlocks = 0 },
		"small quota":         func(p *Params) { p.LaneQuotaBytes = p.MaxBatchBytes - 1 },
		"no epochs kept":      func(p *Params) { p.RetainEpochs = 0 },
		"slashed twice":       func(p *Params) { p.SlashFractionEquivocation = "2" },
	} {
		p := DefaultParams()
		edit(&p)
		require.Error(t, ValidateParams(p), name)
	}
}

func TestOnlyAuthorityChangesParams(t *testing.T) {
	n := newNetwork(t, 1, 1)
	p := n.genesis().Params
	p.FeePerKilobyte = 5
	for _, m := range []*orderingv1.MsgUpdateParams{
		{Authority: "someone", Params: p}, {Authority: authority()}, {Authority: authority(), Params: &Params{}},
	} {
		_, err := n.server().UpdateParams(n.ctx, m)
		require.Error(t, err)
	}
	_, err := n.server().UpdateParams(n.ctx, &orderingv1.MsgUpdateParams{Authority: authority(), Params: p})
	require.NoError(t, err)
	got, err := n.keeper.Params(n.ctx)
	require.NoError(t, err)
	require.Equal(t, *p, got)
}
