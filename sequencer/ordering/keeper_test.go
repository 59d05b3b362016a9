package ordering

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cosmossdk.io/core/store"

	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

func newKeeper(t testing.TB) (Keeper, sdk.Context, store.KVStore) {
	key := storetypes.NewKVStoreKey(StoreKey)
	service := runtime.NewKVStoreService(key)
	ctx := testutil.DefaultContextWithDB(t, key, storetypes.NewTransientStoreKey("transient")).Ctx
	return NewKeeper(service, nil, "fees", "authority"), ctx, service.OpenKVStore(ctx)
}

func evaluation(t require.TestingT, height, until uint64, ids []order.BundleID, drops ...Drop) *Evaluation {
	block, err := order.NewBlock(height, nil, uint64(len(drops)))
	require.NoError(t, err)
	return &Evaluation{Block: block, IDs: ids, Drops: drops, Until: until}
}

func id(n int) (id order.BundleID) {
	copy(id[:], fmt.Append(nil, n))
	return id
}

// The window that follows commits is the one that a restart reads from the store,
// and it knows a bundle for exactly as long as a block could order it.
func TestWindowFollowsStore(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k, ctx, kv := newKeeper(t)
		w := NewWindow()
		require.NoError(rt, k.LoadWindow(ctx, 0, w))
		type carried struct {
			fate  Fate
			until uint64
		}
		all := map[order.BundleID]carried{}
		for height := uint64(1); height <= 12; height++ {
			var ids []order.BundleID
			var drops []Drop
			until := height + rapid.Uint64Range(0, 5).Draw(rt, "until")
			for i := range rapid.IntRange(0, 3).Draw(rt, "bundles") {
				ids = append(ids, id(len(all)))
				fate := Fate{Height: height}
				if rapid.Bool().Draw(rt, "drop") {
					drops = append(drops, Drop{Index: i, ID: ids[i], Reason: DropFunds})
					fate.Reason = DropFunds
				}
				all[ids[i]] = carried{fate, until}
			}
			e := evaluation(rt, height, until, ids, drops...)
			require.NoError(rt, k.Apply(ctx, e))
			require.True(rt, w.Mirrors(height-1), "before the commit nothing changes")
			w.Apply(e.Carried())
			require.True(rt, w.Mirrors(height))
			fresh := NewWindow()
			require.NoError(rt, k.LoadWindow(ctx, height, fresh))
			require.Equal(rt, fresh.fates, w.fates)
			for id, c := range all {
				fate, ok := w.Fate(id)
				require.Equal(rt, c.until > height, ok, "known until the last height at which it could be ordered")
				if ok {
					require.Equal(rt, c.fate, fate)
				}
			}
		}
		require.NoError(rt, k.Apply(ctx, evaluation(rt, 100, 0, nil)))
		it, err := kv.Iterator(recordPrefix, nil)
		require.NoError(rt, err)
		require.False(rt, it.Valid(), "records are pruned")
		require.NoError(rt, it.Close())
	})
}

// Rules for a height that the window does not stand for make it read the store.
func TestRulesReloadWindow(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	require.NoError(t, k.InitGenesis(ctx, DefaultGenesis()))
	require.NoError(t, k.Apply(ctx, evaluation(t, 5, 9, []order.BundleID{id(1)})))
	w := NewWindow()
	for _, height := range []uint64{6, 7} { // as after a snapshot of another height
		r, err := k.Rules(ctx, height, w, NewVerifier("x"))
		require.NoError(t, err)
		_, ok := r.Fate(id(1))
		require.True(t, ok)
		require.True(t, w.Mirrors(height-1))
	}
}

func TestGenesisKeepsRecords(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	_, err := k.Params(ctx)
	require.ErrorContains(t, err, "genesis lacks the ordering module")
	require.NoError(t, k.InitGenesis(ctx, DefaultGenesis()))
	require.NoError(t, k.Apply(ctx, evaluation(t, 5, 9, []order.BundleID{id(1), id(2)}, Drop{Index: 1, ID: id(2), Reason: DropFunds})))
	out, err := k.ExportGenesis(ctx)
	require.NoError(t, err)
	require.NoError(t, ValidateGenesis(out))

	other, fresh, _ := newKeeper(t)
	require.NoError(t, other.InitGenesis(fresh, out))
	again, err := other.ExportGenesis(fresh)
	require.NoError(t, err)
	require.Equal(t, out, again)
	w := NewWindow()
	require.NoError(t, other.LoadWindow(fresh, 5, w))
	fate, ok := w.Fate(id(2))
	require.True(t, ok)
	require.Equal(t, Fate{Height: 5, Reason: DropFunds}, fate)

	out.Carried[0].Records = out.Carried[0].Records[1:]
	require.Error(t, ValidateGenesis(out))
	require.Error(t, ValidateGenesis(&orderingv1.GenesisState{}))
}

func TestOnlyAuthorityChangesParams(t *testing.T) {
	k, ctx, _ := newKeeper(t)
	s := server{k}
	p := DefaultParams()
	p.FeePerKilobyte = 5
	for _, m := range []*orderingv1.MsgUpdateParams{
		{Authority: "someone", Params: &p}, {Authority: "authority"}, {Authority: "authority", Params: &Params{}},
	} {
		_, err := s.UpdateParams(context.Context(ctx), m)
		require.Error(t, err)
	}
	_, err := s.UpdateParams(ctx, &orderingv1.MsgUpdateParams{Authority: "authority", Params: &p})
	require.NoError(t, err)
	got, err := k.Params(ctx)
	require.NoError(t, err)
	require.Equal(t, p, got)
}
