package rollup

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// optimism is an OP Stack client: an Ethereum of which this node knows the transactions'
// form, and asks the state of nobody.
type optimism struct {
	opaque
	op      *engine.OP
	chainID *big.Int
}

func (n *Node) openOP(ctx context.Context, home string) (machine, error) {
	in := within(home)
	genesis, err := os.ReadFile(in(n.cfg.Genesis))
	if err != nil {
		return nil, fmt.Errorf("read the genesis of the op-geth: %w: it must be the file that the client was made from", err)
	}
	chainID, err := chainIDOf(genesis)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", in(n.cfg.Genesis), err)
	}
	api, err := n.dialEngine(ctx, home)
	if err != nil {
		return nil, err
	}
	client, err := engine.NewOP(engine.OPConfig{API: api, Dir: in("data/op"), Genesis: genesis, Start: n.cfg.StartHeight - 1, Logger: n.log})
	if err != nil {
		return nil, err
	}
	return &optimism{opaque{vm: client, store: n.store, handler: n.given.Handler}, client, chainID}, nil
}

func chainIDOf(genesis []byte) (*big.Int, error) {
	var g struct {
		Config struct {
			ChainID *big.Int `json:"chainId"`
		} `json:"config"`
	}
	if err := json.Unmarshal(genesis, &g); err != nil {
		return nil, fmt.Errorf("read the genesis: %w", err)
	}
	if id := g.Config.ChainID; id == nil || id.Sign() <= 0 || !id.IsUint64() {
		return nil, errors.New("the genesis has no chain ID: config.chainId must be a positive number")
	}
	return g.Config.ChainID, nil
}

func (m *optimism) hash(tx []byte) [32]byte { return crypto.Keccak256Hash(tx) }

func (m *optimism) door(n *Node) (door, error) {
	c := n.plainDoor(ordorpc.Backend{Decode: m.decode, Hash: m.hash, Whole: whole}, m.handler)
	c.ChainID = m.chainID.Uint64()
	return ordorpc.NewServer(c)
}

// decode refuses what the client would never apply. To the gateway each transaction is a
// sender of its own; the door holds nonces and balances against the client's state.
func (m *optimism) decode(raw []byte) (gateway.Tx, error) {
	tx, from, err := m.op.Inspect(raw, uint64(time.Now().Unix()))
	switch {
	case err != nil:
		return gateway.Tx{}, err
	case !tx.Protected():
		return gateway.Tx{}, errors.New("only replay-protected (EIP-155) transactions are taken")
	}
	hash := [32]byte(tx.Hash())
	return gateway.Tx{
		Hash: hash, Sender: hex.EncodeToString(hash[:]), Raw: raw,
		Note: ordorpc.Account{Address: strings.ToLower(from.Hex()), Nonce: tx.Nonce(), Cost: tx.Cost()},
	}, nil
}

// whole is what eth_getTransactionByHash answers of a transaction that is in no block yet.
func whole(raw []byte) any {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return hexutil.Bytes(raw)
	}
	from, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	if err != nil {
		return hexutil.Bytes(raw)
	}
	var object map[string]any
	if encoded, err := tx.MarshalJSON(); err != nil || json.Unmarshal(encoded, &object) != nil {
		return hexutil.Bytes(raw)
	}
	object["from"], object["gasPrice"] = from, (*hexutil.Big)(tx.GasPrice())
	for _, name := range []string{"blockHash", "blockNumber", "transactionIndex"} {
		object[name] = nil
	}
	return object
}
