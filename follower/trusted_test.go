package follower

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestParseTrustedBlock(t *testing.T) {
	t.Parallel()
	want := TrustedBlock{7, [32]byte{1, 2, 3}}
	for _, s := range []string{hex.EncodeToString(want.Hash[:]), "0x" + strings.ToUpper(hex.EncodeToString(want.Hash[:]))} {
		if got, err := ParseTrustedBlock(7, s); err != nil || *got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
		if _, err := ParseTrustedBlock(0, s); err == nil {
			t.Error("height 0 is trusted")
		}
	}
	for _, s := range []string{"", "0x", "8f0c", strings.Repeat("z", 64)} {
		if _, err := ParseTrustedBlock(7, s); err == nil {
			t.Errorf("%q is a hash", s)
		}
	}
}
