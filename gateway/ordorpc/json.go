package ordorpc

import (
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// Hash is 32 bytes, in JSON 0x and 64 hex digits.
type Hash [32]byte

// String returns the hash in hex.
func (h Hash) String() string { return hexutil.Encode(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hexutil.Bytes(h[:]).MarshalText() }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	return hexutil.UnmarshalFixedText("hash", text, h[:])
}

// invalidParams is the error for parameters that say what cannot be.
type invalidParams struct{ msg string }

// Error implements error.
func (e invalidParams) Error() string { return e.msg }

// ErrorCode implements rpc.Error.
func (invalidParams) ErrorCode() int { return -32602 }

func quantity(n uint64) *hexutil.Uint64 { return (*hexutil.Uint64)(&n) }

func unixMilli(t time.Time) *hexutil.Uint64 {
	if t.IsZero() {
		return nil
	}
	return quantity(uint64(t.UnixMilli()))
}

// known returns a pointer to the hash, nil for zero: null in JSON.
func known[H ~[32]byte](h H) *Hash {
	if h == (H{}) {
		return nil
	}
	hash := Hash(h)
	return &hash
}
