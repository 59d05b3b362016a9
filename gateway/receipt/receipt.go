// Package receipt is a gateway's signed word that it accepted a transaction for ordering.
// In goes what was accepted and when, out comes a statement that anybody can verify
// without asking anyone and that the gateway cannot deny. docs/spec/receipts.md says what
// follows from one.
//
// What always holds: a receipt has one encoding to be signed and one JSON form, and what
// Verify accepts was signed by the payer's key for exactly this chain, rollup, transaction, bundle and time.
package receipt

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"

	"github.com/ordo-network/ordo/order"
)

const domain = "ordo/receipt/v1\x00"

// ErrSignature is returned where the payer's signature does not verify.
var ErrSignature = errors.New("receipt's signature does not verify")

// Receipt says: the payer has accepted the transaction for ordering, and has it on disk.
type Receipt struct {
	ChainID  string // of the sequencer chain
	RollupID order.RollupID
	TxHash   [32]byte // as the rollup hashes transactions
	// Bundle is the reference of the user's bundle that the transaction came in, whose
	// terms and bounds hold for it too; zero where it came by itself.
	Bundle    [32]byte
	Received  uint64 // in milliseconds since 1970, by the gateway's clock
	Payer     order.Payer
	Signature [ed25519.SignatureSize]byte
}

// SignBytes returns what the payer signs: the domain tag, the chain ID after one byte of
// its length, rollup ID, transaction hash, bundle, time as eight bytes big endian, payer.
func (r *Receipt) SignBytes() []byte {
	b := make([]byte, 0, len(domain)+1+len(r.ChainID)+3*32+8+len(r.Payer))
	b = append(b, domain...)
	b = append(b, byte(len(r.ChainID)))
	b = append(b, r.ChainID...)
	b = append(b, r.RollupID[:]...)
	b = append(b, r.TxHash[:]...)
	b = append(b, r.Bundle[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Received)
	return append(b, r.Payer[:]...)
}

// Sign sets the payer and the signature.
func (r *Receipt) Sign(key ed25519.PrivateKey) {
	copy(r.Payer[:], key.Public().(ed25519.PublicKey))
	copy(r.Signature[:], ed25519.Sign(key, r.SignBytes()))
}

// Verify checks the receipt's form and the payer's signature. Which payer it must be, and
// of which chain, is the caller's to compare. Errors: ErrSignature.
func (r *Receipt) Verify() error {
	switch {
	case r.ChainID == "" || len(r.ChainID) > order.MaxChainIDLen:
		return fmt.Errorf("receipt's chain ID has %d bytes, want 1 to %d", len(r.ChainID), order.MaxChainIDLen)
	case r.RollupID == order.RollupID{}:
		return errors.New("receipt names no rollup")
	case r.TxHash == [32]byte{}:
		return errors.New("receipt names no transaction")
	}
	// By the rules of ZIP 215, as bundles: libraries differ on signatures that only a
	// payer who means to deny them would make.
	if !cmted25519.PubKey(r.Payer[:]).VerifySignature(r.SignBytes(), r.Signature[:]) {
		return ErrSignature
	}
	return nil
}
