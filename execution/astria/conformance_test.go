package astria_test

import (
	"testing"

	"github.com/ordo-network/ordo/execution/executiontest"
)

// The server runs in another process each time, around the embedded EVM.
func TestConformance(t *testing.T) {
	t.Parallel()
	executiontest.Run(t, executiontest.Harness{
		Open:        openRemote,
		Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n) },
		// Of an account that sent nothing: a nonce too high; no signature; a byte too much.
		Invalid:     [][]byte{transfer(t, 1, 7), transfer(t, 1, 0)[:60], append(transfer(t, 1, 0), 0)},
		EveryHeight: true,
	})
}
