// Command build builds the real celestia-app and celestia-node for devnets and tests
// and prints where they are. Run it from the root of the repository.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordo-network/ordo/devnet/celestia"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	app, node, err := celestia.Build(ctx, "test/celestia", os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ordo:", err)
		os.Exit(1)
	}
	fmt.Println(app)
	fmt.Println(node)
}
