package ordering

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ordo-network/ordo/bench/figures"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%d cores, %s, %s; %d validators; took %.0f s\n", r.Machine.Cores, r.Machine.OS, r.Machine.Go, r.Validators, r.Took)
	loads := func(title string, ts []*Trial) {
		if len(ts) == 0 {
			return
		}
		fmt.Fprintf(b, "\n%s\n", title)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "\tvalidators\tpayload\toffered\tordered\tblocks\taccepted\tcertified\tcommitted\tordered\treceived\tmemory\tcores\tdriver")
		fmt.Fprintln(t, "\t\tbytes\tMB/s\tMB/s\t\tp50 ms\tp50 ms\tp50 ms\tp50 / p99 ms\tof all\tmost MB\t\tcores")
		for _, l := range ts {
			median, most := l.receivedShare()
			network, own := l.cores()
			fmt.Fprintf(t, "%s\t%d\t%d\t%.2f\t%.2f\t%d\t%s\t%s\t%s\t%.0f / %.0f\t%.2f (%.2f)\t%.0f\t%.2f\t%.2f\n",
				l.System, l.Validators, l.PayloadBytes, l.OfferedMBps, l.OrderedMBps, l.Blocks,
				p50(l.Ack), p50(l.Certified), p50(l.Committed), l.Read.P50, l.Read.P99, median, most, l.peakMB(), network, own)
		}
		_ = t.Flush() // a strings.Builder takes everything
		for _, l := range ts {
			switch {
			case l.Overloaded:
				fmt.Fprintf(b, "%s, %d validators: overloaded, cut short when %d of %d were ordered and %d refused. %s\n",
					l.System, l.Validators, l.Ordered, l.Sent, l.Refused, l.FirstRefusal)
			case l.Refused+l.Missing+l.Duplicates > 0:
				fmt.Fprintf(b, "%s, %d validators: of %d, %d refused, %d missing, %d twice. %s\n",
					l.System, l.Validators, l.Sent, l.Refused, l.Missing, l.Duplicates, l.FirstRefusal)
			}
		}
	}
	loads("One payload at a time", r.Idle)
	loads("Small payloads, each signed", r.Small)
	loads("Highest rate with a p99 to ordered below a second", r.Highest)
	loads("Half of that rate", r.Half)
	loads("Highest rate by number of validators", r.Scale)
	if r.Reading != nil {
		fmt.Fprintf(b, "\nReading one rollup\n")
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "\tblocks\tbundles\town MB\tread MB\tbytes a block\tCPU µs a block")
		for _, c := range []struct {
			name string
			ReadCost
		}{{"alone", r.Reading.Alone}, {fmt.Sprintf("among %d", r.Reading.Others), r.Reading.Among}} {
			fmt.Fprintf(t, "%s\t%d\t%d\t%.2f\t%.2f\t%.0f\t%.0f\n", c.name, c.Blocks, c.Bundles, c.OwnMB, c.WireMB, c.PerBlock.WireBytes, c.PerBlock.CPUus)
		}
		_ = t.Flush()
	}
	if len(r.Targets) > 0 {
		fmt.Fprintf(b, "\nAims\n")
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		for _, a := range r.Targets {
			sign, met := "at most", "missed"
			if a.AtLeast {
				sign = "at least"
			}
			if a.Met {
				met = "met"
			}
			fmt.Fprintf(t, "%s\t%s\t%.4g %s\t%s %.4g\n", met, a.What, a.Got, a.Unit, sign, a.Want)
		}
		_ = t.Flush()
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func p50(p figures.Percentiles) string {
	if p.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", p.P50)
}
