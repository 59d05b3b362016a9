package ordering

import (
	"context"
	"fmt"

	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// DefaultGenesis returns the module's state of a new chain.
func DefaultGenesis() *orderingv1.GenesisState {
	p := DefaultParams()
	return &orderingv1.GenesisState{Params: &p}
}

// ValidateGenesis checks the module's part of a genesis file.
func ValidateGenesis(g *orderingv1.GenesisState) error {
	if g.GetParams() == nil {
		return fmt.Errorf("ordering: params are missing")
	}
	if err := ValidateParams(*g.Params); err != nil {
		return fmt.Errorf("ordering: %w", err)
	}
	for _, c := range g.Carried {
		if len(c.GetRecords()) == 0 || len(c.GetRecords())%recordSize != 0 {
			return fmt.Errorf("ordering: record of height %d has %d bytes, want a multiple of %d", c.GetHeight(), len(c.GetRecords()), recordSize)
		}
	}
	return nil
}

// InitGenesis writes the module's first state. Records matter where a chain goes
// on from an export under its old name.
func (k Keeper) InitGenesis(ctx context.Context, g *orderingv1.GenesisState) error {
	if err := ValidateGenesis(g); err != nil {
		return err
	}
	if err := k.SetParams(ctx, *g.Params); err != nil {
		return err
	}
	kv := k.store.OpenKVStore(ctx)
	for _, c := range g.Carried {
		if err := kv.Set(recordKey(c.Until, c.Height), c.Records); err != nil {
			return fmt.Errorf("write record of height %d: %w", c.Height, err)
		}
	}
	return nil
}

// ExportGenesis returns the module's state.
func (k Keeper) ExportGenesis(ctx context.Context) (*orderingv1.GenesisState, error) {
	p, err := k.Params(ctx)
	if err != nil {
		return nil, err
	}
	g := &orderingv1.GenesisState{Params: &p}
	err = k.eachRecord(ctx, func(until, height uint64, records []byte) error {
		g.Carried = append(g.Carried, &orderingv1.CarriedBundles{Height: height, Until: until, Records: records})
		return nil
	})
	return g, err
}
