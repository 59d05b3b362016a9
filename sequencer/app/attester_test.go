package app_test

import (
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/stretchr/testify/require"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

func operatorAddress(i int) sdk.AccAddress { return sdk.AccAddress(operator(i).PubKey().Address()) }

func laneOwner(i int) order.Owner { return order.Owner(operatorAddress(i)) }

func newAttestationKey(i int) stded25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "attestation of %d", i))
	return stded25519.NewKeyFromSeed(seed[:])
}

// editOrdering changes the ordering module's part of a genesis file.
func editOrdering(t testingT, doc *cmttypes.GenesisDoc, edit func(*orderingv1.GenesisState)) {
	enc, err := app.NewEncoding()
	require.NoError(t, err)
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(doc.AppState, &state))
	g := new(orderingv1.GenesisState)
	enc.Codec.MustUnmarshalJSON(state[ordering.ModuleName], g)
	edit(g)
	state[ordering.ModuleName] = enc.Codec.MustMarshalJSON(g)
	doc.AppState, err = json.Marshal(state)
	require.NoError(t, err)
}

// members asks for the committee of the next block's epoch, by owner.
func (c *chain) members() (uint64, map[order.Owner]*orderingv1.Member) {
	res := query(c, "/ordo.ordering.v1.Query/Committee", &orderingv1.QueryCommitteeRequest{Current: true}, new(orderingv1.QueryCommitteeResponse))
	members := make(map[order.Owner]*orderingv1.Member)
	for _, m := range res.Committee.Members {
		members[order.Owner(m.Owner)] = m
	}
	return res.Committee.Epoch, members
}

// A validator that joins dispersal, and one that is caught: what blocks make of it.
func TestCommitteeFollowsTheChain(t *testing.T) {
	const epochBlocks = 10
	doc := newGenesis(t, 4)
	editOrdering(t, doc, func(g *orderingv1.GenesisState) {
		g.Params.EpochBlocks, g.Attesters = epochBlocks, nil
		for i := range 2 {
			g.Attesters = append(g.Attesters, &orderingv1.Attester{
				Operator: operatorAddress(i).String(), Key: newAttestationKey(i).Public().(stded25519.PublicKey),
				Address: "127.0.0.1:7000", Api: "http://127.0.0.1:8080",
			})
		}
	})
	c := start(t, doc, t.TempDir())
	t.Cleanup(func() { _ = c.app.Pool().Close() })
	run := func(raw []byte) uint32 {
		t.Helper()
		c.broadcast(raw)
		out := c.block()
		require.Len(t, out.txs, ordering.OwnTxs+1)
		return out.res.TxResults[ordering.OwnTxs].Code
	}
	epoch, members := c.members()
	require.Zero(t, epoch)
	require.Len(t, members, 4)
	require.NotEmpty(t, members[laneOwner(1)].Key)
	require.Empty(t, members[laneOwner(2)].Key)

	register := func(operator sdk.AccAddress) *orderingv1.MsgSetAttester {
		key := newAttestationKey(2)
		return &orderingv1.MsgSetAttester{
			Operator: operator.String(), AttestationKey: key.Public().(stded25519.PublicKey), Address: "[::1]:7002", Api: "http://[::1]:8082",
			Proof: stded25519.Sign(key, ordering.AttesterSignBytes(chainID, order.Owner(operator))),
		}
	}
	require.NotZero(t, run(c.tx(sdkKey(0), 300_000, 0, register(payerAddress(0)))), "who operates no validator")
	require.Zero(t, run(c.tx(operator(2), 300_000, 0, register(operatorAddress(2)))))
	_, members = c.members()
	require.Empty(t, members[laneOwner(2)].Key, "the epoch has its committee")
	for c.height < epochBlocks {
		c.block()
	}
	epoch, members = c.members()
	require.EqualValues(t, 1, epoch)
	require.Equal(t, []byte(newAttestationKey(2).Public().(stded25519.PublicKey)), members[laneOwner(2)].Key)

	signed := func(content byte) *orderingv1.Signed {
		core := order.BatchCore{
			ChainID: chainID, Position: order.Position{Owner: laneOwner(1), Mark: order.Mark{Session: 1, Sequence: 1}},
			Epoch: 1, Root: order.Digest{content}, Length: 1, Count: 1,
		}
		return &orderingv1.Signed{Core: core.Encode(), Signature: stded25519.Sign(newAttestationKey(1), core.SignBytes())}
	}
	evidence := &orderingv1.MsgSubmitEquivocation{Submitter: payerAddress(0).String(), First: signed(1), Second: signed(2)}
	c.broadcast(c.tx(sdkKey(0), 1_000_000, 0, evidence))
	out := c.block()
	require.Zero(t, out.res.TxResults[ordering.OwnTxs].Code, out.res.TxResults[ordering.OwnTxs].Log)
	require.Len(t, out.res.ValidatorUpdates, 1, "consensus goes on without it")
	require.Zero(t, out.res.ValidatorUpdates[0].Power)
	require.NotZero(t, run(c.tx(sdkKey(0), 1_000_000, 0, evidence)), "once is enough")
	_, members = c.members()
	require.Contains(t, members, laneOwner(1), "the epoch keeps its committee")
	for c.height < 2*epochBlocks {
		c.block()
	}
	epoch, members = c.members()
	require.EqualValues(t, 2, epoch)
	require.NotContains(t, members, laneOwner(1))
	require.Len(t, members, 3)
}
