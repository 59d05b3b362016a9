package rollup

import (
	"context"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ethrpc"
)

// embedded is the EVM in this process. Users see it whatever stands behind.
type embedded struct {
	evm   *evm.Client
	heads *ethrpc.Chain
}

func (n *Node) openEVM(_ context.Context, home string) (machine, error) {
	in := within(home)
	genesis, err := evm.LoadGenesis(in(n.cfg.Genesis))
	if err != nil {
		return nil, err
	}
	client, err := evm.New(evm.Config{DataDir: in("data/evm"), Genesis: genesis, CacheMB: n.cfg.Execution.CacheMB, Logger: n.log})
	if err != nil {
		return nil, err
	}
	return &embedded{evm: client, heads: ethrpc.NewChain(client.BlockChain())}, nil
}

func (m *embedded) client() execution.Client         { return m.evm }
func (m *embedded) speculator() execution.Speculator { return m.evm }
func (m *embedded) chain() gateway.Chain             { return m.heads }
func (m *embedded) hash(tx []byte) [32]byte          { return crypto.Keccak256Hash(tx) }
func (m *embedded) indexed() bool                    { return false } // geth keeps its own

func (m *embedded) door(n *Node) (door, error) {
	return ethrpc.New(ethrpc.Config{
		Settings: n.cfg.RPC, EVM: m.evm, Gateway: n.gateway, Chain: m.heads, Order: n, Logger: n.log, Registerer: n.registry,
	})
}
