package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	cmthttp "github.com/cometbft/cometbft/rpc/client/http"
	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

func newStatusCmd() *cobra.Command {
	var network networkFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show a network at a glance: heights of validators, rollups and relayer",
		Long: `Show a network at a glance: heights of validators, rollups and relayer, and how far
the validators' lanes are ordered, as session/batch. It ends with an error where one of
them does not answer.`,
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
	fmt.Fprintln(w, "sequencer\theight\tlane\tordered to\tAPI")
	marks := laneMarks(ctx, e.CometRPCs)
	for i, url := range e.Sequencers {
		name := fmt.Sprintf("validator-%d", i)
		info, err := p.SequencerInfo(ctx, url)
		h := info.GetLatestHeight()
		head = max(head, h)
		lane, mark := "none", "none"
		if owner, err := order.OwnerFromBytes(info.GetLaneOwner()); err == nil {
			lane = owner.String()[:8] + "…"
			mark = cmp.Or(marks[owner], "nothing yet")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, cell(h, err, name), lane, mark, url)
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

// laneMarks asks the first validator that answers how far each lane is ordered. Where
// none does, there are no marks: the rest of the status says so.
func laneMarks(ctx context.Context, rpcs []string) map[order.Owner]string {
	for _, rpc := range rpcs {
		c, err := cmthttp.NewWithTimeout(rpc, "/websocket", 2)
		if err != nil {
			continue
		}
		answer, err := c.ABCIQuery(ctx, "/ordo.ordering.v1.Query/Lanes", nil)
		if err != nil {
			continue
		}
		var lanes orderingv1.QueryLanesResponse
		if !answer.Response.IsOK() || lanes.Unmarshal(answer.Response.Value) != nil {
			continue
		}
		marks := make(map[order.Owner]string, len(lanes.Lanes))
		for _, l := range lanes.Lanes {
			if owner, err := order.OwnerFromBytes(l.Owner); err == nil {
				marks[owner] = order.Mark{Session: l.Session, Sequence: l.Sequence}.String()
			}
		}
		return marks
	}
	return nil
}
