package rollup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/astria"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// opaque is a machine whose transactions are bytes to the node. Where they were executed
// it knows by its own index.
type opaque struct {
	vm      execution.Client
	store   *store
	handler http.Handler // of the machine's own, for users
}

// openOwn takes the machine of the program that runs this node.
func (n *Node) openOwn() (machine, error) {
	if n.given.Client == nil {
		return nil, fmt.Errorf("rollup %s is executed by a program of its own (execution.mode is %s): start that program, which runs this node with rollup.RunWith", n.cfg.Name, ModeGo)
	}
	vm := n.given.Client
	if !keepsTerms(vm) {
		vm = noTerms{vm}
	}
	return &opaque{vm: vm, store: n.store, handler: n.given.Handler}, nil
}

// openGRPC waits for a client of astria.execution.v2.
func (n *Node) openGRPC(ctx context.Context, home string) (machine, error) {
	c := astria.Config{
		Endpoint: n.cfg.Execution.Endpoint, RollupID: execution.Hash(n.id), ChainID: n.trust.ChainID(), Firm: n.cfg.DA.Layer != "",
		Executed: n.store.putTold, Logger: n.log, Registerer: n.registry,
	}
	if !n.cfg.pace().Every { // else the numbers of blocks tell the heights
		c.Dir = within(home)("data/heights")
	}
	client, err := astria.Dial(ctx, c)
	if err != nil {
		return nil, err
	}
	if p := client.Parameters(); !begins(p, n.cfg.StartHeight) {
		err := fmt.Errorf("the execution client makes its block %d of sequencer height %d, and start_height of config.toml is %d: set start_height to %d on all nodes of the rollup",
			p.StartNumber, p.StartHeight, n.cfg.StartHeight, p.StartHeight)
		return nil, errors.Join(err, client.Close())
	}
	return &opaque{vm: noted{client, n.store}, store: n.store, handler: n.given.Handler}, nil
}

// begins reports whether a session is one of a rollup that begins at the height: its first one makes the
// rollup's first block of it, and those behind a fork make later blocks of later heights.
func begins(p astria.Parameters, height uint64) bool {
	if p.StartNumber > 1 {
		return p.StartHeight > height
	}
	return p.StartHeight == height
}

// keepsTerms reports whether a client says that it honours the terms of legs.
func keepsTerms(client execution.Client) bool {
	c, ok := client.(interface{ KeepsTerms() bool })
	return ok && c.KeepsTerms()
}

// silent returns what says that a client does not tell what it skips; nil where it does.
func silent(client execution.Client) func() bool {
	c, ok := client.(interface{ TellsSkipped() bool })
	if !ok {
		return nil
	}
	return func() bool { return !c.TellsSkipped() }
}

func (m *opaque) client() execution.Client         { return m.vm }
func (m *opaque) speculator() execution.Speculator { return nil }
func (m *opaque) chain() gateway.Chain             { return index{m.store} }
func (m *opaque) hash(tx []byte) [32]byte          { return sha256.Sum256(tx) }
func (m *opaque) indexed() bool                    { return true }

func (m *opaque) door(n *Node) (door, error) {
	return ordorpc.NewServer(n.plainDoor(ordorpc.Backend{Terms: keepsTerms(m.vm), Silent: silent(m.vm)}, m.handler))
}

// plainDoor is what the plain door needs, for a machine with an index.
func (n *Node) plainDoor(b ordorpc.Backend, vm http.Handler) ordorpc.Config {
	b.Gateway, b.Order, b.Records, b.Chain = n.gateway, n, n, index{n.store}.of(n.driver)
	b.Certified = n.certified
	s := n.cfg.RPC
	return ordorpc.Config{
		Settings: ordorpc.Settings{
			CORS: s.CORS, VHosts: s.VHosts, MaxConnections: s.MaxConnections, PassOn: n.cfg.Execution.PassOn,
			SyncTimeout: time.Duration(s.SyncTimeout), SyncTimeoutMax: time.Duration(s.SyncTimeoutMax),
		},
		Backend: b, Client: n.cfg.Execution.ClientRPC, VM: vm, Logger: n.log, Registerer: n.registry,
	}
}

// index answers from what the node keeps of a rollup whose client does not tell.
type index struct{ store *store }

// NextNonce implements gateway.Chain: each transaction is its own sender's only one.
func (x index) NextNonce(sender string) (uint64, error) {
	raw, err := hex.DecodeString(sender)
	if err != nil || len(raw) != sha256.Size {
		return 0, fmt.Errorf("sender %q is not the hash of a transaction", sender)
	}
	if executed, err := x.Executed([32]byte(raw)); !executed || err != nil {
		return 0, err
	}
	return 1, nil
}

// Executed implements gateway.Chain.
func (x index) Executed(hash [32]byte) (bool, error) {
	_, ok, err := x.store.place(hash)
	return ok, err
}

// of returns the chain that the index is of, as users see it.
func (x index) of(d *driver) indexed { return indexed{x, d} }

type indexed struct {
	index
	driver *driver
}

// Locate implements ordorpc.Chain.
func (x indexed) Locate(hash [32]byte) (p ordorpc.Place, ok bool, err error) {
	at, ok, err := x.store.place(hash)
	return ordorpc.Place{Block: at.Block, Index: at.Index, Height: at.Height}, ok, err
}

// Block implements ordorpc.Chain.
func (x indexed) Block(number uint64) (b ordorpc.Block, ok bool, err error) {
	m, ok, err := x.store.made(number)
	if !ok || err != nil {
		return b, false, err
	}
	return ordorpc.Block{Number: number, Hash: m.Hash, Time: m.Time, From: m.From, To: m.To}, true, nil
}

// Heads implements ordorpc.Chain.
func (x indexed) Heads() (ordorpc.Heads, error) {
	soft, final := x.driver.heads()
	return ordorpc.Heads{Latest: soft, Safe: final, Finalized: final}, nil
}

// Pending implements ordorpc.Chain.
func (x indexed) Pending(hash [32]byte) (bool, error) { return x.driver.waits(hash), nil }
