package ordering

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync/atomic"
)

// payloads makes bytes that are unique and that nothing compresses, at the speed
// of memory: the key stream of AES under a fresh key.
type payloads struct {
	block cipher.Block
	zeros []byte
	count atomic.Uint64
}

func newPayloads(largest int) (*payloads, error) {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("make payloads: %w", err)
	}
	return &payloads{block: block, zeros: make([]byte, largest)}, nil
}

// make returns the next payload. Safe for concurrent use.
func (p *payloads) make(size int) []byte {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[:], p.count.Add(1)) // the low half counts blocks within the payload
	out := make([]byte, size)
	cipher.NewCTR(p.block, iv[:]).XORKeyStream(out, p.zeros[:size])
	return out
}
