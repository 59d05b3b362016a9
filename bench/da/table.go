package da

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%s layer; %d cores, %s, %s; %d validators, a block in %.0f ms; %d rollups; took %.0f s\n",
		r.Layer, r.Machine.Cores, r.Machine.OS, r.Machine.Go, r.Validators, r.BlockTime, r.Rollups, r.Took)
	table := func(title, head string, rows func(line func(format string, args ...any))) {
		fmt.Fprintf(b, "\n%s\n", title)
		t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		if head != "" {
			fmt.Fprintln(t, head)
		}
		rows(func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) })
		_ = t.Flush() // a strings.Builder takes everything
	}
	if len(r.Compression) > 0 {
		table("Size on the layer, of blobs with all that proves them", "\ttransactions\tMB\tposted MB\tratio\tbytes each\tposted each", func(line func(string, ...any)) {
			for _, c := range r.Compression {
				n := float64(c.Transactions) / 1e6
				line("%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f", c.Kind, c.Transactions, c.MB, c.PostedMB, c.Ratio, c.MB/n, c.PostedMB/n)
			}
		})
	}
	if c := r.Relay; c != nil {
		table("A backlog put onto the layer", "transactions MB\tblobs MB\tblobs\tseconds\ttransactions MB/s\tblobs MB/s", func(line func(string, ...any)) {
			line("%.2f\t%.2f\t%d\t%.1f\t%.2f\t%.2f", c.MB, c.PostedMB, c.Blobs, c.Seconds, c.MBps, c.PostedMBps)
		})
		table("Meanwhile", "\tmemory MB\tmost MB\tcores", func(line func(string, ...any)) {
			for _, u := range c.Processes {
				line("%s\t%.0f\t%.0f\t%.2f", u.Name, u.RSSMB, u.PeakMB, u.Cores)
			}
		})
	}
	if len(r.CatchUp) > 0 {
		table("Rebuilt from the layer alone", "\t\ttransactions\tMB\tblocks\tseconds\tMB/s\tblocks/s", func(line func(string, ...any)) {
			for _, c := range r.CatchUp {
				line("%s\t%s\t%d\t%.2f\t%d\t%.2f\t%.2f\t%.0f", c.What, c.Kind, c.Transactions, c.MB, c.Blocks, c.Seconds, c.MBps, c.BlocksPerS)
			}
		})
	}
	if s := r.Safe; s != nil {
		table("From ordered to safe", "offered MB/s\tseconds\tblocks\tp50 ms\tp90 ms\tp99 ms\tmost ms", func(line func(string, ...any)) {
			p := s.OrderedToSafe
			line("%.2f\t%.0f\t%d\t%.0f\t%.0f\t%.0f\t%.0f", s.OfferedMBps, s.Seconds, s.Blocks, p.P50, p.P90, p.P99, p.Max)
		})
	}
	if m := r.Memory; m != nil {
		table("A relayer of many rollups", "rollups\tseconds\tblocks\tmemory MB\tmost MB\twithout its program\tcores", func(line func(string, ...any)) {
			line("%d\t%.0f\t%d\t%.0f\t%.0f\t%.0f\t%.2f", m.Rollups, m.Seconds, m.Blocks, m.Relayer.RSSMB, m.Relayer.PeakMB, m.MostOwnMB, m.Relayer.Cores)
		})
	}
	if len(r.Targets) > 0 {
		table("Aims", "", func(line func(string, ...any)) {
			for _, a := range r.Targets {
				met := "missed"
				if a.Met {
					met = "met"
				}
				line("%s\t%s\t%.4g %s\tat most %.4g", met, a.What, a.Got, a.Unit, a.Want)
			}
		})
	}
	_, err := io.WriteString(w, b.String())
	return err
}
