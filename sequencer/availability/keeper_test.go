package availability

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/da"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

var (
	alpha = rollup("alpha")
	beta  = rollup("beta")
)

func rollup(name string) []byte {
	id := sha256.Sum256([]byte(name))
	return id[:]
}

func relayer(i int) sdk.AccAddress {
	sum := sha256.Sum256(fmt.Appendf(nil, "relayer %d", i))
	return sum[:20]
}

func authority() string { return authtypes.NewModuleAddress(govtypes.ModuleName).String() }

// ledger is a keeper over a store of its own.
type ledger struct {
	t testing.TB
	Keeper
	ctx sdk.Context
}

func newLedger(t testing.TB) *ledger {
	keys := storetypes.NewKVStoreKeys(StoreKey)
	l := &ledger{
		t: t, Keeper: NewKeeper(runtime.NewKVStoreService(keys[StoreKey]), authority()),
		ctx: testutil.DefaultContextWithKeys(keys, nil, nil),
	}
	l.at(1000)
	return l
}

func (l *ledger) at(height uint64) { l.ctx = l.ctx.WithBlockHeight(int64(height)) }

func (l *ledger) params(edit func(*Params)) {
	p := DefaultParams()
	edit(&p)
	require.NoError(l.t, l.SetParams(l.ctx, p))
}

// newClaim is about blocks of a rollup. No two with another salt are the same.
func newClaim(rollup []byte, from, to uint64, salt int) *availabilityv1.Claim {
	id := sha256.Sum256(fmt.Appendf(nil, "blob %d", salt))
	return &availabilityv1.Claim{
		RollupId: rollup, Layer: "celestia", From: from, To: to,
		Parts: []*availabilityv1.Part{{DaHeight: 7, Commitment: []byte("commitment"), BlobId: id[:]}},
	}
}

// claims has a relayer claim, and returns the number.
func (l *ledger) claims(i int, c *availabilityv1.Claim) uint64 {
	l.t.Helper()
	numbers, err := l.claim(l.ctx, relayer(i), []*availabilityv1.Claim{c})
	require.NoError(l.t, err)
	return numbers[0]
}

// settle has three quarters of the power confirm and one third and a bit deny.
func (l *ledger) settle(confirmed, denied []uint64) {
	l.t.Helper()
	require.NoError(l.t, l.Settle(l.ctx, 100, []Ballot{{Power: 40, Confirmed: confirmed, Denied: denied}, {Power: 35, Confirmed: confirmed}}))
}

func (l *ledger) ranges(rollup []byte) []string {
	l.t.Helper()
	r, err := l.Rollup(l.ctx, rollup)
	require.NoError(l.t, err)
	var out []string
	for _, x := range r.Ranges {
		out = append(out, fmt.Sprintf("%d-%d", x.From, x.To))
	}
	return out
}

func (l *ledger) numbers() []uint64 {
	l.t.Helper()
	all, err := l.Pending(l.ctx, 0, 1<<20)
	require.NoError(l.t, err)
	var out []uint64
	for _, p := range all {
		out = append(out, p.Number)
	}
	count, err := l.number(l.ctx, pendingCountKey)
	require.NoError(l.t, err)
	require.EqualValues(l.t, len(out), count, "as many as are counted")
	byRelayer, byRollup := make(map[string]int), make(map[string][]uint64)
	for _, p := range all {
		byRelayer[p.Relayer]++
		byRollup[string(p.Claim.RollupId)] = append(byRollup[string(p.Claim.RollupId)], p.Number)
	}
	require.NoError(l.t, l.scan(l.ctx, relayerCountPrefix, endOf(relayerCountPrefix), func(key, raw []byte) error {
		address := sdk.AccAddress(key[1:]).String()
		require.EqualValues(l.t, byRelayer[address], binary.BigEndian.Uint64(raw))
		delete(byRelayer, address)
		return nil
	}))
	require.Empty(l.t, byRelayer, "each relayer's are counted, and nobody else's")
	require.NoError(l.t, l.scan(l.ctx, waitingPrefix, endOf(waitingPrefix), func(key, raw []byte) error {
		var w availabilityv1.Waiting
		require.NoError(l.t, w.Unmarshal(raw))
		var numbers []uint64
		for _, c := range w.Claims {
			numbers = append(numbers, c.Number)
		}
		require.Equal(l.t, byRollup[string(key[1:])], numbers)
		delete(byRollup, string(key[1:]))
		return nil
	}))
	require.Empty(l.t, byRollup, "each rollup's are listed, and no others")
	return out
}

func (l *ledger) record(i int) *availabilityv1.Relayer {
	l.t.Helper()
	r, err := l.Relayer(l.ctx, relayer(i))
	require.NoError(l.t, err)
	return r
}

func TestClaimsBecomeRanges(t *testing.T) {
	l := newLedger(t)
	first := l.claims(0, newClaim(alpha, 11, 20, 0))
	ahead := l.claims(0, newClaim(alpha, 31, 40, 1))
	other := l.claims(0, newClaim(beta, 1, 5, 2))
	require.Equal(t, []uint64{1, 2, 3}, []uint64{first, ahead, other})
	l.settle([]uint64{first, ahead, other}, nil)
	require.Equal(t, []string{"11-20", "31-40"}, l.ranges(alpha))
	require.Equal(t, []string{"1-5"}, l.ranges(beta))
	require.Empty(t, l.numbers())
	require.EqualValues(t, 3, l.record(0).Confirmed)

	// What is confirmed needs no look, what overlaps it does.
	require.Zero(t, l.claims(1, newClaim(alpha, 12, 19, 3)))
	gap := l.claims(1, newClaim(alpha, 15, 30, 4))
	before := l.claims(1, newClaim(alpha, 5, 10, 5))
	overtaken := l.claims(2, newClaim(alpha, 19, 31, 6))
	l.settle([]uint64{gap}, nil)
	require.Equal(t, []string{"11-40"}, l.ranges(alpha))
	require.Equal(t, []uint64{before}, l.numbers(), "claim %d is of blocks that are confirmed now", overtaken)
	l.settle([]uint64{before}, nil)
	require.Equal(t, []string{"5-40"}, l.ranges(alpha))
	require.Zero(t, l.record(2).Confirmed)
}

func TestRecordsAreNotVotedOn(t *testing.T) {
	l := newLedger(t)
	require.Zero(t, l.claims(0, newClaim(alpha, 0, 0, 0)))
	require.Empty(t, l.numbers())
}

func TestFalseClaimsSilenceTheirRelayer(t *testing.T) {
	l := newLedger(t)
	l.params(func(p *Params) { p.IgnoreBlocks = 100 })
	a, b := l.claims(0, newClaim(alpha, 1, 10, 0)), l.claims(0, newClaim(beta, 1, 10, 1))
	l.at(1001)
	l.settle(nil, []uint64{a})
	require.Equal(t, &availabilityv1.Relayer{Address: relayer(0).String(), FalseClaims: 1, Strikes: 1, IgnoredUntil: 1101}, l.record(0))
	require.Empty(t, l.ranges(alpha))

	// What was claimed before counts, for and against, but not twice.
	l.at(1002)
	l.settle(nil, []uint64{b})
	require.Equal(t, &availabilityv1.Relayer{Address: relayer(0).String(), FalseClaims: 2, Strikes: 1, IgnoredUntil: 1101}, l.record(0))
	for _, height := range []uint64{1003, 1101} {
		l.at(height)
		require.Zero(t, l.claims(0, newClaim(alpha, 1, 10, 2)), "recorded, and not looked at")
		require.Empty(t, l.numbers())
	}
	require.NotZero(t, l.claims(1, newClaim(alpha, 1, 10, 2)), "others are heard")

	// Each time it is twice as long, up to a bound.
	height, want := uint64(1102), uint64(200)
	for i := range 15 {
		l.at(height)
		n := l.claims(0, newClaim(alpha, 1, 10, 10+i))
		l.settle(nil, []uint64{n})
		require.Equal(t, height+want, l.record(0).IgnoredUntil, "time %d", i+2)
		height += want + 1
		want = min(2*want, 100<<maxDoublings)
	}
}

func TestVotesThatSettleNothing(t *testing.T) {
	l := newLedger(t)
	n := l.claims(0, newClaim(alpha, 1, 10, 0))
	for name, tc := range map[string]struct {
		power   uint64
		ballots []Ballot
	}{
		"nobody":                             {90, nil},
		"two thirds confirm":                 {90, []Ballot{{Power: 60, Confirmed: []uint64{n}}}},
		"one third denies":                   {90, []Ballot{{Power: 30, Denied: []uint64{n}}}},
		"two thirds confirm, a third denies": {90, []Ballot{{Power: 30, Confirmed: []uint64{n}}, {Power: 30, Denied: []uint64{n}}, {Power: 30, Confirmed: []uint64{n}}}},
		"all confirm what is not there":      {90, []Ballot{{Power: 90, Confirmed: []uint64{n + 1}}}},
		"all deny what is not there":         {90, []Ballot{{Power: 90, Denied: []uint64{n - 1, n + 1}}}},
		"no power":                           {0, nil},
	} {
		require.NoError(t, l.Settle(l.ctx, tc.power, tc.ballots), name)
		require.Equal(t, []uint64{n}, l.numbers(), name)
	}
	require.NoError(t, l.Settle(l.ctx, 90, []Ballot{{Power: 60, Confirmed: []uint64{n}}, {Power: 1, Confirmed: []uint64{n}}, {Power: 29, Denied: []uint64{n}}}))
	require.Equal(t, []string{"1-10"}, l.ranges(alpha))
	// A validator that has not seen it yet says so again.
	require.NoError(t, l.Settle(l.ctx, 90, []Ballot{{Power: 90, Confirmed: []uint64{n}}}))
	require.EqualValues(t, 1, l.record(0).Confirmed)
}

