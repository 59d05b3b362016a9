package availability

import (
	"fmt"
	"testing"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// try has a relayer claim as a transaction does: where one claim is refused, all are.
func (l *ledger) try(i int, list ...*availabilityv1.Claim) error {
	l.t.Helper()
	ctx, write := l.ctx.CacheContext()
	_, err := l.claim(ctx, relayer(i), list)
	if err == nil {
		write()
	}
	return err
}

// about returns claims about as many runs of a rollup's blocks.
func about(rollup []byte, first, n int) []*availabilityv1.Claim {
	var out []*availabilityv1.Claim
	for i := first; i < first+n; i++ {
		out = append(out, newClaim(rollup, uint64(i), uint64(i), i))
	}
	return out
}

// What a relayer claims of one rollup in one message is all confirmed; what is too much is
// refused, and nothing that waits is lost.
func TestNoTrueClaimIsLost(t *testing.T) {
	l := newLedger(t)
	require.NoError(t, l.try(0, about(alpha, 1, MaxRelayerPending)...))
	before := l.numbers()
	err := l.try(0, about(alpha, MaxRelayerPending+1, 1)...)
	require.ErrorIs(t, err, ErrNoRoom)
	require.ErrorContains(t, err, "64 claims of "+relayer(0).String()+" about rollup")
	require.Equal(t, before, l.numbers())
	require.EqualValues(t, 7, l.claims(0, about(alpha, 7, 1)[0]), "what waits keeps its number")
	require.NotZero(t, l.claims(0, newClaim(beta, 1, 10, 0)), "another rollup has its own room")
	require.NotZero(t, l.claims(1, newClaim(alpha, 500, 500, 0)), "so has another relayer")

	l.settle(before, nil)
	require.Equal(t, []string{"1-64"}, l.ranges(alpha))
	require.NoError(t, l.try(0, about(alpha, MaxRelayerPending+1, 1)...), "it is there when it is tried again")
}

// One account fills its share of all, and nobody else's.
func TestOneRelayerHasAShare(t *testing.T) {
	l := newLedger(t)
	l.params(func(p *Params) { p.MaxPending = 80 })
	honest := l.claims(0, newClaim(alpha, 1, 10, 0))
	made := func(n int) *availabilityv1.Claim { return newClaim(rollup(fmt.Sprint("made up ", n)), 1, 1, n) }
	for n := range 10 {
		require.NoError(t, l.try(1, made(n)))
	}
	err := l.try(1, made(10))
	require.ErrorIs(t, err, ErrNoRoom)
	require.ErrorContains(t, err, "10 claims of "+relayer(1).String()+" wait, of at most 10")
	require.Len(t, l.numbers(), 11)

	// What is settled frees the room.
	l.settle(nil, l.numbers()[1:2])
	l.at(l.record(1).IgnoredUntil + 1)
	require.NoError(t, l.try(1, made(10)))
	require.Contains(t, l.numbers(), honest)

	// However small all is, each may have one.
	l.params(func(p *Params) { p.MaxPending = 3 })
	l.settle(l.numbers(), nil)
	for i := range 3 {
		require.NoError(t, l.try(10+i, made(20+i)))
		require.ErrorIs(t, l.try(10+i, made(30+i)), ErrNoRoom)
	}
}

// Where there is no room at all, the oldest claim gives way to relayers that have fewer
// than its own; what waits for few relayers is not pushed out by those of many.
func TestTheOldestGivesWay(t *testing.T) {
	l := newLedger(t)
	l.params(func(p *Params) { p.MaxPending = 80 })
	made := func(n int) *availabilityv1.Claim { return newClaim(rollup(fmt.Sprint("made up ", n)), 1, 1, n) }
	n := 0
	for i := range 8 {
		for range 10 {
			require.NoError(t, l.try(i, made(n)))
			n++
		}
	}
	all := l.numbers()
	honest := l.claims(20, newClaim(alpha, 1, 10, 0))
	require.Equal(t, append(all[1:], honest), l.numbers())
	other := l.claims(20, newClaim(alpha, 11, 20, 1))
	require.Equal(t, append(all[2:], honest, other), l.numbers())

	// The one whose claims went has as few in the end as the one that they went for.
	for range 3 {
		require.NoError(t, l.try(20, made(n)))
		n++
	}
	require.Equal(t, append(all[5:], honest, other), l.numbers()[:77])
	require.ErrorIs(t, l.try(20, made(n)), ErrNoRoom)
	require.Len(t, l.numbers(), 80)
	// A relayer of which nothing waits is never refused.
	for i := range 60 {
		require.NoError(t, l.try(100+i, made(n+i)))
		require.Len(t, l.numbers(), 80)
	}
	// Once what is settled makes room, there is no need for any to give way.
	before := l.numbers()
	l.settle(before[:1], nil)
	require.NoError(t, l.try(200, made(n+100)))
	require.Equal(t, before[1:], l.numbers()[:79])
}

// In one rollup's room, the relayer that takes most of it gives way.
func TestTheCrowdingGivesWay(t *testing.T) {
	l := newLedger(t)
	for i := range MaxRollupPending / MaxRelayerPending {
		require.NoError(t, l.try(i, about(alpha, 1, MaxRelayerPending)...))
	}
	all := l.numbers()
	require.Len(t, all, MaxRollupPending)
	first := l.claims(10, newClaim(alpha, 100, 200, 0))
	require.Equal(t, append(all[1:], first), l.numbers(), "of those that have as many, the oldest")
	second := l.claims(10, newClaim(alpha, 201, 300, 1))
	left := l.numbers()
	require.Len(t, left, MaxRollupPending)
	require.Contains(t, left, first)
	require.Contains(t, left, second)
	require.NotContains(t, left, all[MaxRelayerPending], "relayer 0 has fewer now than relayer 1")
	// In the end all have equal shares, and there is no room for one more.
	var err error
	n := 2
	for ; err == nil; n++ {
		err = l.try(10, newClaim(alpha, uint64(300+n), uint64(300+n), n))
	}
	require.ErrorIs(t, err, ErrNoRoom)
	w, err := l.waiting(l.ctx, alpha)
	require.NoError(t, err)
	for _, i := range []int{0, 1, 2, 3, 10} {
		require.InDelta(t, MaxRollupPending/5, of(relayer(i), w.Claims), 1, "relayer %d", i)
	}
	require.Len(t, l.numbers(), MaxRollupPending)
}

// The oldest is found after any number of settled claims.
func TestOldestAfterManySettled(t *testing.T) {
	l := newLedger(t)
	l.params(func(p *Params) { p.MaxPending = 2; p.ClaimBlocks = 50 })
	for i := range 3 * maxSteps {
		n := l.claims(0, newClaim(alpha, uint64(i+1), uint64(i+1), i))
		l.settle([]uint64{n}, nil)
	}
	require.NoError(t, l.setNumber(l.ctx, oldestKey, 1)) // as if all of them had been in this block
	l.claims(1, newClaim(beta, 1, 1, 0))
	oldest := l.claims(2, newClaim(beta, 2, 2, 1))
	require.ErrorIs(t, l.try(3, newClaim(beta, 3, 3, 2)), ErrNoRoom, "not found for now")
	require.NoError(t, l.Settle(l.ctx, 0, nil))
	last := l.claims(3, newClaim(beta, 3, 3, 2))
	require.Equal(t, []uint64{oldest, last}, l.numbers())
	l.at(1051)
	require.NoError(t, l.Settle(l.ctx, 0, nil))
	require.Empty(t, l.numbers(), "and expires")
	n, err := l.number(l.ctx, oldestKey)
	require.NoError(t, err)
	require.Equal(t, last+1, n)
}

// Whatever becomes of claims, EigenDA's readers find what was put there.
func TestRecordsAreAlwaysTaken(t *testing.T) {
	l := newLedger(t)
	index := func(n int) *availabilityv1.Claim {
		c := newClaim(alpha, uint64(n), uint64(n), n)
		c.Layer, c.Parts[0].DaHeight = "eigenda", 0
		return c
	}
	for n := range MaxRelayerPending {
		require.NotZero(t, l.claims(0, index(n+1)))
	}
	events := len(l.ctx.EventManager().Events())
	require.Zero(t, l.claims(0, index(100)), "there is no room, and so nobody looks at it")
	require.Len(t, l.ctx.EventManager().Events(), events+1)
	require.ErrorIs(t, l.try(0, newClaim(alpha, 101, 101, 101)), ErrNoRoom, "others find this by themselves")

	// Nor does it matter what validators think of the relayer.
	l.settle(nil, []uint64{1})
	require.NotZero(t, l.record(0).IgnoredUntil)
	events = len(l.ctx.EventManager().Events())
	require.Zero(t, l.claims(0, index(102)))
	require.Zero(t, l.claims(0, newClaim(beta, 0, 0, 103)))
	require.Len(t, l.ctx.EventManager().Events(), events+2)
}

// One that was misjudged and goes on to speak the truth is like any other in the end.
func TestStrikesDecay(t *testing.T) {
	l := newLedger(t)
	strike := func() uint64 {
		l.at(max(l.record(0).IgnoredUntil, uint64(l.ctx.BlockHeight())) + 1)
		l.settle(nil, []uint64{l.claims(0, newClaim(beta, 1, 1, 0))})
		return l.record(0).IgnoredUntil - uint64(l.ctx.BlockHeight())
	}
	p := DefaultParams()
	require.Equal(t, p.IgnoreBlocks, strike())
	require.Equal(t, 2*p.IgnoreBlocks, strike())
	l.at(l.record(0).IgnoredUntil + 1)
	for n := range 2 * strikeDecaysAt {
		l.settle([]uint64{l.claims(0, newClaim(alpha, uint64(n+1), uint64(n+1), n))}, nil)
	}
	require.Zero(t, l.record(0).Strikes)
	require.EqualValues(t, 2, l.record(0).FalseClaims, "what was, was")
	require.Equal(t, p.IgnoreBlocks, strike())
}

// A relayer pays for its claims alone, and for what they cost validators.
func TestGas(t *testing.T) {
	gas := func(l *ledger, i int, list ...*availabilityv1.Claim) uint64 {
		meter := storetypes.NewInfiniteGasMeter()
		_, err := l.claim(l.ctx.WithGasMeter(meter), relayer(i), list)
		require.NoError(t, err)
		return meter.GasConsumed()
	}
	l := newLedger(t)
	c := newClaim(alpha, 1, 1, 0)
	size := uint64(c.Size())
	require.Equal(t, RecordGas+ByteGas*size+LookGas+PartGas, gas(l, 0, c))
	require.Equal(t, RecordGas+ByteGas*size+ListedGas, gas(l, 0, c), "waits already")
	require.NoError(t, l.try(1, about(alpha, 2, MaxRelayerPending)...))
	parts := newClaim(alpha, 100, 100, 1)
	parts.Parts = append(parts.Parts, parts.Parts...)
	require.Equal(t, RecordGas+ByteGas*uint64(parts.Size())+ListedGas*(1+MaxRelayerPending)+LookGas+2*PartGas, gas(l, 0, parts))
	l.params(func(p *Params) { p.MaxPending = uint64(len(l.numbers())) })
	l.settle(nil, l.numbers()[:1])
	l.claims(3, newClaim(beta, 1, 1, 9))
	require.EqualValues(t, RecordGas+ByteGas*int(size)+ListedGas*(1+MaxRelayerPending)+LookGas+PartGas+GivesWayGas, gas(l, 2, newClaim(alpha, 1, 1, 2)))
	// It is taken before the work is done.
	require.Panics(t, func() {
		_, _ = l.claim(l.ctx.WithGasMeter(storetypes.NewGasMeter(RecordGas)), relayer(5), about(beta, 1, 1))
	})
}

// What is repeated about a rollup with as many claims as may wait takes each time a look
// through all of them: a block has room for as many looks as it has time for.
func TestGasOfRepeatsInACrowd(t *testing.T) {
	l := newLedger(t)
	for i := range MaxRollupPending / MaxRelayerPending {
		require.NoError(t, l.try(i, about(alpha, 1, MaxRelayerPending)...))
	}
	const block = 50_000_000
	meter := storetypes.NewGasMeter(block)
	repeats := 0
	require.Panics(t, func() {
		for {
			_, err := l.claim(l.ctx.WithGasMeter(meter), relayer(0), about(alpha, 1, 1))
			require.NoError(t, err)
			repeats++
		}
	})
	t.Logf("%d repeats", repeats)
	require.Less(t, repeats*MaxRollupPending, 100_000, "claims that are looked through in a block of %d gas", block)
}

// A stranger's true claims about single blocks do not hide how far a rollup is confirmed.
func TestTinyClaimsDoNotHideARollup(t *testing.T) {
	l := newLedger(t)
	salt := 0
	confirm := func(i int, from, to uint64) {
		salt++
		l.settle([]uint64{l.claims(i, newClaim(alpha, from, to, salt))}, nil)
	}
	told := func() string {
		a, err := l.Available(l.ctx, order.RollupID(alpha))
		require.NoError(t, err)
		return fmt.Sprintf("%d-%d", a.Ranges[0].From, a.Ranges[0].To)
	}
	l.at(10_000)
	confirm(0, 5000, 9000)
	confirm(1, 1, 1)
	for h := uint64(20_000); h < 200_000; h += 10_000 {
		l.at(h)
		confirm(0, h-11_000+1, h-1000)
		confirm(1, h/5000, h/5000)
		confirm(1, h-1, h-1)
		require.Equal(t, fmt.Sprintf("5000-%d", h-1000), told())
	}
	require.Len(t, l.ranges(alpha), MaxRanges)

	// A block that nobody publishes hides what comes after it for a while only.
	l.at(400_000)
	confirm(0, 250_000, 260_000)
	require.Equal(t, "250000-260000", told())
	require.True(t, Covers(mustRollup(l).Ranges, 5000, 189_000), "what is older is known all the same")
}

func mustRollup(l *ledger) *availabilityv1.Rollup {
	r, err := l.Rollup(l.ctx, alpha)
	require.NoError(l.t, err)
	return r
}

// A chain that begins again below what it was exported at makes other blocks.
func TestGenesisAtALowerHeight(t *testing.T) {
	l := newLedger(t)
	l.at(1_000_000)
	l.settle([]uint64{l.claims(0, newClaim(alpha, 1, 10, 0)), l.claims(0, newClaim(alpha, 400, 900, 1)), l.claims(0, newClaim(beta, 700, 800, 2))},
		[]uint64{l.claims(1, newClaim(beta, 1, 2, 3))})
	l.claims(2, newClaim(alpha, 20, 30, 4))
	g, err := l.ExportGenesis(l.ctx)
	require.NoError(t, err)
	for height, want := range map[uint64][]string{0: nil, 1: nil, 500: {"1-10", "400-499"}} {
		again := newLedger(t)
		again.at(height)
		require.NoError(t, again.InitGenesis(again.ctx, g))
		require.Empty(t, again.numbers(), "height %d", height)
		require.Equal(t, want, again.ranges(alpha))
		require.Empty(t, again.ranges(beta))
		r := again.record(1)
		require.EqualValues(t, 1, r.Strikes)
		require.Equal(t, max(height, 1)-1+DefaultParams().IgnoreBlocks, r.IgnoredUntil)
		exported, err := again.ExportGenesis(again.ctx)
		require.NoError(t, err)
		require.NoError(t, ValidateGenesis(exported))
		again.at(2000)
		require.EqualValues(t, g.LastNumber+1, again.claims(3, newClaim(alpha, 600, 700, 5)), "numbers go on")
	}
}

// Whatever comes, the counts are right, and a state that goes through a genesis file goes on as it was.
func TestRandomClaims(t *testing.T) {
	l := newLedger(t)
	l.params(func(p *Params) { p.MaxPending, p.ClaimBlocks, p.IgnoreBlocks = 40, 30, 1 })
	seed := uint32(1)
	next := func(n int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % n
	}
	refused := 0
	for h := range uint64(300) {
		l.at(100_000 + h)
		var yes, no []uint64
		for _, n := range l.numbers() {
			switch next(40) {
			case 0, 1, 2, 3, 4:
				yes = append(yes, n)
			case 5:
				no = append(no, n)
			}
		}
		l.settle(yes, no)
		for range next(20) {
			from := uint64(next(90_000) + 1)
			if err := l.try(int(h)/10*12+next(12), newClaim(rollup(fmt.Sprint(next(3))), from, from+uint64(next(40)), next(1000))); err != nil {
				require.ErrorIs(t, err, ErrNoRoom)
				refused++
			}
		}
		require.LessOrEqual(t, len(l.numbers()), 40)
	}
	require.NotZero(t, refused)
	g, err := l.ExportGenesis(l.ctx)
	require.NoError(t, err)
	again := newLedger(t)
	again.at(uint64(l.ctx.BlockHeight()) + 1)
	require.NoError(t, again.InitGenesis(again.ctx, g))
	require.Equal(t, l.numbers(), again.numbers())
	for _, k := range []*ledger{l, again} {
		k.at(100_300)
		k.settle(k.numbers()[:5], k.numbers()[5:6])
		require.NotEmpty(t, k.numbers())
		for i := range 20 {
			_ = k.try(20+i, newClaim(alpha, 1, uint64(i+1), i))
		}
	}
	one, err := l.ExportGenesis(l.ctx)
	require.NoError(t, err)
	two, err := again.ExportGenesis(again.ctx)
	require.NoError(t, err)
	require.Equal(t, one, two)
}
