package rollup

import (
	"context"
	"fmt"
	"net"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/gateway"
)

// Modes of a node: what executes its rollup.
const (
	ModeEVM  = "evm"  // the EVM in this process, with an Ethereum client behind it where one is named
	ModeOP   = "op"   // an op-geth or op-reth, by the Engine API
	ModeGRPC = "grpc" // a client of astria.execution.v2
	ModeGo   = "go"   // a virtual machine in the program that runs the node
)

// machine is what hangs on what executes the rollup.
type machine interface {
	// client executes. The node closes it.
	client() execution.Client
	// speculator tries out what comes next; nil where the client cannot.
	speculator() execution.Speculator
	// chain answers the gateway, for the soft head.
	chain() gateway.Chain
	// hash names a transaction.
	hash(tx []byte) [32]byte
	// indexed reports whether the node must keep where transactions were executed, because
	// the client does not tell.
	indexed() bool
	// door serves users. It is asked for once, when all that it shows is open.
	door(n *Node) (door, error)
}

// door is where users come in.
type door interface {
	// Serve answers on the listener, which it closes, until ctx ends, which is no error.
	Serve(ctx context.Context, ln net.Listener) error
	Close()
}

// openMachine opens what the settings name, and for an unmodified client outside of this
// process waits until it answers.
func (n *Node) openMachine(ctx context.Context, home string) (machine, error) {
	switch n.cfg.Execution.Mode {
	case ModeEVM:
		return n.openEVM(ctx, home)
	case ModeOP:
		return n.openOP(ctx, home)
	case ModeGRPC:
		return n.openGRPC(ctx, home)
	case ModeGo:
		return n.openOwn()
	}
	return nil, fmt.Errorf("execution.mode is %q: want %s, %s, %s or %s", n.cfg.Execution.Mode, ModeEVM, ModeOP, ModeGRPC, ModeGo)
}