func TestClaimsAreBounded(t *testing.T) {
	l := newLedger(t)
	good := newClaim(alpha, 1, 10, 0)
	for name, edit := range map[string]func(*availabilityv1.Claim){
		"no rollup":                func(c *availabilityv1.Claim) { c.RollupId = nil },
		"long rollup":              func(c *availabilityv1.Claim) { c.RollupId = make([]byte, 33) },
		"no layer":                 func(c *availabilityv1.Claim) { c.Layer = "" },
		"long layer":               func(c *availabilityv1.Claim) { c.Layer = "abcdefghijklmnopq" },
		"capital layer":            func(c *availabilityv1.Claim) { c.Layer = "Celestia" },
		"layer with blank":         func(c *availabilityv1.Claim) { c.Layer = "a b" },
		"from 0":                   func(c *availabilityv1.Claim) { c.From = 0 },
		"to 0":                     func(c *availabilityv1.Claim) { c.To = 0 },
		"backwards":                func(c *availabilityv1.Claim) { c.From, c.To = 10, 9 },
		"up to this block":         func(c *availabilityv1.Claim) { c.To = 1000 },
		"up to the end of numbers": func(c *availabilityv1.Claim) { c.To = 1<<64 - 1 },
		"no parts":                 func(c *availabilityv1.Claim) { c.Parts = nil },
		"too many parts": func(c *availabilityv1.Claim) {
			for len(c.Parts) <= da.MaxClaimParts {
				c.Parts = append(c.Parts, &availabilityv1.Part{BlobId: make([]byte, 32)})
			}
		},
		"no blob ID":       func(c *availabilityv1.Claim) { c.Parts[0].BlobId = nil },
		"large commitment": func(c *availabilityv1.Claim) { c.Parts[0].Commitment = make([]byte, da.MaxCommitmentBytes+1) },
		"large all in all": func(c *availabilityv1.Claim) {
			for range 5 {
				c.Parts = append(c.Parts, &availabilityv1.Part{BlobId: make([]byte, 32), Commitment: make([]byte, da.MaxCommitmentBytes)})
			}
		},
	} {
		bad := newClaim(alpha, 1, 10, 1)
		edit(bad)
		_, err := l.claim(l.ctx, relayer(0), []*availabilityv1.Claim{good, bad})
		require.ErrorIs(t, err, ErrClaim, name)
		require.ErrorContains(t, err, "claim 1", name)
	}
	for _, n := range []int{0, MaxMessageClaims + 1} {
		_, err := l.claim(l.ctx, relayer(0), make([]*availabilityv1.Claim, n))
		require.ErrorIs(t, err, ErrClaim)
	}
	_, err := l.claim(l.ctx, relayer(0), []*availabilityv1.Claim{nil})
	require.ErrorIs(t, err, ErrClaim)
}

func TestClaimsExpire(t *testing.T) {
	l := newLedger(t)
	l.params(func(p *Params) { p.ClaimBlocks, p.MaxPending = 50, 4096 })
	for i := range 2 * maxExpired {
		l.claims(i, newClaim(rollup(fmt.Sprint(i)), 1, 10, i))
	}
	l.at(1001)
	late := l.claims(0, newClaim(alpha, 1, 10, 0))
	for _, tc := range []struct {
		height uint64
		left   int
	}{{1050, 2*maxExpired + 1}, {1051, maxExpired + 1}, {1052, 1}, {1053, 0}} {
		l.at(tc.height)
		require.NoError(t, l.Settle(l.ctx, 0, nil))
		require.Len(t, l.numbers(), tc.left, "height %d", tc.height)
	}
	require.Zero(t, l.record(0).FalseClaims, "claim %d was not false", late)
	require.Empty(t, l.ranges(alpha))
}

