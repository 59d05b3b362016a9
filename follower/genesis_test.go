package follower

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmtjson "github.com/cometbft/cometbft/libs/json"
)

// TestTrustGenesisFile reads the genesis in both forms that are about: CometBFT's
// and the SDK's.
func TestTrustGenesisFile(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(1)
	plain, err := cmtjson.Marshal(c.genesis)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(plain, &fields); err != nil {
		t.Fatal(err)
	}
	fields["initial_height"] = json.RawMessage("1")
	fields["consensus"] = json.RawMessage(`{"validators":` + string(fields["validators"]) + `}`)
	delete(fields, "validators")
	sdk, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	write := func(raw []byte) string {
		path := filepath.Join(t.TempDir(), "genesis.json")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b, _ := c.at(1)
	for name, raw := range map[string][]byte{"CometBFT's": plain, "the SDK's": sdk} {
		trust, err := TrustGenesisFile(write(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := NewVerifier(alpha, trust, Options{}).Next(b.rollupBlock(alpha), c.now()); err != nil || trust.ChainID() != testChainID {
			t.Errorf("%s: chain %q, %v", name, trust.ChainID(), err)
		}
	}
	for name, raw := range map[string]string{
		"not a genesis": `[]`,
		"no validators": `{"chain_id":"x","genesis_time":"2030-01-01T00:00:00Z"}`,
		"odd height":    `{"chain_id":"x","initial_height":"one"}`,
		"odd validator": `{"chain_id":"x","validators":[{"pub_key":{"type":"none","value":""}}]}`,
	} {
		path := write([]byte(raw))
		if _, err := TrustGenesisFile(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v; want an error that names the file", name, err)
		}
	}
	if _, err := TrustGenesisFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("trusted a file that is not there")
	}
}
