package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/availability"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

func newClaim(id order.RollupID, from, to uint64, salt int) *availabilityv1.Claim {
	blob := da.ID(fmt.Append(nil, salt))
	return &availabilityv1.Claim{
		RollupId: id[:], Layer: "local", From: from, To: to,
		Parts: []*availabilityv1.Part{{DaHeight: 3, BlobId: blob[:]}},
	}
}

// claims has payer i claim in a block of its own, and returns the result and the event's content.
func (c *chain) claims(i int, list ...*availabilityv1.Claim) (*abci.ExecTxResult, []availability.Recorded) {
	c.t.Helper()
	c.broadcast(c.tx(sdkKey(i), 20_000_000, 0, &availabilityv1.MsgClaim{Relayer: payerAddress(i).String(), Claims: list}))
	out := c.block()
	require.Len(c.t, out.res.TxResults, 3)
	recorded, err := availability.RecordedBy(out.res.TxResults)
	require.NoError(c.t, err)
	return out.res.TxResults[2], recorded
}

// say lets validators vote about claims, in what they said with the last block.
func (c *chain) say(validators []int, confirmed, denied []uint64) {
	for _, i := range validators {
		c.said[i] = (&order.VoteExtension{Confirmed: confirmed, Denied: denied}).Encode()
	}
}

func (c *chain) available(id order.RollupID) availability.Available {
	c.t.Helper()
	height, found, err := c.app.Available([]order.RollupID{id})
	require.NoError(c.t, err)
	require.EqualValues(c.t, c.height, height)
	return found[0]
}

func (c *chain) relayer(i int) *availabilityv1.Relayer {
	c.t.Helper()
	return query(c, "/ordo.availability.v1.Query/Relayer", &availabilityv1.QueryRelayerRequest{Address: payerAddress(i).String()},
		new(availabilityv1.QueryRelayerResponse)).Relayer
}

func (c *chain) to(height int64) {
	for c.height < height {
		c.block()
	}
}

func TestClaimIsConfirmedByVotes(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(5)
	claim := newClaim(alpha, 1, 4, 0)
	res, recorded := c.claims(0, claim, newClaim(beta, 2, 3, 1))
	require.Zero(t, res.Code, res.Log)
	t.Logf("two claims took %d gas", res.GasUsed)
	raw, err := claim.Marshal()
	require.NoError(t, err)
	require.Equal(t, availability.Recorded{Relayer: payerAddress(0).String(), Claim: raw}, recorded[0])
	require.Len(t, recorded, 2)
	waiting, err := c.app.Claims(func(n uint64) bool { return n == 2 })
	require.NoError(t, err)
	require.Equal(t, []uint64{1, 2}, waiting.Numbers)
	require.Len(t, waiting.Wanted, 1)
	require.EqualValues(t, 2, waiting.Wanted[0].Claim.From)

	// Half of the power is not enough; nor is it if it says so at different heights.
	c.say([]int{0, 1}, []uint64{1}, nil)
	c.block()
	c.say([]int{2, 3}, []uint64{1}, nil)
	c.block()
	require.Equal(t, 1, c.available(alpha).Waiting)
	// One of four may lie, either way.
	c.say([]int{0, 1, 2}, []uint64{1}, nil)
	c.say([]int{3}, []uint64{2}, []uint64{1})
	out := c.block()
	a := c.available(alpha)
	require.Len(t, a.Ranges, 1)
	require.Equal(t, &availabilityv1.Range{From: 1, To: 4, Layer: "local", Moved: uint64(c.height)}, a.Ranges[0])
	require.Zero(t, a.Waiting)
	require.Empty(t, c.available(beta).Ranges)
	require.EqualValues(t, 1, c.relayer(0).Confirmed)
	settled := 0
	for _, e := range out.res.Events {
		if e.Type == availability.EventSettled {
			settled++
		}
	}
	require.Equal(t, 1, settled)
}

