package node

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/availability"
	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

// Shards may go once what their blocks ordered is confirmed to be on DA layers, or after
// long enough.
func TestPosted(t *testing.T) {
	t.Parallel()
	alpha, beta := order.NewRollupID("alpha"), order.NewRollupID("beta")
	runs := []api.Presence{
		{First: 1, Last: 1023, Rollups: []api.RollupPresence{{Rollup: alpha, First: 5, Last: 900}}},
		// Nobody had anything from 1024 to 2047.
		{First: 2048, Last: 3071, Rollups: []api.RollupPresence{{Rollup: alpha, First: 2050, Last: 3071}, {Rollup: beta, First: 3000, Last: 3000}}},
		{First: 3072, Last: 4095, Crowded: true},
	}
	confirmed := map[order.RollupID][]*availabilityv1.Range{}
	var broken error
	var forgot uint64
	p := &posted{
		log: slog.New(slog.DiscardHandler), keep: 10_000, epoch: func() uint64 { return 100 },
		next: func(after uint64) (api.Presence, error) {
			for _, r := range runs {
				if r.First > after {
					return r, nil
				}
			}
			return api.Presence{First: after + 1, Last: 5119}, nil
		},
		forget: func(upTo uint64) error { forgot = upTo; return nil },
		available: func(ids []order.RollupID) (uint64, []availability.Available, error) {
			var out []availability.Available
			for _, id := range ids {
				out = append(out, availability.Available{Rollup: id, Ranges: confirmed[id]})
			}
			return 0, out, broken
		},
	}
	ranges := func(r ...uint64) (out []*availabilityv1.Range) {
		for i := 0; i < len(r); i += 2 {
			out = append(out, &availabilityv1.Range{From: r[i], To: r[i+1]})
		}
		return out
	}
	for _, s := range []struct {
		name        string
		height      uint64
		alpha, beta []*availabilityv1.Range
		err         error
		want        uint64 // before the epochs in which batches may come late
	}{
		{name: "nothing is confirmed", height: 6000},
		{name: "not all of the first run", height: 6100, alpha: ranges(5, 899)},
		{name: "not asked again so soon", height: 6101, alpha: ranges(5, 900)},
		{name: "state cannot be read", height: 6300, alpha: ranges(5, 900), err: errors.New("broken")},
		{name: "the first run", height: 6400, alpha: ranges(5, 900), want: 1023},
		{name: "one rollup of two in the next", height: 6500, alpha: ranges(2000, 4000), beta: ranges(1, 2999), want: 1023},
		{name: "in two pieces", height: 6600, alpha: ranges(2000, 2500, 2502, 4000), beta: ranges(1, 4000), want: 1023},
		{name: "both, and what was forgotten meanwhile does not matter", height: 6700, alpha: ranges(2000, 4000), beta: ranges(3000, 3000), want: 3071},
		{name: "crowded runs wait", height: 14_000, alpha: ranges(1, 9000), beta: ranges(1, 9000), want: 3071},
		{name: "and are given up", height: 14_095, want: 5119},
	} {
		confirmed[alpha], confirmed[beta], broken = s.alpha, s.beta, s.err
		if got, want := p.upTo(s.height), max(s.want, 300)-300; got != want {
			t.Errorf("%s: %d, want %d", s.name, got, want)
		}
		if forgot != s.want {
			t.Errorf("%s: forgot up to %d, want %d", s.name, forgot, s.want)
		}
	}
}

// The index that tells whom blocks were for ends somewhere on each node: where nothing asks
// and forgets, after some time.
func TestPresenceIsNotKeptForEver(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name             string
		shards, unposted uint64
		validator        bool
		want             uint64
	}{
		{"validator", 5000, 9000, true, 9000},
		{"validator that gives no shards up: it forgets what is posted", 5000, 0, true, 0},
		{"validator that keeps all shards", 0, 9000, true, 9000},
		{"validator that keeps all shards in any case", 0, 0, true, 1_728_000},
		{"full node", 5000, 9000, false, 9000},
		{"full node without a bound", 5000, 0, false, 1_728_000},
	} {
		c := DefaultConfig()
		c.Retention.ShardHeights, c.Retention.UnpostedShardHeights = s.shards, s.unposted
		if got := presenceHeights(c, s.validator); got != s.want {
			t.Errorf("%s: %d, want %d", s.name, got, s.want)
		}
	}
}
