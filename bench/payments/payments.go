// Package payments makes what a rollup's people send: signed transactions of accounts that
// take turns, to others of whom some are paid far more often, of amounts of a few digits
// and with the tips that wallets suggest. In go a seed and how many people; out come
// payments, which the benchmark that asks makes into transactions of a kind.
//
// What always holds: the same seed gives the same keys and the same payments, and each
// transaction has the next nonce of who sends it.
package payments

import (
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"runtime"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"golang.org/x/sync/errgroup"
)

// Source makes the payments of one rollup. It is not for several goroutines.
type Source struct {
	Senders []common.Address
	Random  *rand.Rand
	Made    int // payments so far

	signer types.Signer
	keys   []*ecdsa.PrivateKey // of the senders
	payees []common.Address
}

// Payment is what somebody owes.
type Payment struct {
	From, To common.Address
	Amount   *big.Int
	// Tx is the sender's next transaction, without a receiver, a value, gas and data.
	Tx *types.DynamicFeeTx
}

// New makes the people of a rollup.
func New(chainID, seed uint64, senders, payees int) (*Source, error) {
	s := &Source{
		Random: rand.New(rand.NewPCG(seed, 0x6f72646f)),
		signer: types.LatestSignerForChainID(new(big.Int).SetUint64(chainID)),
	}
	for range senders {
		key, err := s.key()
		if err != nil {
			return nil, err
		}
		s.keys, s.Senders = append(s.keys, key), append(s.Senders, crypto.PubkeyToAddress(key.PublicKey))
	}
	for range payees {
		var a common.Address
		for i := 0; i+4 <= len(a); i += 4 {
			binary.BigEndian.PutUint32(a[i:], s.Random.Uint32())
		}
		s.payees = append(s.payees, a)
	}
	return s, nil
}

// key returns a private key that is the same in each run.
func (s *Source) key() (*ecdsa.PrivateKey, error) {
	for range 10 {
		var raw [32]byte
		for i := 0; i < len(raw); i += 8 {
			binary.BigEndian.PutUint64(raw[i:], s.Random.Uint64())
		}
		if key, err := crypto.ToECDSA(raw[:]); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("no key of 10 is on the curve")
}

// Next returns the next payment, of the sender whose turn it is.
func (s *Source) Next() Payment {
	tips := [...]int64{1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 1_500_000_000}
	p := Payment{From: s.Senders[s.Made%len(s.Senders)], Tx: &types.DynamicFeeTx{
		ChainID: s.signer.ChainID(), Nonce: uint64(s.Made / len(s.Senders)), Value: new(big.Int),
		GasTipCap: big.NewInt(tips[s.Random.IntN(len(tips))]), GasFeeCap: big.NewInt(20 * params.GWei),
	}}
	s.Made++
	skew := s.Random.Float64()
	p.To = s.payees[int(skew*skew*float64(len(s.payees)))]
	p.Amount = new(big.Int).Mul(big.NewInt(1+s.Random.Int64N(999_999)), big.NewInt(1_000_000_000_000))
	return p
}

// Sign returns the next n transactions, signed and encoded, as complete makes them.
func (s *Source) Sign(n int, complete func(Payment) *types.DynamicFeeTx) ([][]byte, error) {
	unsigned, first := make([]*types.DynamicFeeTx, n), s.Made
	for i := range unsigned {
		unsigned[i] = complete(s.Next())
	}
	out := make([][]byte, n)
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < n; i += workers {
				tx, err := types.SignNewTx(s.keys[(first+i)%len(s.keys)], s.signer, unsigned[i])
				if err != nil {
					return fmt.Errorf("sign: %w", err)
				}
				if out[i], err = tx.MarshalBinary(); err != nil {
					return fmt.Errorf("encode: %w", err)
				}
			}
			return nil
		})
	}
	return out, group.Wait()
}
