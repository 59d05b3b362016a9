package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/ordo-network/ordo/internal/replace"
)

// maxAttestation is how many keys a validator's file may hold. A rotation adds one
// and removes those that no committee names any more.
const maxAttestation = 64

// maxAttestationBytes is above what a file with the most keys takes.
const maxAttestationBytes = 64 << 10

// Attestation are the attestation keys of one validator, oldest first. The last one
// is that which the chain is to know, those before it are kept for as long as a
// committee names them.
type Attestation []ed25519.PrivateKey

type attestationFile struct {
	Keys []attestationKey `json:"keys"`
}

type attestationKey struct {
	PublicKey  string `json:"public_key"`
	PrivateKey string `json:"private_key"`
}

// LoadAttestation reads the keys at path. There is one at least, and none twice.
func LoadAttestation(path string) (Attestation, error) {
	var f attestationFile
	if err := read(path, maxAttestationBytes, &f); err != nil {
		return nil, err
	}
	if len(f.Keys) < 1 || len(f.Keys) > maxAttestation {
		return nil, fmt.Errorf("%s holds %d attestation keys, want 1 to %d", path, len(f.Keys), maxAttestation)
	}
	var out Attestation
	for i, k := range f.Keys {
		key, err := fromHex(k.PublicKey, k.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("%s, key %d: %w", path, i+1, err)
		}
		if _, twice := out.Find(key.Public().(ed25519.PublicKey)); twice {
			return nil, fmt.Errorf("%s, key %d: it is there twice", path, i+1)
		}
		out = append(out, key)
	}
	return out, nil
}

// Save replaces the file at path. Whoever reads it, and a crash, sees the old keys or
// the new ones.
func (a Attestation) Save(path string) error {
	var f attestationFile
	for _, key := range a {
		f.Keys = append(f.Keys, attestationKey{
			PublicKey:  hex.EncodeToString(key.Public().(ed25519.PublicKey)),
			PrivateKey: hex.EncodeToString(key.Seed()),
		})
	}
	return write(path, f, replace.File)
}

// Add returns the keys with a new one at the end.
func (a Attestation) Add() (Attestation, error) {
	if len(a) == maxAttestation {
		return nil, fmt.Errorf("there are %d attestation keys already, the most there may be", len(a))
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return append(append(Attestation(nil), a...), key), nil
}

// Newest returns the key that the chain is to know.
func (a Attestation) Newest() ed25519.PrivateKey { return a[len(a)-1] }

// Find returns the key with that public key.
func (a Attestation) Find(public ed25519.PublicKey) (ed25519.PrivateKey, bool) {
	for _, key := range a {
		if public.Equal(key.Public()) {
			return key, true
		}
	}
	return nil, false
}
