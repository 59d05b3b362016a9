package ethrpc

import (
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

// FuzzSignature: whatever stands in the header, nobody is taken for the address but who
// signed the body with its key.
func FuzzSignature(f *testing.F) {
	key, err := crypto.ToECDSA(common.LeftPadBytes([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"eth_sendBundle"}`)
	sig, err := crypto.Sign(accounts.TextHash([]byte(crypto.Keccak256Hash(body).Hex())), key)
	if err != nil {
		f.Fatal(err)
	}
	address := crypto.PubkeyToAddress(key.PublicKey)
	good := address.Hex() + ":" + hexutil.Encode(sig)
	for _, header := range []string{good, strings.ToLower(good), good[2:], good + "00", strings.Replace(good, ":", "::", 1), "", ":", "0x:0x", address.Hex() + ":0x" + strings.Repeat("ff", 65)} {
		f.Add(header, body)
	}
	f.Add(good, []byte("other"))
	f.Fuzz(func(t *testing.T, header string, got []byte) {
		from, err := checkSignature(header, got)
		if err == nil && from == address && string(got) != string(body) {
			t.Errorf("%q passes for a signature of %q", header, got)
		}
		if header == good && string(got) == string(body) && (err != nil || from != address) {
			t.Errorf("the right signature: %v, %v", from, err)
		}
	})
}
