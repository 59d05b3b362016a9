package ordering

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
)

func TestParamBounds(t *testing.T) {
	require.NoError(t, ValidateParams(DefaultParams()))
	for name, edit := range map[string]func(*Params){
		"batch above order's":        func(p *Params) { p.MaxBatchBytes = order.MaxBatchBytes + 1 },
		"block below batch":          func(p *Params) { p.MaxBlockBytes = p.MaxBatchBytes - 1 },
		"large block":                func(p *Params) { p.MaxBlockBytes = maxBlockBytes + 1 },
		"no certificates":            func(p *Params) { p.MaxBlockCertificates = 0 },
		"many certificates":          func(p *Params) { p.MaxBlockCertificates = maxBlockCertificates + 1 },
		"no room for a certificate":  func(p *Params) { p.MaxBlockCertificateBytes = order.MaxCertificateBytes - 1 },
		"much room for certificates": func(p *Params) { p.MaxBlockCertificateBytes = maxBlockCertificateBytes + 1 },
		"no epochs":                  func(p *Params) { p.EpochBlocks = 0 },
		"long epochs":                func(p *Params) { p.EpochBlocks = maxEpochBlocks + 1 },
		"quota below batch":          func(p *Params) { p.LaneQuotaBytes = p.MaxBatchBytes - 1 },
		"large quota":                func(p *Params) { p.LaneQuotaBytes = maxLaneQuotaBytes + 1 },
		"no epoch kept":              func(p *Params) { p.RetainEpochs = 0 },
		"many epochs kept":           func(p *Params) { p.RetainEpochs = maxRetainEpochs + 1 },
		"no fraction":                func(p *Params) { p.SlashFractionEquivocation = "" },
		"negative fraction":          func(p *Params) { p.SlashFractionEquivocation = "-0.1" },
		"fraction above 1":           func(p *Params) { p.SlashFractionEquivocation = "1.01" },
		"long fraction":              func(p *Params) { p.SlashFractionEquivocation = "0.0000000000000000000" },
		"fraction in words":          func(p *Params) { p.SlashFractionEquivocation = "5 %" },
	} {
		p := DefaultParams()
		edit(&p)
		require.Error(t, ValidateParams(p), name)
	}
	for _, fraction := range []string{"0", "1", "0.05", "0.000000000000000001"} {
		p := DefaultParams()
		p.SlashFractionEquivocation = fraction
		require.NoError(t, ValidateParams(p), fraction)
	}
}
