package ordorpc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/ordo-network/ordo/gateway"
)

// Opaque names a transaction of which nothing is known but its bytes: each is of a
// sender of its own, so that none waits for another.
func Opaque(raw []byte) (gateway.Tx, error) {
	if len(raw) == 0 {
		return gateway.Tx{}, errors.New("transaction is empty")
	}
	hash := sha256.Sum256(raw)
	return gateway.Tx{Hash: hash, Sender: hex.EncodeToString(hash[:]), Raw: raw}, nil
}
