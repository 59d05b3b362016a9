package exec

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%d cores, %s, %s; %d validators, a block in %.0f ms; took %.0f s\n",
		r.Machine.Cores, r.Machine.OS, r.Machine.Go, r.Validators, r.BlockTime, r.Took)
	table := func(title, head string, rows func(line func(format string, args ...any))) {
		fmt.Fprintf(b, "\n%s\n", title)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		if head != "" {
			fmt.Fprintln(t, head)
		}
		rows(func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) })
		_ = t.Flush() // a strings.Builder takes everything
	}
	for _, k := range r.Kinds {
		title := fmt.Sprintf("%s: %d transactions of %.0f gas in %d blocks", k.Kind, k.Transactions, k.GasEach, k.Blocks)
		table(title, "\tMgas/s\ttx/s\tseconds\tCPU µs each\tshare\tby CPU", func(line func(string, ...any)) {
			rate := func(name string, r Rate, share, cpu string) {
				line("%s\t%.1f\t%.0f\t%.1f\t%.0f\t%s\t%s", name, r.MgasPS, r.TPS, r.Seconds, r.CPUMicros, share, cpu)
			}
			for _, one := range k.Alone {
				rate("EVM alone", one, "", "")
			}
			for i, one := range k.CatchUp {
				share, cpu := "", ""
				if i == len(k.CatchUp)-1 {
					share, cpu = percent(k.CatchUpShare), percent(k.CatchUpCPU)
				}
				rate("a node that catches up", one, share, cpu)
			}
			rate(fmt.Sprintf("a live node, offered %.0f tx/s", k.Live.Offered), k.Live.Rate, percent(k.Live.Share), percent(k.Live.CPU))
		})
		table(fmt.Sprintf("Meanwhile on the machine of the live node, which was done %.1f s after the load", k.Live.Behind), "\tmemory MB\tmost MB\tcores", func(line func(string, ...any)) {
			for _, u := range k.Live.Processes {
				line("%s\t%.0f\t%.0f\t%.2f", u.Name, u.RSSMB, u.PeakMB, u.Cores)
			}
		})
	}
	if len(r.Targets) == 0 {
		_, err := io.WriteString(w, b.String())
		return err
	}
	table("Aims: left of the EVM's speed where a network feeds it", "", func(line func(string, ...any)) {
		for _, a := range r.Targets {
			met := "missed"
			if a.Met {
				met = "met"
			}
			line("%s\t%s\t%s\tat least %s", met, a.What, percent(a.Got), percent(a.Want))
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }
