// Command build builds the real eigenda-proxy for devnets and tests and prints where
// it is. Run it from the root of the repository.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ordo-network/ordo/devnet/eigenda"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	path, err := eigenda.Build(ctx, "test/eigenda", os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ordo:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}
