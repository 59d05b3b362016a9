package main

import (
	"strings"
	"testing"
)

func TestByteSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"250": 250, "64KiB": 64 << 10, "1MiB": 1 << 20, "1024MiB": 1 << 30} {
		var b byteSize
		if err := b.Set(in); err != nil || int64(b) != want {
			t.Errorf("%s: %d, %v", in, b, err)
		}
		if in != "1024MiB" && b.String() != in {
			t.Errorf("%s reads back as %s", in, b.String())
		}
	}
	for _, in := range []string{"", "0", "-1", "1GiB", "4 KiB", "1025MiB", "1e6"} {
		var b byteSize
		if err := b.Set(in); err == nil || !strings.Contains(err.Error(), "KiB") {
			t.Errorf("%q: %v", in, err)
		}
	}
}