func TestFalseClaimIsDeniedByVotes(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(5)
	res, _ := c.claims(0, newClaim(alpha, 1, 4, 0))
	require.Zero(t, res.Code, res.Log)
	// A liar alone does nothing, two of four are more than a third.
	c.say([]int{3}, nil, []uint64{1})
	c.block()
	require.Equal(t, 1, c.available(alpha).Waiting)
	c.say([]int{1, 2}, nil, []uint64{1})
	c.say([]int{0, 3}, []uint64{1}, nil)
	c.block()
	require.Zero(t, c.available(alpha).Waiting)
	require.Empty(t, c.available(alpha).Ranges)
	r := c.relayer(0)
	require.EqualValues(t, 1, r.FalseClaims)
	res, recorded := c.claims(0, newClaim(alpha, 1, 4, 1))
	require.Zero(t, res.Code, res.Log)
	require.Len(t, recorded, 1, "readers find it")
	require.Zero(t, c.available(alpha).Waiting, "nobody looks at it")
	res, _ = c.claims(1, newClaim(alpha, 1, 4, 1))
	require.Zero(t, res.Code, "others are heard")
	res, _ = c.claims(1, newClaim(alpha, 1, uint64(c.height)+1, 2))
	require.Equal(t, availability.ModuleName, res.Codespace)
	require.Equal(t, availability.CodeClaim, res.Code, "of blocks that there are not yet: %s", res.Log)
}

// A proposer may leave out what less than a third said, and so a claim waits for the
// next one; it cannot turn votes around, and whoever left is not counted as there.
func TestProposerAndAbsentVotes(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(5)
	c.claims(0, newClaim(alpha, 1, 4, 0))
	c.say([]int{0, 1, 2}, []uint64{1}, nil)
	silent := c.votes()
	silent.Votes[0].VoteExtension, silent.Votes[0].ExtensionSignature = nil, nil
	c.apply(c.layoutWith(ordering.Manifest{Votes: silent}, nil))
	require.Equal(t, 1, c.available(alpha).Waiting)

	c.say([]int{0, 1}, []uint64{1}, nil)
	forged := c.votes()
	forged.Votes[2].VoteExtension = forged.Votes[0].VoteExtension
	c.refused(t, c.layoutWith(ordering.Manifest{Votes: forged}, nil), "does not verify")
	c.flags = map[int]cmtproto.BlockIDFlag{3: cmtproto.BlockIDFlagAbsent}
	c.block()
	require.Equal(t, 1, c.available(alpha).Waiting, "two of four, although one of these is away")
	c.say([]int{0, 1, 2}, []uint64{1}, nil)
	c.flags = map[int]cmtproto.BlockIDFlag{3: cmtproto.BlockIDFlagAbsent}
	c.block()
	require.Len(t, c.available(alpha).Ranges, 1, "three of four")
}

// Whatever comes with a vote, the chain goes on, and votes of others count.
func TestMalformedVotes(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(5)
	c.claims(0, newClaim(alpha, 1, 4, 0))
	both := []byte{0x12, 1, 1, 0x1a, 1, 1}
	many := order.VoteExtension{}
	for n := range uint64(order.MaxVotes + 1) {
		many.Confirmed = append(many.Confirmed, n+1)
	}
	for name, said := range map[string][]byte{"both ways": both, "too many": many.Encode(), "junk": []byte("junk")} {
		require.False(t, c.hear(3, said), name)
		c.said[3] = said
		c.say([]int{0, 1}, []uint64{1}, nil)
		c.block()
		require.Equal(t, 1, c.available(alpha).Waiting, name)
	}
	c.said[3] = both
	c.say([]int{0, 1, 2}, []uint64{1}, nil)
	c.block()
	require.Len(t, c.available(alpha).Ranges, 1)
}

func TestOwnVotes(t *testing.T) {
	c := newChainOf(t, 4)
	a := c.certs(0, 1)
	c.lanes.hold(t, a...)
	var asked uint64
	yes, no := []uint64{3, 4}, []uint64{9}
	c.app.SetVotes(func(height uint64) ([]uint64, []uint64) {
		asked = height
		return yes, no
	})
	said, err := order.DecodeVoteExtension(c.vote()[0])
	require.NoError(t, err)
	require.Equal(t, &order.VoteExtension{Tips: []order.Tip{tip(a[0])}, Confirmed: yes, Denied: no}, said)
	require.EqualValues(t, c.height+1, asked)
	require.True(t, c.hear(1, c.vote()[0]))
	// Votes that nobody would take do not silence what is said of lanes.
	no = yes
	require.Equal(t, tips(tip(a[0])), c.vote()[0])
}

