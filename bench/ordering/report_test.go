package ordering

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/bench/figures"
)

func TestSumSeries(t *testing.T) {
	t.Parallel()
	const text = `# HELP a_total Bytes.
# TYPE a_total counter
a_total{peer="x y",type="share"} 1.5e+06
a_total{peer="z",type="vote"} 500000
a_total_more 7
b_total 3
`
	for _, tc := range []struct {
		names []string
		want  float64
	}{{[]string{"a_total"}, 2e6}, {[]string{"a_total", "b_total"}, 2e6 + 3}, {[]string{"c_total"}, 0}} {
		if got, err := sumSeries(strings.NewReader(text), tc.names); err != nil || got != tc.want {
			t.Errorf("%v: %v, %v; want %v", tc.names, got, err, tc.want)
		}
	}
	if _, err := sumSeries(strings.NewReader("a_total many\n"), []string{"a_total"}); err == nil {
		t.Error("a value that is no number was taken")
	}
}

func TestTargetsAreOfWhatWasMeasured(t *testing.T) {
	t.Parallel()
	if got := (&Report{}).targets(); len(got) != 0 {
		t.Errorf("nothing was measured: %+v", got)
	}
	r := &Report{
		BlockTime: 100,
		Highest: []*Trial{
			{System: "Ordo", OrderedMBps: 50, Read: figures.Percentiles{P99: 800}, Processes: []figures.Usage{{Name: "validator-0", PeakMB: 400}, {Name: driver, PeakMB: 900}}},
			{System: "CometBFT", OrderedMBps: 6},
		},
		Half:    []*Trial{{System: "Ordo", Certified: figures.Percentiles{N: 1, P50: 30}, Read: figures.Percentiles{P50: 200}}},
		Idle:    []*Trial{{System: "CometBFT"}},
		Small:   []*Trial{{System: "Ordo", PayloadBytes: 250, OfferedMBps: 1.25, OrderedPerS: 4950, Read: figures.Percentiles{P99: 1500}}},
		Reading: &Reading{BytesRatio: 1.1, CPURatio: 1.4},
		Scale: []*Trial{
			{System: "Ordo", Validators: 4, OrderedMB: 100, ReceivedMB: []float64{99}},
			{System: "Ordo", Validators: 7, OrderedMB: 100, ReceivedMB: []float64{40, 51, 42}},
			{System: "CometBFT", Validators: 7, OrderedMB: 100, ReceivedMB: []float64{400}},
			{System: "Ordo", Validators: 16, OrderedMB: 100, ReceivedMB: []float64{20, 19, 21}},
		},
	}
	r.Targets = r.targets()
	var got []string
	for _, a := range r.Targets {
		if a.Met {
			got = append(got, a.What)
		} else {
			got = append(got, "MISSED "+a.What)
		}
	}
	want := []string{
		"ordered, verified by a reader", "MISSED times what CometBFT orders inline", "p99 to ordered at that rate", "most memory of a validator",
		"MISSED p50 to certified at half of that rate", "p50 to ordered at half of that rate",
		"small bundles ordered a second", "MISSED p99 to ordered of small bundles",
		"bytes to read one rollup among many, to alone", "MISSED CPU to read one rollup among many, to alone",
		"MISSED received by a validator of 7, of all that is ordered", "received by a validator of 16, of all that is ordered",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"One payload at a time", "Reading one rollup", "at least 40", "0.42 (0.51)"} {
		if !strings.Contains(table.String(), line) {
			t.Errorf("the table lacks %q:\n%s", line, table.String())
		}
	}
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	if err := DefaultOptions().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, alter := range map[string]func(*Options){
		`--only has "speed"`:      func(o *Options) { o.Parts = []string{"speed"} },
		"--systems is empty":      func(o *Options) { o.Systems = nil },
		"40 validators":           func(o *Options) { o.Scale = []int{4, 40} },
		"--size is 5":             func(o *Options) { o.Size = 5 },
		"--duration is 1ms":       func(o *Options) { o.Duration = 1e6 },
		"--transaction-size is 0": func(o *Options) { o.TransactionBytes = 0 },
		"--small-rate is 0":       func(o *Options) { o.SmallRate = 0 },
		"--rate is -1":            func(o *Options) { o.RateMBps = -1 },
		"--crowd is 0":            func(o *Options) { o.Crowd = 0 },
	} {
		o := DefaultOptions()
		alter(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
