package da

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// Blobs are found by these namespaces again: they may never change.
func TestNamespaceV0(t *testing.T) {
	t.Parallel()
	for id, want := range map[Namespace]string{
		{}: "0b2c96943bfcdd8a2409",
		{0x8e, 0xd3, 0xf6, 0xad, 0x68, 0x5b, 0x95, 0x9e}: "3edda0b122c2848c7a4d",
	} {
		got := id.V0()
		if hex.EncodeToString(got[19:]) != want {
			t.Errorf("%x has the free bytes %x, want %s", id[:8], got[19:], want)
		}
		if !bytes.Equal(got[:19], make([]byte, 19)) {
			t.Errorf("%x: %x is not of version 0", id[:8], got)
		}
	}
}
