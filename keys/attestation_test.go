package keys

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newAttestation(t *testing.T, n int) Attestation {
	t.Helper()
	var a Attestation
	for range n {
		var err error
		if a, err = a.Add(); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func public(key ed25519.PrivateKey) [32]byte { return [32]byte(key.Public().(ed25519.PublicKey)) }

func TestAttestationKeysComeBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config", "attestation_keys.json")
	want := newAttestation(t, 3)
	for n := 1; n <= 3; n++ { // each replaces the one before
		if err := want[:n].Save(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := LoadAttestation(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || !got[0].Equal(want[0]) || !got.Newest().Equal(want[2]) {
		t.Fatalf("%d keys came back, or others", len(got))
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("mode is %o, want 600", mode)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("beside the keys there are %v: %v", files, err)
	}
	if _, err := newAttestation(t, maxAttestation).Add(); err == nil {
		t.Error("there is no end to the keys")
	}
}

func TestDamagedAttestationKeysAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.json")
	a := newAttestation(t, 2)
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var good attestationFile
	if err := json.Unmarshal(raw, &good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ content, want string }{
		"empty":         {"", "is no key file"},
		"cut":           {string(raw[:len(raw)/2]), "is no key file"},
		"no keys":       {`{"keys":[]}`, "want 1 to"},
		"other field":   {strings.Replace(string(raw), "public_key", "pub", 1), "unknown field"},
		"other's key":   {strings.Replace(string(raw), good.Keys[0].PublicKey, good.Keys[1].PublicKey, 1), "key 1: public_key is"},
		"short":         {strings.Replace(string(raw), good.Keys[1].PrivateKey, "00", 1), "key 2: private_key is not 32 bytes"},
		"twice":         {strings.NewReplacer(good.Keys[0].PublicKey, good.Keys[1].PublicKey, good.Keys[0].PrivateKey, good.Keys[1].PrivateKey).Replace(string(raw)), "key 2: it is there twice"},
		"without bound": {strings.Repeat(" ", maxAttestationBytes+1), "more than"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadAttestation(file); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want the file and %q", name, err, c.want)
		}
	}
}

func TestRingFindsWhatWasAdded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	a := newAttestation(t, 2)
	if _, err := OpenRing(path); err == nil {
		t.Fatal("a ring without a file is opened")
	}
	if err := a[:1].Save(path); err != nil {
		t.Fatal(err)
	}
	r, err := OpenRing(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := r.Key(public(a[1])); found || err != nil {
		t.Fatalf("a key that is not there: %v, %v", found, err)
	}
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	if key, found, err := r.Key(public(a[1])); !found || err != nil || !key.Equal(a[1]) {
		t.Fatalf("the added key: %v, %v", found, err)
	}
	// A file that somebody damages is told of once, and what was known is kept.
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	unknown := newAttestation(t, 1)[0]
	if _, _, err := r.Key(public(unknown)); err == nil {
		t.Error("a damaged file is no error")
	}
	if _, _, err := r.Key(public(unknown)); err != nil {
		t.Errorf("the same damage is told twice: %v", err)
	}
	if _, found, _ := r.Key(public(a[0])); !found {
		t.Error("a damaged file takes away a key that was known")
	}
}
