package rollup

import (
	"encoding/json"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
)

// In full a transaction in no block is what wallets' libraries take it for.
func TestWholeTransaction(t *testing.T) {
	t.Parallel()
	raw := transferTx(t, 3)
	encoded, err := json.Marshal(whole(raw))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"hash": crypto.Keccak256Hash(raw).Hex(), "from": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", "to": "0x000000000000000000000000000000000000beef",
		"nonce": "0x3", "value": "0x1", "type": "0x2", "gasPrice": "0x2540be400", "maxFeePerGas": "0x2540be400",
		"blockHash": nil, "blockNumber": nil, "transactionIndex": nil,
	} {
		if have, ok := got[name]; !ok || have != want {
			t.Errorf("%s is %v, want %v", name, have, want)
		}
	}
}
