package order_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cometbft/cometbft/crypto/merkle"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

func numbered(n int) [][]byte {
	txs := make([][]byte, n)
	for i := range txs {
		txs[i] = fmt.Appendf(nil, "transaction %d", i)
	}
	return txs
}

func TestEveryTransactionIsProven(t *testing.T) {
	for n := range 40 {
		txs := numbered(n)
		digest := order.LegDigest(txs)
		root, proofs := merkle.ProofsFromByteSlices(txs)
		if !bytes.Equal(digest[:], root) {
			t.Fatalf("%d transactions: digest %s, CometBFT has %x", n, digest, root)
		}
		for i, tx := range txs {
			p, err := order.ProveTransaction(txs, i)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(p.Aunts, proofs[i].Aunts, bytes.Equal) {
				t.Fatalf("transaction %d of %d: path differs from CometBFT's", i, n)
			}
			if err := order.VerifyTransaction(digest, uint64(n), tx, p); err != nil {
				t.Fatalf("transaction %d of %d: %v", i, n, err)
			}
		}
		for _, i := range []int{-1, n} {
			if _, err := order.ProveTransaction(txs, i); !errors.Is(err, order.ErrInvalid) {
				t.Errorf("proof of transaction %d of %d: %v", i, n, err)
			}
		}
	}
}

func TestTransactionProofsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 70).Draw(t, "transactions")
		i := rapid.IntRange(0, n-1).Draw(t, "index")
		txs := numbered(n)
		digest := order.LegDigest(txs)
		good, err := order.ProveTransaction(txs, i)
		if err != nil {
			t.Fatal(err)
		}
		refuse := func(what string, count uint64, tx []byte, change func(*orderv1.MerkleProof)) {
			t.Helper()
			p := proto.Clone(good).(*orderv1.MerkleProof)
			change(p)
			if err := order.VerifyTransaction(digest, count, tx, p); !errors.Is(err, order.ErrProof) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		same := func(*orderv1.MerkleProof) {}
		count := uint64(n)
		refuse("altered transaction", count, append(bytes.Clone(txs[i]), 0), same)
		refuse("another count", count+1, txs[i], same)
		for j := range count + 2 {
			if j != uint64(i) {
				refuse("another index", count, txs[i], func(p *orderv1.MerkleProof) { p.Index = j })
			}
		}
		for total := range uint64(130) {
			if total != count {
				refuse("another total", count, txs[i], func(p *orderv1.MerkleProof) { p.Total = total })
			}
		}
		refuse("longer path", count, txs[i], func(p *orderv1.MerkleProof) { p.Aunts = append(p.Aunts, make([]byte, 32)) })
		for j := range good.Aunts {
			refuse("shorter path", count, txs[i], func(p *orderv1.MerkleProof) { p.Aunts = slices.Delete(p.Aunts, j, j+1) })
			refuse("altered path", count, txs[i], func(p *orderv1.MerkleProof) { p.Aunts[j][0] ^= 1 })
			refuse("short node", count, txs[i], func(p *orderv1.MerkleProof) { p.Aunts[j] = p.Aunts[j][:31] })
			refuse("long node", count, txs[i], func(p *orderv1.MerkleProof) { p.Aunts[j] = append(p.Aunts[j], 0) })
		}
		if err := order.VerifyTransaction(digest, count, txs[i], nil); !errors.Is(err, order.ErrProof) {
			t.Fatalf("no proof: %v", err)
		}
	})
	huge := &orderv1.MerkleProof{Total: 1 << 63, Index: 1<<63 - 1}
	if err := order.VerifyTransaction(order.Digest{}, 1<<63, nil, huge); !errors.Is(err, order.ErrProof) {
		t.Errorf("huge total: %v", err)
	}
	if _, err := order.ProveTransaction(make([][]byte, order.MaxLegTransactions+1), 0); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("leg past its bound: %v", err)
	}
}
