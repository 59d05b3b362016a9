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
	fmt.Fprintln(w, "  rollup\tchain ID\tRPC, HTTP and WebSocket\tblock")
	for i, r := range e.Rollups {
		fmt.Fprintf(w, "  %s\t%d\t%s\t%d\n", r.Name, r.ChainID, r.RPC, s.Rollups[i].Latest)
	}
	fmt.Fprintln(w)
	_ = w.Flush()
	fmt.Fprintf(w, "  sequencer API\t%s\n", e.Sequencer)
	fmt.Fprintf(w, "  CometBFT RPC\t%s\n", e.CometRPC)
	fmt.Fprintf(w, "  DA layer\t%s\n", e.DA)
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

Ctrl-C stops the network and keeps its state: the next start goes on from there.
`, e.Rollups[0].RPC, Accounts[0].PrivateKey, Accounts[1].Address, hint.Command, home, hint.Command, home)
	return b.String()
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
