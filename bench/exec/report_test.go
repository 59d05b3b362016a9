package exec

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/bench/figures"
)

// TestSharesAreOfMedians: one round that something else disturbed does not count.
func TestSharesAreOfMedians(t *testing.T) {
	t.Parallel()
	k := Kind{
		Alone:   []Rate{{MgasPS: 100, CPUMicros: 90}, {MgasPS: 10, CPUMicros: 900}, {MgasPS: 110, CPUMicros: 80}},
		CatchUp: []Rate{{MgasPS: 80, CPUMicros: 100}, {MgasPS: 60, CPUMicros: 120}},
		Live:    Live{Rate: Rate{MgasPS: 50, CPUMicros: 180}},
	}
	k.share()
	for name, got := range map[string][2]float64{
		"catching up": {k.CatchUpShare, 0.7}, "by processor time": {k.CatchUpCPU, 90.0 / 110},
		"live": {k.Live.Share, 0.5}, "live, by processor time": {k.Live.CPU, 0.5},
	} {
		if math.Abs(got[0]-got[1]) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got[0], got[1])
		}
	}
	silent := Kind{Alone: []Rate{{MgasPS: 100}}, CatchUp: []Rate{{MgasPS: 80}}}
	if silent.share(); silent.CatchUpCPU != 0 || silent.CatchUpShare != 0.8 {
		t.Errorf("where the system tells no processor time: %+v", silent)
	}
}

// TestRatesCountWhatWasExecutedBetween: what a node had when it was first seen does not count.
func TestRatesCountWhatWasExecutedBetween(t *testing.T) {
	t.Parallel()
	blocks := []Block{{10, 1e6}, {}, {30, 3e6}, {40, 4e6}}
	first := moment{block: 1, at: time.Unix(100, 0), cpu: time.Second}
	last := moment{block: 3, at: time.Unix(102, 0), cpu: 4 * time.Second}
	got := over(blocks, first.block, last.block).between(first, last)
	if want := (Rate{Seconds: 2, TPS: 15, MgasPS: 1.5, CPUMicros: 100_000}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	// Heartbeats come behind what is ordered.
	if got := over(blocks, 0, 9); got != (Block{80, 8e6}) {
		t.Errorf("%+v of all", got)
	}
}

func TestTheTableHasWhatWasMeasured(t *testing.T) {
	t.Parallel()
	r := &Report{Validators: 4, BlockTime: 100, Kinds: []Kind{{
		Kind: KindSwaps, Transactions: 1000, Blocks: 7, GasEach: 90_000,
		Alone: []Rate{{2, 3000, 270, 200}}, CatchUp: []Rate{{2, 2400, 216, 220}, {2, 2500, 225, 210}}, CatchUpShare: 0.82, CatchUpCPU: 0.93,
		Live: Live{Rate: Rate{5, 2000, 180, 250}, Offered: 4500, Share: 0.67, CPU: 0.8, Behind: 1.5, Processes: []figures.Usage{{Name: "validator-0", RSSMB: 99}}},
	}}, Targets: []Target{{What: "swaps", Got: 0.82, Want: 0.7, Met: true}, {What: "tokens", Got: 0.6, Want: 0.7}}}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{
		"swaps: 1000 transactions of 90000 gas in 7 blocks", "EVM alone 270.0 3000 2.0 200 a node that", "catches up 225.0 2500 2.0 210 82% 93%",
		"a live node, offered 4500 tx/s 180.0 2000 5.0 250 67% 80%", "done 1.5 s after the load", "validator-0 99",
		"met swaps 82% at least 70%", "missed tokens 60% at least 70%",
	} {
		if !strings.Contains(lines, want) {
			t.Errorf("the table has no %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := new(Report).WriteTable(&b); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("nothing was measured, %v:\n%s", err, b.String())
	}
}
