// Package keys holds Ordo's own keys, all ed25519: those of payers, which sign
// bundles and pay for their bytes, and those of validators, which sign attestations
// and identify them to each other. In comes the path of a file, out go keys.
//
// A payer's file is JSON with the account's address, its public key and the 32-byte
// seed of its private key, both in hex. It is never written over a file that is
// there. A validator's file is a list of keys, oldest first, without addresses; it
// is replaced when a key is added. Both are written with mode 0600, whole or not at
// all, and a file whose parts do not belong together is refused.
package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cosmos/btcutil/bech32"

	"github.com/ordo-network/ordo/internal/replace"
)

// Prefix is the human-readable part of addresses.
const Prefix = "ordo"

// ErrExists is returned where a key file would replace another.
var ErrExists = errors.New("there is a key file already; a lost key cannot be brought back, so it is never replaced")

// maxFileBytes is far above what a key file holds.
const maxFileBytes = 4096

type file struct {
	Address    string `json:"address"`
	PublicKey  string `json:"public_key"`
	PrivateKey string `json:"private_key"`
}

// Address is the bech32 form of the account address, the first 20 bytes of the
// SHA-256 of the public key, as CometBFT and the Cosmos SDK define it for ed25519.
func Address(pub ed25519.PublicKey) string {
	sum := sha256.Sum256(pub)
	s, err := bech32.EncodeFromBase256(Prefix, sum[:20])
	if err != nil {
		// Only a prefix or a length out of range makes an error, and both are fixed here.
		panic(err)
	}
	return s
}

// Generate makes a new key and writes it to path. Errors: ErrExists.
func Generate(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, Save(path, key)
}

// Save writes a key to path, making the folder where it is missing. Errors:
// ErrExists.
func Save(path string, key ed25519.PrivateKey) error {
	pub := key.Public().(ed25519.PublicKey)
	err := write(path, file{
		Address:    Address(pub),
		PublicKey:  hex.EncodeToString(pub),
		PrivateKey: hex.EncodeToString(key.Seed()),
	}, replace.New)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	return err
}

// write puts v as JSON at path, for its owner alone. It is durable on return: money that is
// sent to a key, and what the chain is told of it, outlive a crash.
func write(path string, v any, put func(string, []byte, fs.FileMode) error) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	err = os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = put(path, append(raw, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

// Load reads the key at path and checks that address and public key are its own.
func Load(path string) (ed25519.PrivateKey, error) {
	var f file
	if err := read(path, maxFileBytes, &f); err != nil {
		return nil, err
	}
	key, err := fromHex(f.PublicKey, f.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("%s is no key file: %w", path, err)
	}
	if want := Address(key.Public().(ed25519.PublicKey)); f.Address != want {
		return nil, fmt.Errorf("%s is no key file: address is %s, but private_key makes %s", path, f.Address, want)
	}
	return key, nil
}

// read decodes the JSON file at path, strictly.
func read(path string, limit int, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if len(raw) > limit {
		return fmt.Errorf("%s is no key file: it has more than %d bytes", path, limit)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("%s is no key file: %w", path, err)
	}
	return nil
}

// fromHex makes a key from its seed and checks that the public key is its own.
func fromHex(public, private string) (ed25519.PrivateKey, error) {
	seed, err := hex.DecodeString(private)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("private_key is not %d bytes in hex", ed25519.SeedSize)
	}
	key := ed25519.NewKeyFromSeed(seed)
	if want := hex.EncodeToString(key.Public().(ed25519.PublicKey)); public != want {
		return nil, fmt.Errorf("public_key is %s, but private_key makes %s", public, want)
	}
	return key, nil
}
