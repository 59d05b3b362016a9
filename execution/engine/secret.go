package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxSecretFile bounds what is read of a secret's file.
const maxSecretFile = 1 << 10

// LoadSecret reads the secret of the Engine API, as Ethereum's clients write it: 32 bytes
// in hex, with or without 0x.
func LoadSecret(path string) (secret [32]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return secret, fmt.Errorf("read the JWT secret: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile))
	if err != nil {
		return secret, fmt.Errorf("read the JWT secret: %w", err)
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(text)), "0x"))
	if err != nil || len(raw) != len(secret) {
		return secret, fmt.Errorf("the JWT secret in %s must be 32 bytes in hex: give the file that the client has as its --authrpc.jwtsecret", path)
	}
	copy(secret[:], raw)
	return secret, nil
}

// tokenHeader is {"alg":"HS256","typ":"JWT"}.
const tokenHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

// token proves knowledge of the secret at a time. A client takes it for a minute, so
// each request carries one of its own.
func token(secret [32]byte, at time.Time) string {
	claims := fmt.Sprintf(`{"iat":%d}`, at.Unix())
	signed := tokenHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, secret[:])
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
