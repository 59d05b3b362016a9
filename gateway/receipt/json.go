package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// document is the JSON form, as ordo_getReceipt answers: bytes in lower-case hex after
// 0x, numbers as quantities.
type document struct {
	ChainID         string `json:"chainId"`
	RollupID        string `json:"rollupId"`
	TransactionHash string `json:"transactionHash"`
	Bundle          string `json:"bundle"`
	ReceivedAt      string `json:"receivedAt"`
	Payer           string `json:"payer"`
	Signature       string `json:"signature"`
}

// MarshalJSON implements json.Marshaler.
func (r Receipt) MarshalJSON() ([]byte, error) {
	return json.Marshal(document{
		ChainID: r.ChainID, RollupID: hexOf(r.RollupID[:]), TransactionHash: hexOf(r.TxHash[:]), Bundle: hexOf(r.Bundle[:]),
		ReceivedAt: "0x" + strconv.FormatUint(r.Received, 16), Payer: hexOf(r.Payer[:]), Signature: hexOf(r.Signature[:]),
	})
}

// UnmarshalJSON implements json.Unmarshaler. It refuses fields that it does not know, for
// they are not signed, and checks the form, not the signature.
func (r *Receipt) UnmarshalJSON(raw []byte) error {
	var d document
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fmt.Errorf("decode receipt: %w", err)
	}
	out := Receipt{ChainID: d.ChainID}
	for _, f := range []struct {
		name, text string
		to         []byte
	}{
		{"rollupId", d.RollupID, out.RollupID[:]}, {"transactionHash", d.TransactionHash, out.TxHash[:]}, {"bundle", d.Bundle, out.Bundle[:]},
		{"payer", d.Payer, out.Payer[:]}, {"signature", d.Signature, out.Signature[:]},
	} {
		digits, ok := strings.CutPrefix(f.text, "0x")
		if !ok || len(digits) != 2*len(f.to) {
			return fmt.Errorf("decode receipt: %s is not %d bytes in hex after 0x", f.name, len(f.to))
		}
		if _, err := hex.Decode(f.to, []byte(digits)); err != nil {
			return fmt.Errorf("decode receipt: %s: %w", f.name, err)
		}
	}
	digits, ok := strings.CutPrefix(d.ReceivedAt, "0x")
	if !ok {
		return errors.New("decode receipt: receivedAt is not a quantity such as 0x1f")
	}
	var err error
	if out.Received, err = strconv.ParseUint(digits, 16, 64); err != nil {
		return fmt.Errorf("decode receipt: receivedAt: %w", err)
	}
	*r = out
	return nil
}

func hexOf(b []byte) string { return "0x" + hex.EncodeToString(b) }
