package ordering

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/order"
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
	for _, check := range []func(*orderingv1.GenesisState) error{validateLanes, validateAttesters, validateCommittees} {
		if err := check(g); err != nil {
			return fmt.Errorf("ordering: %w", err)
		}
	}
	return nil
}

func validateLanes(g *orderingv1.GenesisState) error {
	seen := make(map[order.Owner]bool, len(g.Lanes))
	for _, l := range g.Lanes {
		owner, err := order.OwnerFromBytes(l.GetOwner())
		if err != nil {
			return fmt.Errorf("lane: %w", err)
		}
		if seen[owner] {
			return fmt.Errorf("lane of %s stands twice", owner)
		}
		if l.Session == 0 || l.Sequence == 0 {
			return fmt.Errorf("lane of %s stands at %s, want a session and a sequence", owner, laneState(l).Mark)
		}
		seen[owner] = true
	}
	return nil
}

func validateAttesters(g *orderingv1.GenesisState) error {
	keys := make(map[string]order.Owner, len(g.Keys)+len(g.Attesters))
	for _, k := range g.Keys {
		owner, err := order.OwnerFromBytes(k.GetOwner())
		if err != nil {
			return fmt.Errorf("key %x: %w", k.GetKey(), err)
		}
		if _, twice := keys[string(k.Key)]; twice || len(k.Key) != ed25519.PublicKeySize {
			return fmt.Errorf("key %x stands twice or has not %d bytes", k.Key, ed25519.PublicKeySize)
		}
		keys[string(k.Key)] = owner
	}
	seen := make(map[order.Owner]bool, len(g.Attesters))
	for _, a := range g.Attesters {
		owner, err := checkAttester(a)
		if err != nil {
			return err
		}
		if seen[owner] {
			return fmt.Errorf("attester %s stands twice", a.Operator)
		}
		seen[owner] = true
		if other, used := keys[string(a.Key)]; used && other != owner {
			return fmt.Errorf("attester %s: key %x: %w", a.Operator, a.Key, ErrKeyTaken)
		}
		keys[string(a.Key)] = owner
	}
	return nil
}

func validateCommittees(g *orderingv1.GenesisState) error {
	if len(g.Committees) == 0 && g.Epoch != 0 {
		return fmt.Errorf("epoch is %d, but there is no committee", g.Epoch)
	}
	for i, c := range g.Committees {
		if c.GetEpoch() > g.Epoch || i > 0 && c.GetEpoch() <= g.Committees[i-1].GetEpoch() {
			return fmt.Errorf("committee of epoch %d is out of order or later than epoch %d", c.GetEpoch(), g.Epoch)
		}
		members, err := decodeMembers(c.GetMembers())
		if err != nil {
			return fmt.Errorf("committee of epoch %d: %w", c.GetEpoch(), err)
		}
		if _, err := order.NewCommittee(c.GetEpoch(), members); err != nil {
			return fmt.Errorf("committee of epoch %d: %w", c.GetEpoch(), err)
		}
		for j := 1; j < len(c.Members); j++ {
			if bytes.Compare(c.Members[j-1].Owner, c.Members[j].Owner) >= 0 {
				return fmt.Errorf("committee of epoch %d: member %x is out of order", c.Epoch, c.Members[j].Owner)
			}
		}
	}
	return nil
}

// InitGenesis writes the module's first state, up to its first committee: BeginEpoch
// makes that one. Records, lanes and committees matter where a chain goes on from an
// export under its old name.
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
	for _, l := range g.Lanes {
		if err := k.SetLane(ctx, order.Owner(l.Owner), laneState(l)); err != nil {
			return err
		}
	}
	for _, used := range g.Keys {
		if err := k.reserveKey(ctx, used.Key, order.Owner(used.Owner)); err != nil {
			return err
		}
	}
	for _, a := range g.Attesters {
		owner, err := checkAttester(a)
		if err != nil {
			return err
		}
		if err := k.setAttester(ctx, owner, a); err != nil {
			return err
		}
	}
	for _, c := range g.Committees {
		if err := k.set(ctx, committeeKey(c.Epoch), c); err != nil {
			return err
		}
	}
	if len(g.Committees) > 0 {
		return kv.Set(epochKey, binary.BigEndian.AppendUint64(nil, g.Epoch))
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
	lanes, errLanes := k.Lanes(ctx)
	for _, l := range lanes {
		g.Lanes = append(g.Lanes, laneRow(l))
	}
	var errAttesters, errEpoch error
	g.Attesters, errAttesters = k.Attesters(ctx)
	g.Epoch, _, errEpoch = k.epoch(ctx)
	return g, errors.Join(errLanes, errAttesters, errEpoch,
		k.eachRecord(ctx, func(until, height uint64, records []byte) error {
			g.Carried = append(g.Carried, &orderingv1.CarriedBundles{Height: height, Until: until, Records: records})
			return nil
		}),
		k.each(ctx, keyOwnerPrefix, func(key, owner []byte) error {
			g.Keys = append(g.Keys, &orderingv1.KeyOwner{Key: bytes.Clone(key[1:]), Owner: bytes.Clone(owner)})
			return nil
		}),
		k.each(ctx, committeePrefix, func(_, raw []byte) error {
			c := new(orderingv1.Committee)
			g.Committees = append(g.Committees, c)
			return c.Unmarshal(raw)
		}))
}