// The state depends on nothing but the blocks: an application that sees each block only
// when it is decided, and is opened anew between them, comes to the same.
func TestClaimsReplay(t *testing.T) {
	c := newChainOf(t, 4)
	type block struct {
		txs  [][]byte
		last abci.CommitInfo
		hash []byte
	}
	genesis := c.genesis
	fresh := initiate(t, genesis, dbm.NewMemDB(), t.TempDir())
	t.Cleanup(func() { _ = fresh.app.Pool().Close() })
	first := initiate(t, genesis, dbm.NewMemDB(), t.TempDir())
	t.Cleanup(func() { _ = first.app.Pool().Close() })
	var blocks []block
	do := func(c *chain) {
		last := c.commit()
		out := c.block()
		blocks = append(blocks, block{out.txs, last, out.res.AppHash})
	}
	do(first)
	for i := range 4 {
		do(first)
		to := uint64(first.height)
		first.broadcast(first.tx(sdkKey(i%2), 20_000_000, 0, &availabilityv1.MsgClaim{Relayer: payerAddress(i % 2).String(), Claims: []*availabilityv1.Claim{
			newClaim(alpha, to, to, i), newClaim(beta, 1, to, i),
		}}))
		do(first)
		n := uint64(2*i + 1)
		if i == 2 {
			first.say([]int{0, 1}, []uint64{n}, []uint64{n + 1})
		} else {
			first.say([]int{0, 1, 2}, []uint64{n, n + 1}, nil)
		}
		do(first)
	}
	require.NotEmpty(t, first.available(alpha).Ranges)
	for i, b := range blocks {
		if i%3 == 2 {
			fresh.crash(t)
		}
		res, err := fresh.abci.FinalizeBlock(context.Background(), &abci.RequestFinalizeBlock{
			Txs: b.txs, DecidedLastCommit: b.last, Height: fresh.height + 1, Time: fresh.nextTime(), ProposerAddress: fresh.vals[0].Address, Hash: []byte("hash"),
		})
		require.NoError(t, err)
		require.Equal(t, b.hash, res.AppHash, "block %d", i+1)
		fresh.save(nil)
	}
	require.Equal(t, first.available(alpha), fresh.available(alpha))
}

// A genesis from before the module starts a chain that has it.
func TestGenesisWithoutAvailability(t *testing.T) {
	doc := newGenesis(t, 4)
	var state map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(doc.AppState, &state))
	require.Contains(t, state, availability.ModuleName)
	delete(state, availability.ModuleName)
	var err error
	doc.AppState, err = json.Marshal(state)
	require.NoError(t, err)
	enc, err := app.NewEncoding()
	require.NoError(t, err)
	require.NoError(t, enc.Basics.ValidateGenesis(enc.Codec, enc.TxConfig, state))
	c := start(t, doc, t.TempDir())
	t.Cleanup(func() { _ = c.app.Pool().Close() })
	c.to(5)
	res, _ := c.claims(0, newClaim(alpha, 1, 4, 0))
	require.Zero(t, res.Code, res.Log)
	c.say([]int{0, 1, 2}, []uint64{1}, nil)
	c.block()
	require.Len(t, c.available(alpha).Ranges, 1)
	p := query(c, "/ordo.availability.v1.Query/Params", new(availabilityv1.QueryParamsRequest), new(availabilityv1.QueryParamsResponse))
	require.Equal(t, availability.DefaultParams(), *p.Params)
}

// What claims take is told by what they are, and said by the module.
func TestGasOfClaims(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(5)
	for name, size := range map[string]int{"small": 60, "large": 1500} {
		var list []*availabilityv1.Claim
		for i := range availability.MaxMessageClaims {
			claim := newClaim(order.NewRollupID(fmt.Sprint(name, i)), 1, 4, i)
			claim.Parts[0].Commitment = make([]byte, size)
			list = append(list, claim)
		}
		res, _ := c.claims(0, list...)
		require.Zero(t, res.Code, res.Log)
		bytes := (&availabilityv1.MsgClaim{Claims: list}).Size()
		t.Logf("%s: %d claims of %d bytes took %d gas, %d a claim", name, len(list), bytes, res.GasUsed, res.GasUsed/int64(len(list)))
		least := len(list) * (availability.RecordGas + availability.LookGas + availability.PartGas)
		require.Greater(t, res.GasUsed, int64(least+bytes*availability.ByteGas))
		require.Less(t, res.GasUsed, int64(least+bytes*(availability.ByteGas+20)+100_000), "with what the transaction takes itself")
	}
}