func TestGenesisRoundTrip(t *testing.T) {
	l := newLedger(t)
	l.settle([]uint64{l.claims(0, newClaim(alpha, 1, 10, 0)), l.claims(0, newClaim(alpha, 21, 30, 1))}, []uint64{l.claims(1, newClaim(beta, 1, 2, 2))})
	waiting := []uint64{l.claims(2, newClaim(beta, 3, 4, 3)), l.claims(2, newClaim(alpha, 31, 40, 4))}
	l.params(func(p *Params) { p.ClaimBlocks = 77 })
	g, err := l.ExportGenesis(l.ctx)
	require.NoError(t, err)
	require.NoError(t, ValidateGenesis(g))

	again := newLedger(t)
	again.at(1001)
	require.NoError(t, again.InitGenesis(again.ctx, g))
	g2, err := again.ExportGenesis(again.ctx)
	require.NoError(t, err)
	require.Equal(t, g, g2)
	require.Equal(t, waiting, again.numbers())
	require.Equal(t, []string{"1-10", "21-30"}, again.ranges(alpha))
	require.NotZero(t, again.record(1).IgnoredUntil)
	require.EqualValues(t, waiting[1]+1, again.claims(3, newClaim(beta, 5, 6, 5)), "numbers go on")
	again.settle([]uint64{waiting[1]}, nil)
	require.Equal(t, []string{"1-10", "21-40"}, again.ranges(alpha))
}

func TestGenesisIsRefused(t *testing.T) {
	pending := func(number uint64) *availabilityv1.PendingClaim {
		return &availabilityv1.PendingClaim{Number: number, Height: 1, Relayer: relayer(0).String(), Claim: newClaim(alpha, 1, 2, 0)}
	}
	ranges := func(r ...uint64) []*availabilityv1.Range {
		var out []*availabilityv1.Range
		for i := 0; i < len(r); i += 2 {
			out = append(out, &availabilityv1.Range{From: r[i], To: r[i+1], Layer: "local"})
		}
		return out
	}
	for name, edit := range map[string]func(*availabilityv1.GenesisState){
		"no params":             func(g *availabilityv1.GenesisState) { g.Params = nil },
		"zero params":           func(g *availabilityv1.GenesisState) { g.Params = new(Params) },
		"number above the last": func(g *availabilityv1.GenesisState) { g.Pending = append(g.Pending, pending(3)); g.LastNumber = 2 },
		"numbers out of order": func(g *availabilityv1.GenesisState) {
			g.Pending = append(g.Pending, pending(2), pending(2))
			g.LastNumber = 2
		},
		"number 0": func(g *availabilityv1.GenesisState) { g.Pending = append(g.Pending, pending(0)) },
		"malformed claim": func(g *availabilityv1.GenesisState) {
			p := pending(1)
			p.Claim = nil
			g.Pending, g.LastNumber = append(g.Pending, p), 1
		},
		"claim about nothing": func(g *availabilityv1.GenesisState) {
			p := pending(1)
			p.Claim.From, p.Claim.To = 0, 0
			g.Pending, g.LastNumber = append(g.Pending, p), 1
		},
		"malformed relayer": func(g *availabilityv1.GenesisState) {
			p := pending(1)
			p.Relayer = "x"
			g.Pending, g.LastNumber = append(g.Pending, p), 1
		},
		"rollup twice": func(g *availabilityv1.GenesisState) {
			r := &availabilityv1.Rollup{RollupId: alpha, Ranges: ranges(1, 2)}
			g.Rollups = append(g.Rollups, r, r)
		},
		"rollup without ranges": func(g *availabilityv1.GenesisState) {
			g.Rollups = append(g.Rollups, &availabilityv1.Rollup{RollupId: alpha})
		},
		"ranges that touch": func(g *availabilityv1.GenesisState) {
			g.Rollups = append(g.Rollups, &availabilityv1.Rollup{RollupId: alpha, Ranges: ranges(1, 2, 3, 4)})
		},
		"range that goes backward": func(g *availabilityv1.GenesisState) {
			g.Rollups = append(g.Rollups, &availabilityv1.Rollup{RollupId: alpha, Ranges: ranges(2, 1)})
		},
		"relayer twice": func(g *availabilityv1.GenesisState) {
			r := &availabilityv1.Relayer{Address: relayer(0).String()}
			g.Relayers = append(g.Relayers, r, r)
		},
		"relayer without address": func(g *availabilityv1.GenesisState) { g.Relayers = append(g.Relayers, new(availabilityv1.Relayer)) },
	} {
		g := DefaultGenesis()
		edit(g)
		require.Error(t, ValidateGenesis(g), name)
	}
	require.NoError(t, ValidateGenesis(DefaultGenesis()))
}

// A chain that began before the module has no part for it in its genesis.
func TestParamsOfAnOldGenesis(t *testing.T) {
	l := newLedger(t)
	p, err := l.Params(l.ctx)
	require.NoError(t, err)
	require.Equal(t, DefaultParams(), p)
	require.NoError(t, Module{}.ValidateGenesis(nil, nil, nil))
}
