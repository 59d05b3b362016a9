package da

import (
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/bench/figures"
)

func TestOptionsHaveBounds(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{DefaultOptions(), DefaultOptions().Quick()} {
		if err := o.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, change := range map[string]func(*Options){
		"--only is empty":       func(o *Options) { o.Parts = nil },
		`--only has "sell"`:     func(o *Options) { o.Parts = []string{"sell"} },
		`--layer is "moon"`:     func(o *Options) { o.Layer = "moon" },
		"--validators is 32":    func(o *Options) { o.Validators = 32 },
		"--rollups is 0":        func(o *Options) { o.Rollups = 0 },
		"--backlog is 1":        func(o *Options) { o.Backlog = 1 },
		"--rate is 0":           func(o *Options) { o.RateMBps = 0 },
		"--duration is 1ms":     func(o *Options) { o.Duration = time.Millisecond },
		"--many is 10001":       func(o *Options) { o.Many = 10_001 },
		"--block-time is 0s":    func(o *Options) { o.BlockTime = 0 },
		"--layer-block-time is": func(o *Options) { o.LayerBlockTime = time.Millisecond },
	} {
		o := DefaultOptions()
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTheTableHasWhatWasMeasured(t *testing.T) {
	t.Parallel()
	r := &Report{
		Layer: LayerLocal, Validators: 4,
		Compression: []Compression{{Kind: kindTransfer, Transactions: 1000, MB: 0.12, PostedMB: 0.08, Ratio: 1.5}},
		Relay:       &Relay{MB: 1, PostedMB: 0.6, Blobs: 3, Seconds: 2, MBps: 0.5, Processes: []figures.Usage{{Name: "relayer", RSSMB: 99}}},
		CatchUp:     []CatchUp{{What: "verified", Kind: kindToken, MB: 5, Seconds: 2, MBps: 2.5}},
		Safe:        &Safe{OfferedMBps: 1, OrderedToSafe: figures.Percentiles{N: 5, P50: 1500, P99: 2000}},
		Memory:      &Memory{Rollups: 1000, Relayer: figures.Usage{PeakMB: 250}, MostOwnMB: 120},
		Targets:     []Target{{What: "memory", Got: 250, Want: 300, Unit: "MB", Met: true}},
	}
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"transfers  1000          0.12  0.08       1.50   120         80", "relayer  99", "verified  ERC-20",
		"1.00          0        0       1500    0       2000    0", "1000     0        0       0          250      120", "met  memory  250 MB  at most 300",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := (&Report{Layer: LayerLocal}).WriteTable(&b); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("nothing was measured, %v:\n%s", err, b.String())
	}
}

func TestAClockKeepsTheFirstTime(t *testing.T) {
	t.Parallel()
	c := newClock()
	if _, ok := c.get(7); ok {
		t.Error("a time of a height that was not seen")
	}
	c.note(7)
	first, _ := c.get(7)
	time.Sleep(time.Millisecond)
	c.note(7)
	if again, ok := c.get(7); !ok || again != first {
		t.Errorf("the time was %v and is %v", first, again)
	}
}
