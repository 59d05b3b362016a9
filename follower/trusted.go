package follower

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// TrustedBlock is a block of the sequencer chain that somebody trustworthy named. The hash
// covers all that was before, so what leads to it is true however old the validators are
// that signed it.
type TrustedBlock struct {
	Height uint64
	Hash   [32]byte
}

// ParseTrustedBlock reads a height and a hash of 64 hexadecimal digits, with or without 0x.
func ParseTrustedBlock(height uint64, hash string) (*TrustedBlock, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(hash, "0x"))
	b := &TrustedBlock{Height: height}
	if err != nil || len(raw) != len(b.Hash) {
		return nil, fmt.Errorf("hash %q of the trusted block is not 64 hexadecimal digits", hash)
	}
	if height == 0 {
		return nil, errors.New("height of the trusted block is 0: the first block has 1")
	}
	copy(b.Hash[:], raw)
	return b, nil
}
