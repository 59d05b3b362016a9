package keys

import (
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Ring answers from a validator's file of attestation keys as it is now: a key that
// was added while the validator runs is found. It may be used by many goroutines.
type Ring struct {
	path string

	mu    sync.Mutex
	keys  Attestation
	stamp stamp // of the file that keys were read from
}

// stamp tells two contents of a file apart. The file is only ever replaced, so the
// times differ, or the sizes do.
type stamp struct {
	time time.Time
	size int64
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.ModTime(), info.Size()} }

// OpenRing reads the file at path, strictly.
func OpenRing(path string) (*Ring, error) {
	r := &Ring{path: path}
	if err := r.refresh(); err != nil {
		return nil, err
	}
	return r, nil
}

// Key returns the key with that public key. Where it has none, it looks whether the
// file has changed. The error says that it has, and cannot be read; the keys known
// before are kept, and it is told once for each change.
func (r *Ring) Key(public [ed25519.PublicKeySize]byte) (key ed25519.PrivateKey, found bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key, found = r.keys.Find(public[:]); found {
		return key, true, nil
	}
	if err := r.refresh(); err != nil {
		return nil, false, err
	}
	key, found = r.keys.Find(public[:])
	return key, found, nil
}

func (r *Ring) refresh() error {
	info, err := os.Stat(r.path)
	if err != nil {
		return fmt.Errorf("read attestation keys: %w", err)
	}
	if now := stampOf(info); now != r.stamp {
		// Replaced in between, it is read once more next time.
		r.stamp = now
		keys, err := LoadAttestation(r.path)
		if err != nil {
			return err
		}
		r.keys = keys
	}
	return nil
}
