package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/order"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

func example() *Receipt {
	r := &Receipt{ChainID: "ordo-1", RollupID: order.NewRollupID("alpha"), TxHash: [32]byte{1}, Bundle: [32]byte{2}, Received: 1_700_000_000_123}
	r.Sign(key)
	return r
}

// golden is the form that docs/spec/receipts.md shows.
const golden = `{"chainId":"ordo-1","rollupId":"0x8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8",` +
	`"transactionHash":"0x0100000000000000000000000000000000000000000000000000000000000000",` +
	`"bundle":"0x0200000000000000000000000000000000000000000000000000000000000000","receivedAt":"0x18bcfe5687b",` +
	`"payer":"0xea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c","signature":"0x7a300216c2e8594129c71f1ba172154d60307b7e9ca7d668d2ddf79bb1ee334cded508580ab176ccccbb60ba27362a2791d9fdf115531cfbda7f7bad08ef850e"}`

func TestGolden(t *testing.T) {
	t.Parallel()
	r := example()
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != golden {
		t.Errorf("receipt is\n%s\nwant\n%s", raw, golden)
	}
	signed := "ordo/receipt/v1\x00\x06ordo-1" + string(r.RollupID[:]) + string(r.TxHash[:]) + string(r.Bundle[:]) + "\x00\x00\x01\x8b\xcf\xe5\x68\x7b" + string(r.Payer[:])
	if string(r.SignBytes()) != signed {
		t.Errorf("signed is %x, want %x", r.SignBytes(), signed)
	}
	var back Receipt
	if err := json.Unmarshal(raw, &back); err != nil || back != *r {
		t.Errorf("read back %+v, %v", back, err)
	}
	if err := back.Verify(); err != nil {
		t.Error(err)
	}
}

// Whatever is changed, the signature does not cover it any more.
func TestSignatureCoversAll(t *testing.T) {
	t.Parallel()
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))
	for name, change := range map[string]func(*Receipt){
		"chain":       func(r *Receipt) { r.ChainID = "ordo-2" },
		"rollup":      func(r *Receipt) { r.RollupID[0]++ },
		"transaction": func(r *Receipt) { r.TxHash[0]++ },
		"bundle":      func(r *Receipt) { r.Bundle = [32]byte{} },
		"time":        func(r *Receipt) { r.Received++ },
		"payer":       func(r *Receipt) { copy(r.Payer[:], other.Public().(ed25519.PublicKey)) },
		"signature":   func(r *Receipt) { r.Signature[0]++ },
	} {
		r := example()
		if change(r); !errors.Is(r.Verify(), ErrSignature) {
			t.Errorf("%s changed: %v, want ErrSignature", name, r.Verify())
		}
	}
	for name, change := range map[string]func(*Receipt){
		"no chain":       func(r *Receipt) { r.ChainID = "" },
		"long chain":     func(r *Receipt) { r.ChainID = strings.Repeat("x", 51) },
		"no rollup":      func(r *Receipt) { r.RollupID = order.RollupID{} },
		"no transaction": func(r *Receipt) { r.TxHash = [32]byte{} },
	} {
		r := example()
		change(r)
		if r.Sign(key); r.Verify() == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"null fields":   `{}`,
		"no object":     `[]`,
		"other field":   strings.Replace(golden, `{`, `{"final":true,`, 1),
		"short hash":    strings.Replace(golden, "0x01", "0x", 1),
		"no hex":        strings.Replace(golden, "0x01", "0xzz", 1),
		"no prefix":     strings.Replace(golden, "0x01", "0101", 1),
		"time":          strings.Replace(golden, "0x18bcfe5687b", "1700000000123", 1),
		"negative time": strings.Replace(golden, "0x18bcfe5687b", "0x-1", 1),
		"huge time":     strings.Replace(golden, "0x18bcfe5687b", "0x10000000000000000", 1),
	} {
		if err := json.Unmarshal([]byte(raw), new(Receipt)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzReceipt(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"chainId":""}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r, back Receipt
		if json.Unmarshal(raw, &r) != nil {
			return
		}
		_ = r.Verify() // must not panic
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &back); err != nil || back != r {
			t.Fatalf("%s is read as %+v, was %+v: %v", again, back, r, err)
		}
	})
}