// What there is no room for is refused by a code of its own, and leaves nothing.
func TestNoRoomForClaims(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(200)
	var list []*availabilityv1.Claim
	for i := range uint64(availability.MaxRelayerPending) {
		list = append(list, newClaim(alpha, i+1, i+1, int(i)))
	}
	res, _ := c.claims(0, list...)
	require.Zero(t, res.Code, res.Log)
	res, recorded := c.claims(0, newClaim(beta, 1, 4, 1), newClaim(alpha, 100, 100, 100))
	require.Equal(t, availability.ModuleName, res.Codespace)
	require.Equal(t, availability.CodeNoRoom, res.Code)
	require.Empty(t, recorded)
	require.Zero(t, c.available(beta).Waiting)
	numbers := make([]uint64, len(list))
	for i := range numbers {
		numbers[i] = uint64(i + 1)
	}
	c.say([]int{0, 1, 2}, numbers, nil)
	c.block()
	require.Len(t, c.available(alpha).Ranges, 1)
	require.EqualValues(t, availability.MaxRelayerPending, c.available(alpha).Ranges[0].To, "nothing of it was lost")
	res, _ = c.claims(0, newClaim(beta, 1, 4, 1), newClaim(alpha, 100, 100, 100))
	require.Zero(t, res.Code, res.Log)
}

// A block that is full of claims takes a bounded time, whatever waits already and
// whoever claims; and what one account claims leaves room for others.
func TestBlocksFullOfClaims(t *testing.T) {
	c := newChainOf(t, 4)
	c.to(5)
	salt := 0
	honest, _ := c.claims(1, newClaim(alpha, 1, 4, 0))
	require.Zero(t, honest.Code, honest.Log)
	// flood fills a block with claims of one account, and returns how many it took.
	flood := func(i, size int) (took time.Duration, gas int64, code uint32) {
		claim := func() *availabilityv1.Claim {
			salt++
			claim := newClaim(order.NewRollupID(fmt.Sprint("flood", salt)), 1, 4, salt)
			claim.Parts[0].Commitment = make([]byte, size)
			return claim
		}
		per := 50_000_000 / (availability.RecordGas + availability.LookGas + availability.PartGas + (availability.ByteGas+10)*(claim().Size()+4) + 1000)
		var msgs []sdk.Msg
		for left := per; left > 0; left -= availability.MaxMessageClaims {
			m := &availabilityv1.MsgClaim{Relayer: payerAddress(i).String()}
			for range min(left, availability.MaxMessageClaims) {
				m.Claims = append(m.Claims, claim())
			}
			msgs = append(msgs, m)
		}
		c.broadcast(c.tx(sdkKey(i), 50_000_000, 0, msgs...))
		txs := c.prepare()
		require.Len(t, txs, 3)
		began := time.Now()
		res, err := c.finalize(txs)
		took = time.Since(began)
		require.NoError(t, err)
		c.save(make([][]byte, len(c.vals)))
		return took, res.TxResults[2].GasUsed, res.TxResults[2].Code
	}
	share := availability.DefaultParams().MaxPending / 8
	full := false
	for n := range 4 {
		took, gas, code := flood(0, 0)
		waiting, err := c.app.Claims(func(uint64) bool { return false })
		require.NoError(t, err)
		t.Logf("block %d: %d gas, code %d, FinalizeBlock %v; %d wait", n, gas, code, took, len(waiting.Numbers))
		require.LessOrEqual(t, len(waiting.Numbers), int(share)+1)
		require.Contains(t, waiting.Numbers, uint64(1), "the claim of another account waits")
		full = full || code == availability.CodeNoRoom
	}
	require.True(t, full)
	took, gas, code := flood(2, 4000)
	t.Logf("large claims: %d gas, code %d, FinalizeBlock %v", gas, code, took)
}
