package keys

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cosmos/btcutil/bech32"
)

func TestGeneratedKeyIsReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deeper", "key.json")
	key, err := Generate(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, key) {
		t.Error("the key read is not the key generated")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %o, want 600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("the folder holds %d files, want the key alone", len(entries))
	}
}

func TestAKeyIsNeverReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key.json")
	first, err := Generate(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(path); !errors.Is(err, ErrExists) {
		t.Fatalf("a second Generate returned %v, want ErrExists", err)
	}
	if got, err := Load(path); err != nil || !bytes.Equal(got, first) {
		t.Errorf("the first key is gone: %v", err)
	}
}

// The chain derives a payer's account by CometBFT's rule.
func TestAddressIsThatOfCometBFT(t *testing.T) {
	t.Parallel()
	for seed := range byte(8) {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
		pub := key.Public().(ed25519.PublicKey)
		prefix, raw, err := bech32.DecodeToBase256(Address(pub))
		if err != nil {
			t.Fatal(err)
		}
		if prefix != Prefix {
			t.Errorf("prefix is %q, want %q", prefix, Prefix)
		}
		if want := cmted25519.PubKey(pub).Address(); !bytes.Equal(raw, want) {
			t.Errorf("address is %x, CometBFT has %x", raw, want)
		}
	}
}

func TestLoadRefusesWhatIsNoKey(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "key.json")
	if err := Save(good, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	mine := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	for name, c := range map[string]struct {
		content, want string
	}{
		"empty":           {"", "EOF"},
		"not JSON":        {"ordo1", "invalid character"},
		"unknown field":   {strings.Replace(string(raw), "address", "addr", 1), "addr"},
		"short seed":      {strings.Replace(string(raw), "00", "", 1), "private_key is not 32 bytes"},
		"other seed":      {strings.Replace(string(raw), strings.Repeat("00", 32), strings.Repeat("01", 32), 1), "public_key is"},
		"foreign address": {strings.Replace(string(raw), Address(mine), Address(other), 1), "address is"},
		"huge":            {strings.Repeat(" ", maxFileBytes) + string(raw), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "key.json")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}
