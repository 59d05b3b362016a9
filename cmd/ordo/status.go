package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/devnet"
)

func newStatusCmd() *cobra.Command {
	var network networkFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show a network at a glance: heights of validators, rollups and relayer",
		Long: `Show a network at a glance: heights of validators, rollups and relayer. It ends with
an error where one of them does not answer.`,
		Example: `  ordo status
  ordo status --endpoints net.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := network.load()
			if err != nil {
				return err
			}
			return printStatus(cmd.Context(), cmd.OutOrStdout(), e)
		},
	}
	network.add(cmd)
	return cmd
}

// relayedHeight is the series of the relayer's metrics that tells up to which height
// of the order a rollup's data is on the DA layer.
const relayedHeight = `ordo_relayer_confirmed_height{rollup=%q}`

func printStatus(ctx context.Context, out io.Writer, e *devnet.Endpoints) error {
	p := devnet.NewProbe(e)
	var silent []string
	cell := func(v uint64, err error, who string) string {
		if err != nil {
			silent = append(silent, who)
			return "no answer"
		}
		return fmt.Sprint(v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "sequencer\theight\tAPI")
	for i, url := range e.Sequencers {
		name := fmt.Sprintf("validator-%d", i)
		h, err := p.SequencerHeight(ctx, url)
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, cell(h, err, name), url)
	}
	fmt.Fprintln(w)
	_ = w.Flush()
	fmt.Fprintln(w, "rollup\tlatest\tsafe\tfinalized\tRPC")
	for _, r := range e.Rollups {
		cells := []string{r.Name}
		for i, tag := range []string{"latest", "safe", "finalized"} {
			n, err := p.Block(ctx, r.RPC, tag)
			if i == 0 {
				cells = append(cells, cell(n, err, "rollup "+r.Name))
				continue
			}
			if err != nil {
				cells = append(cells, "none yet")
				continue
			}
			cells = append(cells, fmt.Sprint(n))
		}
		fmt.Fprintln(w, strings.Join(append(cells, r.RPC), "\t"))
	}
	_ = w.Flush()
	if len(silent) > 0 {
		return fmt.Errorf("no answer from %s", strings.Join(silent, ", "))
	}
	return nil
}
