package payments

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

func transfer(p Payment) *types.DynamicFeeTx {
	p.Tx.To, p.Tx.Value, p.Tx.Gas = &p.To, p.Amount, params.TxGas
	return p.Tx
}

// Runs can be compared with each other only if they send the same.
func TestTheSameSeedGivesTheSame(t *testing.T) {
	t.Parallel()
	var runs [3][][]byte
	for i := range runs {
		s, err := New(7, uint64(i/2), 5, 100)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			txs, err := s.Sign(4, transfer)
			if err != nil {
				t.Fatal(err)
			}
			runs[i] = append(runs[i], txs...)
		}
	}
	if !slices.EqualFunc(runs[0], runs[1], bytes.Equal) {
		t.Error("one seed gave two series")
	}
	if bytes.Equal(runs[0][0], runs[2][0]) {
		t.Error("two seeds gave the same transaction")
	}
}

func TestSendersTakeTurns(t *testing.T) {
	t.Parallel()
	s, err := New(7, 1, 3, 10)
	if err != nil {
		t.Fatal(err)
	}
	signer := types.LatestSignerForChainID(s.signer.ChainID())
	for first := 0; first < 8; first += 4 { // calls begin at any sender
		txs, err := s.Sign(4, transfer)
		if err != nil {
			t.Fatal(err)
		}
		for i, raw := range txs {
			var tx types.Transaction
			if err := tx.UnmarshalBinary(raw); err != nil {
				t.Fatal(err)
			}
			from, err := types.Sender(signer, &tx)
			if n := first + i; err != nil || from != s.Senders[n%3] || tx.Nonce() != uint64(n/3) {
				t.Errorf("transaction %d is the one of nonce %d of %s: %v", n, tx.Nonce(), from, err)
			}
		}
	}
}
