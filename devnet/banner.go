package devnet

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// banner is what a person needs to use the network, once.
func banner(e *Endpoints, s *Status, took time.Duration, hint Hint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nOrdo devnet · %s, %s, one order · up in %.1f s\n\n",
		count(len(e.Sequencers), "validator"), count(len(e.Rollups), "rollup"), took.Seconds())

	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "  rollup\tchain ID\tRPC, HTTP and WebSocket\tDA layer\tblock")
	for i, r := range e.Rollups {
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%d\n", r.Name, r.ChainID, r.RPC, layerCell(r), s.Rollups[i].Latest)
	}
	fmt.Fprintln(w)
	_ = w.Flush()
	fmt.Fprintf(w, "  sequencer API\t%s\n", e.Sequencer)
	fmt.Fprintf(w, "  CometBFT RPC\t%s\n", e.CometRPC)
	for _, d := range e.DA {
		fmt.Fprintf(w, "  DA layer %s\t%s\n", d.Layer, d.URL)
	}
	fmt.Fprintf(w, "  metrics\t%s\n", strings.Join(short(e.Metrics), "  "))
	fmt.Fprintf(w, "  data\t%s   (logs in %s, all URLs in %s)\n", e.Home, logsName, endpointsName)
	_ = w.Flush()

	fmt.Fprintf(&b, "\n  accounts, %s ETH each on every rollup; everybody knows their keys, so use them for tests alone\n", AccountETH)
	fmt.Fprintf(&b, "  mnemonic: %s\n", Mnemonic)
	for i, a := range Accounts {
		fmt.Fprintf(&b, "  %d  %s  %s\n", i, a.Address, a.PrivateKey)
	}

	home := ""
	if hint.Home != "" {
		home = " --home " + hint.Home
	}
	fmt.Fprintf(&b, `
  try
    cast send --rpc-url %s --private-key %s %s --value 1ether
    %s tx watch%s <hash>
    %s tx verify%s <hash>

%s
`, e.Rollups[0].RPC, Accounts[0].PrivateKey, Accounts[1].Address, hint.Command, home, hint.Command, home, stopping(e.DA))
	return b.String()
}

// layerCell names the DA layer of a rollup.
func layerCell(r RollupEndpoint) string {
	if r.DAFallback == "" {
		return r.DA
	}
	return r.DA + ", else " + r.DAFallback
}

// stopping tells what becomes of the network at its end.
func stopping(layers []DAEndpoint) string {
	for _, d := range layers {
		if d.Forgets {
			return "Ctrl-C stops the network for good: the " + d.Layer + " node keeps its data in memory alone. The next one is started with --fresh."
		}
	}
	return "Ctrl-C stops the network and keeps its state: the next start goes on from there."
}

// short names the first and the last of a long list.
func short(urls []string) []string {
	if len(urls) <= 3 {
		return urls
	}
	return []string{urls[0], "…", urls[len(urls)-1], fmt.Sprintf("(%d, see %s)", len(urls), endpointsName)}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
