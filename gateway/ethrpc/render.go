package ethrpc

import (
	"encoding/json"

	"github.com/ethereum/go-ethereum/core/types"
)

// pendingJSON returns the transaction as eth_getTransactionByHash shows it before
// it is in a block.
func pendingJSON(tx *types.Transaction) (map[string]any, error) {
	from, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	if err != nil {
		return nil, err
	}
	raw, err := tx.MarshalJSON()
	if err != nil {
		return nil, err
	}
	fields := make(map[string]any)
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for name, v := range fields {
		if v == nil && name != "to" {
			delete(fields, name) // fields of other types of transactions
		}
	}
	if fields["gasPrice"] == nil {
		fields["gasPrice"] = fields["maxFeePerGas"]
	}
	fields["from"] = from
	for _, name := range []string{"blockHash", "blockNumber", "blockTimestamp", "transactionIndex"} {
		fields[name] = nil
	}
	return fields, nil
}

func allPendingJSON(txs []*types.Transaction) ([]map[string]any, error) {
	out := make([]map[string]any, len(txs))
	for i, tx := range txs {
		v, err := pendingJSON(tx)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
