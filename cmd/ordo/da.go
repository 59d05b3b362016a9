package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/relayer"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

func newDACmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "da",
		Short:   "Look at the DA layers that the order is put on",
		Example: `  ordo da status`,
	}
	cmd.AddCommand(newDAStatusCmd())
	return cmd
}

func newDAStatusCmd() *cobra.Command {
	var network networkFlags
	var s daStatus
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show per DA layer what is posted, how far behind, and at what cost",
		Long: `Show per DA layer what is posted, how far behind, and at what cost, as a relayer
tells it; and up to which height validators with more than 2/3 of stake confirm that it is
there, as a sequencer node tells it. Without flags it is about the devnet on this machine.`,
		Example: `  ordo da status
  ordo da status --relayer http://127.0.0.1:26761
  ordo da status --relayer http://relayer:26761 --sequencer http://node:26602 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.relayer == "" && s.sequencer == "" {
				e, err := network.load()
				if err != nil {
					return err
				}
				s.relayer, s.sequencer = e.RelayerURL(), e.Sequencer
			}
			report, err := s.ask(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(report)
			}
			return report.print(cmd.OutOrStdout())
		},
	}
	network.add(cmd)
	cmd.Flags().StringVar(&s.relayer, "relayer", "", "URL of a relayer's metrics listener, such as http://127.0.0.1:26761")
	cmd.Flags().StringVar(&s.sequencer, "sequencer", "", "API of a sequencer node, such as http://127.0.0.1:26602")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// daStatus asks a relayer and a sequencer node; either may be empty.
type daStatus struct{ relayer, sequencer string }

// daReport is what they say.
type daReport struct {
	Relayer      *relayer.Status  `json:"relayer,omitempty"`
	Availability []daAvailability `json:"availability,omitempty"`
}

// daAvailability is what validators confirm of one rollup.
type daAvailability struct {
	RollupID string `json:"rollup_id"`
	From     uint64 `json:"from"`
	To       uint64 `json:"to"`
	Layer    string `json:"layer"`
	Pending  uint32 `json:"pending_claims"`
}

const (
	daStatusTimeout = 10 * time.Second
	maxStatusBytes  = 16 << 20
)

func (s daStatus) ask(ctx context.Context) (*daReport, error) {
	ctx, cancel := context.WithTimeout(ctx, daStatusTimeout)
	defer cancel()
	out := &daReport{}
	if s.relayer != "" {
		var err error
		if out.Relayer, err = relayerStatus(ctx, s.relayer); err != nil {
			return nil, err
		}
	}
	if s.sequencer != "" {
		client := sequencerv1connect.NewSequencerServiceClient(http.DefaultClient, s.sequencer, connect.WithReadMaxBytes(maxStatusBytes))
		answer, err := client.GetAvailability(ctx, connect.NewRequest(&sequencerv1.GetAvailabilityRequest{}))
		if err != nil {
			return nil, fmt.Errorf("ask the sequencer node at %s what validators confirm: %w", s.sequencer, err)
		}
		for _, r := range answer.Msg.GetRollups() {
			out.Availability = append(out.Availability, daAvailability{
				RollupID: hex.EncodeToString(r.GetRollupId()), From: r.GetFrom(), To: r.GetTo(), Layer: r.GetLayer(), Pending: r.GetPending(),
			})
		}
	}
	return out, nil
}

func relayerStatus(ctx context.Context, url string) (*relayer.Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("--relayer %q is not a URL such as http://127.0.0.1:26761", url)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the relayer: %w (is it running, and is this its metrics.listen?)", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxStatusBytes))
	if err != nil {
		return nil, fmt.Errorf("ask the relayer: %w", err)
	}
	status := new(relayer.Status)
	if err := json.Unmarshal(raw, status); err != nil || resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s does not answer as a relayer does (HTTP status %s): give the URL of its metrics.listen", url, resp.Status), err)
	}
	return status, nil
}

func (r *daReport) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	names := map[string]string{} // of rollups, by ID
	if s := r.Relayer; s != nil {
		fmt.Fprintln(w, "layer\tstate\thead\tlast posted\tlag\tpending\tcost per MB\trollups")
		for _, l := range s.Layers {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\n", l.Name, layerState(l), l.HeadHeight, orNone(l.PostedHeight), lag(l.LagBlocks, l.LagSeconds),
				bytesText(l.PendingBytes), cost(l), l.Rollups)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
		fmt.Fprintf(w, "rollup\tlayer\tread\tposted\tlag\tpending\n")
		for _, p := range s.Rollups {
			names[p.RollupID] = p.Name
			layer := p.Layer
			if p.FallbackActive {
				layer += " (fallback)"
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", p.Name, layer, p.ReadHeight, orNone(p.PostedHeight), lag(p.LagBlocks, p.LagSeconds), bytesText(p.PendingBytes))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if len(r.Availability) == 0 {
		return nil
	}
	if r.Relayer != nil {
		fmt.Fprintln(out)
	}
	fmt.Fprintln(w, "rollup\tconfirmed by validators\tlayer\tclaims that wait")
	for _, a := range r.Availability {
		name, ok := names[a.RollupID]
		if !ok {
			name = a.RollupID[:min(12, len(a.RollupID))] + "…"
		}
		confirmed := "nothing yet"
		if a.To > 0 {
			confirmed = fmt.Sprintf("%d to %d", a.From, a.To)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", name, confirmed, a.Layer, a.Pending)
	}
	return w.Flush()
}

func layerState(l relayer.LayerStatus) string {
	switch {
	case l.FallbackActive:
		return "confirms nothing, " + l.Fallback + " takes over"
	case !l.Answers:
		return "no answer"
	}
	return "ok"
}

func lag(blocks uint64, seconds float64) string {
	if seconds == 0 {
		return fmt.Sprintf("%d blocks", blocks)
	}
	return fmt.Sprintf("%d blocks, %.1f s", blocks, seconds)
}

func cost(l relayer.LayerStatus) string {
	if l.PriceUnit == "" {
		return "none"
	}
	return fmt.Sprintf("%.4g %s", l.PricePerMB, l.PriceUnit)
}

func orNone(height uint64) string {
	if height == 0 {
		return "none"
	}
	return fmt.Sprint(height)
}

func bytesText(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
