// Command build builds real execution clients for devnets and tests, those that its
// arguments name, and prints where they are. Run it from the root of the repository.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordo-network/ordo/devnet/ethclients"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := build(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ordo:", err)
		os.Exit(1)
	}
}

func build(ctx context.Context, names []string) error {
	programs := map[string]ethclients.Program{}
	for _, p := range []ethclients.Program{ethclients.Geth, ethclients.OPGeth} {
		programs[p.Name] = p
	}
	for _, name := range names {
		p, ok := programs[name]
		if !ok {
			return fmt.Errorf("no client is called %q: there are %s and %s", name, ethclients.Geth.Name, ethclients.OPGeth.Name)
		}
		path, err := p.Build(ctx, ".", os.Stderr)
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
