package main

import (
	"context"
	"fmt"
	"io"
	"slices"
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

// printStatus asks everybody and prints what they say.
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
	head := uint64(0)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "sequencer\theight\tAPI")
	for i, url := range e.Sequencers {
		name := fmt.Sprintf("validator-%d", i)
		h, err := p.SequencerHeight(ctx, url)
		head = max(head, h)
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, cell(h, err, name), url)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(w, "rollup\tlatest\tsafe\tfinalized\trelayed\tRPC")
	for _, r := range e.Rollups {
		latest, err := p.Block(ctx, r.RPC, "latest")
		cells := []string{r.Name, cell(latest, err, "rollup "+r.Name)}
		for _, tag := range []string{"safe", "finalized"} {
			n, err := p.Block(ctx, r.RPC, tag)
			if err != nil { // geth answers with an error while there is none
				cells = append(cells, "none yet")
				continue
			}
			cells = append(cells, fmt.Sprint(n))
		}
		relayed, err := p.RelayedHeight(ctx, r.Name)
		lag := cell(relayed, err, "the relayer")
		if err == nil && relayed <= head {
			lag = fmt.Sprintf("height %d (−%d)", relayed, head-relayed)
		}
		fmt.Fprintln(w, strings.Join(append(cells, lag, r.RPC), "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(silent) > 0 {
		slices.Sort(silent)
		return fmt.Errorf("no answer from %s", strings.Join(slices.Compact(silent), ", "))
	}
	return nil
}
