package ordering_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

func TestAfford(t *testing.T) {
	r := newGroup(t, 0).rules(1 << 20) // for a block of height 10
	rich, poor := bundle(0, 20, "rich"), bundle(1, 20, "poor")
	fee := r.Fee(summary(rich))
	r.Balance = func(p order.Payer) uint64 {
		if p == poor.Payer {
			return 2 * fee
		}
		return 1 << 30
	}
	cheap := bundle(0, 20, "cheap")
	cheap.FeeLimit = 1
	for name, tc := range map[string]struct {
		bundles []*order.Bundle
		want    error
	}{
		"all can be paid":         {[]*order.Bundle{rich, poor}, nil},
		"as many as can be paid":  {[]*order.Bundle{bundle(1, 20, "one1"), bundle(1, 20, "two2")}, nil},
		"half":                    {[]*order.Bundle{bundle(1, 20, "one1"), bundle(1, 20, "two2"), bundle(1, 20, "thr3"), bundle(1, 20, "fou4")}, nil},
		"less than half":          {[]*order.Bundle{bundle(1, 20, "one1"), bundle(1, 20, "two2"), bundle(1, 20, "thr3"), bundle(1, 20, "fou4"), bundle(1, 20, "fiv5")}, ordering.ErrUnpaid},
		"the other half expired":  {[]*order.Bundle{rich, bundle(0, 9, "late")}, nil},
		"most expired":            {[]*order.Bundle{rich, bundle(0, 9, "late"), bundle(0, 9, "too!")}, ordering.ErrExpired},
		"most come too early":     {[]*order.Bundle{rich, bundle(0, 611, "farr"), bundle(0, 611, "too!")}, ordering.ErrUnpaid},
		"some expired, some poor": {[]*order.Bundle{rich, bundle(0, 9, "late"), bundle(0, 611, "farr")}, ordering.ErrUnpaid},
		"one again and again":     {[]*order.Bundle{rich, rich, rich}, ordering.ErrUnpaid},
		"one below the fee":       {[]*order.Bundle{rich, rich, bundle(0, 20, "more"), cheap}, ordering.ErrFee},
		"one too large":           {[]*order.Bundle{rich, bundle(0, 20, string(make([]byte, 300<<10)))}, ordering.ErrTooLarge},
	} {
		var all []order.BundleSummary
		for _, b := range tc.bundles {
			all = append(all, *summary(b))
		}
		if err := r.Afford(all); tc.want == nil {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, tc.want, name)
		}
	}
}

func summary(b *order.Bundle) *order.BundleSummary {
	s := b.Summary()
	return &s
}
