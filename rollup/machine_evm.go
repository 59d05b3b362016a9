package rollup

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ethrpc"
)

// embedded is the EVM in this process. Users see it whatever stands behind.
type embedded struct {
	evm    *evm.Client
	mirror *engine.Mirror // of its blocks in an Ethereum client; nil for none
	heads  *ethrpc.Chain
}

func (n *Node) openEVM(ctx context.Context, home string) (_ machine, err error) {
	in := within(home)
	genesis, err := evm.LoadGenesis(in(n.cfg.Genesis))
	if err != nil {
		return nil, err
	}
	client, err := evm.New(evm.Config{DataDir: in("data/evm"), Genesis: genesis, CacheMB: n.cfg.Execution.CacheMB, Logger: n.log})
	if err != nil {
		return nil, err
	}
	m := &embedded{evm: client, heads: ethrpc.NewChain(client.BlockChain())}
	if n.cfg.Execution.Engine == "" {
		return m, nil
	}
	api, err := n.dialEngine(ctx, home)
	if err == nil {
		m.mirror, err = engine.NewMirror(client, api, n.log)
	}
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return m, nil
}

// dialEngine waits for the Ethereum client.
func (n *Node) dialEngine(ctx context.Context, home string) (*engine.API, error) {
	secret, err := engine.LoadSecret(within(home)(n.cfg.Execution.JWT))
	if err != nil {
		return nil, err
	}
	return engine.Dial(ctx, engine.Config{URL: n.cfg.Execution.Engine, Secret: secret, Logger: n.log, Registerer: n.registry})
}

func (m *embedded) client() execution.Client {
	if m.mirror != nil {
		return m.mirror
	}
	return m.evm
}

func (m *embedded) speculator() execution.Speculator { return m.evm }
func (m *embedded) chain() gateway.Chain             { return m.heads }
func (m *embedded) hash(tx []byte) [32]byte          { return crypto.Keccak256Hash(tx) }
func (m *embedded) indexed() bool                    { return false } // geth keeps its own

func (m *embedded) door(n *Node) (door, error) {
	return ethrpc.New(ethrpc.Config{
		Settings: n.cfg.RPC, EVM: m.evm, Gateway: n.gateway, Chain: m.heads, Order: n, Records: n, Logger: n.log, Registerer: n.registry,
	})
}
