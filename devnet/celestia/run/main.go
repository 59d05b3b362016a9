// Command run runs a real Celestia network until Ctrl-C: a chain of one validator and a
// bridge, on loopback. Run it from the root of the repository; started again on the same
// folder, it goes on where it stopped.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordo-network/ordo/devnet/celestia"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ordo:", err)
		os.Exit(1)
	}
}

func run() error {
	o := celestia.Options{}
	flag.StringVar(&o.Dir, "dir", ".cache/celestia", "folder of the network")
	flag.IntVar(&o.Port, "port", 0, "port of the bridge's JSON-RPC (default: the one it had, or one that is free)")
	flag.DurationVar(&o.BlockTime, "block-time", celestia.DefaultBlockTime, "time from block to block")
	flag.BoolVar(&o.Auth, "auth", false, "make the bridge ask for a token")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.AppBinary, o.NodeBinary, err = celestia.Build(ctx, "test/celestia", os.Stderr); err != nil {
		return err
	}
	n, err := celestia.Start(ctx, o)
	if err != nil {
		return err
	}
	app, bridge := n.PIDs()
	fmt.Printf("bridge, JSON-RPC   %s\n", n.Endpoint())
	if n.Token() != "" {
		fmt.Printf("token              %s\n", n.Token())
	}
	fmt.Printf("chain, CometBFT    %s\n", n.AppRPC())
	fmt.Printf("folder             %s\n", o.Dir)
	fmt.Printf("processes          %d (chain), %d (bridge)\n", app, bridge)
	fmt.Println("Ctrl-C stops it.")
	select {
	case <-ctx.Done():
		fmt.Println("stopping")
	case <-n.Done():
	}
	return n.Stop()
}
