package ordorpc_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// FuzzNumbers: a number is the same as JSON writes it and as a hex quantity, and what is
// neither is refused, or for a timeout counts as not given.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "5", "18446744073709551615", "18446744073709551616", "-1", "1.0", "1e3", `"0x0"`, `"0x1f"`, `"0x01"`, `"0x"`, `"31"`, "null", "true", "[]", `"latest"`, `"pending"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var n ordorpc.Number
		if json.Unmarshal(raw, &n) == nil && string(raw) != "null" {
			for _, again := range []string{strconv.FormatUint(uint64(n), 10), `"` + hexutil.EncodeUint64(uint64(n)) + `"`} {
				var m ordorpc.Number
				if err := json.Unmarshal([]byte(again), &m); err != nil || m != n {
					t.Errorf("%s is %d, %s is %d, %v", raw, n, again, m, err)
				}
			}
			var ms ordorpc.Millis
			if err := json.Unmarshal(raw, &ms); err != nil || uint64(ms) != uint64(n) {
				t.Errorf("%s is number %d and %d ms, %v", raw, n, ms, err)
			}
		}
		var ms ordorpc.Millis
		if json.Valid(raw) {
			if err := json.Unmarshal(raw, &ms); err != nil {
				t.Errorf("%s as a timeout: %v", raw, err)
			}
		}
		var tag ordorpc.BlockTag
		_ = json.Unmarshal(raw, &tag)
		var hash ordorpc.Hash
		if json.Unmarshal(raw, &hash) == nil && string(raw) != "null" {
			text, err := json.Marshal(hash)
			var again ordorpc.Hash
			if err != nil || json.Unmarshal(text, &again) != nil || again != hash {
				t.Errorf("%s is %s", raw, text)
			}
		}
	})
}
